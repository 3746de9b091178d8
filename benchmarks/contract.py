"""``python -m benchmarks.contract [--out FOLDER]``: what every public estimator was held to.

Runs the test suite's own checks (scikit-learn's ``check_estimator``, ours for more than two axes,
the round trip through a file) and counts them for each public estimator; these are found by walking
the package. What is expected to fail stands with its reason.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks._results import environment, markdown_table, write_json, write_text

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("scikit-learn", "n-d", "round trip")

#: Public estimators without a row of checks, and why.
WITHOUT = {
    "TorchClassifier": "base class; its subclasses are checked",
    "ImageAugment": "parameters of a network; answers nothing by itself",
    "PageAugment": "parameters of a network; answers nothing by itself",
    "SignalAugment": "parameters of a network; answers nothing by itself",
    "ArtefactAugment": "parameters of a network; answers nothing by itself",
}
#: Kinds of checks that do not apply, and why.
EXEMPT = {
    ("ModuleClassifier", "round trip"): "holds a module of one's own, whose code no file carries",
    ("GuidelineClassifier", "n-d"): "reads a table",
    ("UnivariateScreen", "n-d"): "reads a table",
    ("Select", "n-d"): "reads a table, and gives what its cells hold",
}


def public_estimators():
    """Names of every public estimator, found by walking the package.

    Returns
    -------
    set of str
    """
    import importlib
    import inspect

    from sklearn.base import BaseEstimator

    import crtkit

    root = Path(crtkit.__file__).parent
    found = set()
    for stub in sorted(root.rglob("__init__.pyi")):
        module = importlib.import_module(".".join(stub.relative_to(root.parent).parent.parts))
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) and issubclass(value, BaseEstimator):
                found.add(name)
    return found


def run():
    """Run the checks in a process of its own and read what became of each.

    Returns
    -------
    DataFrame
        One row per check and estimator: ``estimator, kind, check, outcome, reason``.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "outcomes.csv"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "benchmarks._outcomes", f"--outcomes={out}", "tests"]
        subprocess.run(command, cwd=ROOT, check=False, stdout=sys.stderr)
        return pd.read_csv(out, keep_default_na=False)


def table(outcomes):
    """One row per public estimator.

    Parameters
    ----------
    outcomes : DataFrame
        From :func:`run`.

    Returns
    -------
    DataFrame
        Columns of ``KINDS`` with the number of checks that passed, and ``exceptions``: what is
        expected to fail or does not apply, with the reason.

    Raises
    ------
    ValueError
        A check failed, or a public estimator has a kind of checks neither run nor exempt.
    """
    failed = outcomes[outcomes["outcome"] == "failed"]
    if len(failed):
        raise ValueError(f"Checks failed: {failed[['estimator', 'check']].values.tolist()[:10]}.")
    rows = {}
    for name in sorted(public_estimators()):
        own = outcomes[outcomes["estimator"] == name]
        if name in WITHOUT:
            rows[name] = {**dict.fromkeys(KINDS, "–"), "exceptions": WITHOUT[name]}
            continue
        said = []
        row = {}
        for kind in KINDS:
            passed = int(((own["kind"] == kind) & (own["outcome"] == "passed")).sum())
            exempt = EXEMPT.get((name, kind))
            if not passed and exempt is None:
                raise ValueError(f"{name} has no {kind} check.")
            row[kind] = str(passed) if passed else "–"
            said += [f"{kind}: {exempt}"] if exempt and not passed else []
        expected = own[own["outcome"] == "xfailed"].drop_duplicates("check")
        said += [f"{check}: {why}" for check, why in zip(expected["check"], expected["reason"])]
        rows[name] = {**row, "exceptions": "; ".join(said)}
    return pd.DataFrame(rows).T.rename_axis("estimator")


def main(arguments=None):
    """Run, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contract", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for contract.csv; without it only printed")
    options = parser.parse_args(arguments)
    outcomes = run()
    shown = table(outcomes)
    print(markdown_table(shown))
    if options.out:
        counts = outcomes.groupby(["kind", "outcome"]).size().rename("checks").reset_index()
        write_text(options.out / "contract.csv", shown.to_csv())
        facts = {"environment": environment(), "counts": counts.to_dict("records")}
        write_json(options.out / "results.json", facts)


if __name__ == "__main__":
    main()

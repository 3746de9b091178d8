"""``python -m benchmarks.contract [--out FOLDER]``: what every public estimator is held to.

Lists the checks that the test suite runs (scikit-learn's ``check_estimator``, ours for more than
two axes, the round trip through a file) for each public estimator; these are found by walking the
package. A check that fails makes the suite red, so a number here is a number of checks that pass;
what is expected to fail stands beside it with its reason.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks._results import markdown_table, write_text

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
    """Collect the suite in a process of its own, and read which checks it has.

    Returns
    -------
    DataFrame
        One row per check and estimator: ``estimator, kind, check, expected, reason``.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "checks.csv"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-qq",
            "--collect-only",
            "-p",
            "no:cacheprovider",
        ]
        command += ["-p", "benchmarks._outcomes", f"--checks-to={out}", "tests"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return pd.read_csv(out, keep_default_na=False)


def table(checks):
    """One row per public estimator.

    Parameters
    ----------
    checks : DataFrame
        From :func:`run`.

    Returns
    -------
    DataFrame
        Columns of ``KINDS`` with the number of checks that pass, and ``exceptions``: what is
        expected to fail or does not apply, with the reason.

    Raises
    ------
    ValueError
        A public estimator has a kind of checks neither run nor exempt, or a failure is expected
        without a reason.
    """
    unsaid = checks[(checks["expected"] == "fail") & (checks["reason"] == "")]
    if len(unsaid):
        named = unsaid[["estimator", "check"]].values.tolist()[:10]
        raise ValueError(f"Expected to fail without a reason: {named}.")
    rows = {}
    for name in sorted(public_estimators()):
        own = checks[checks["estimator"] == name]
        if name in WITHOUT:
            rows[name] = {**dict.fromkeys(KINDS, "–"), "exceptions": WITHOUT[name]}
            continue
        said = []
        row = {}
        for kind in KINDS:
            passed = int(((own["kind"] == kind) & (own["expected"] == "pass")).sum())
            exempt = EXEMPT.get((name, kind))
            if not passed and exempt is None:
                raise ValueError(f"{name} has no {kind} check.")
            row[kind] = str(passed) if passed else "–"
            said += [f"{kind}: {exempt}"] if exempt and not passed else []
        expected = own[own["expected"] == "fail"].drop_duplicates("check")
        for why, group in expected.groupby("reason", sort=False):
            said.append(f"{', '.join(group['check'])}: {why}")
        rows[name] = {**row, "exceptions": "; ".join(said)}
    return pd.DataFrame(rows).T.rename_axis("estimator")


def main(arguments=None):
    """Run, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contract", description=__doc__)
    parser.add_argument("--out", type=Path, help="folder for contract.csv; without it only printed")
    options = parser.parse_args(arguments)
    shown = table(run())
    print(markdown_table(shown))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        write_text(options.out / "contract.csv", shown.to_csv())


if __name__ == "__main__":
    main()

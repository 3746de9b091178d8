"""What does the spectrogram of a beat throw away? ``python -m benchmarks.spectrogram_losses``.

he2023's ResNet-18 stays far below what the signal can give. The same simulated patients are shown
to the same plain classifiers in the forms that they pass on their way to the network (measurements
of the record, samples of the median beat, spectrogram, picture), and to the network, with its AUC
on the patients it learned from.

Goals
-----
A reason for the gap: the form, or the network.

Non-goals
---------
A better network. The patients are SIMULATED, and so is the answer.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from benchmarks._ecgfm_journal import Journal
from benchmarks._learning_patients import population
from benchmarks._results import Output, command, environment, write_json
from benchmarks.learning import scores_of
from crtkit.cohort import Select
from crtkit.metrics import roc_auc
from crtkit.neural import ResNetClassifier
from crtkit.signals import STFTTransformer
from crtkit.studies import he2023
from crtkit.studies.ceiling import signal_ceilings

MEASURED = "measurements of the record"
BEAT = "samples of the median beat"
#: Windows in samples at 360 Hz: the paper's is longer than a beat; the other is a QRS long.
WINDOWS = {"spectrogram, window 1.42 s": (512, 32), "spectrogram, window 0.27 s": (96, 16)}
PICTURES = {f"picture of the {name}": name for name in WINDOWS}
CLASSIFIERS = ("logistic regression", "SVM", "ResNet-18")


def form(cohort, name):
    """The patients of a cohort in one form."""
    if name == MEASURED:
        return np.nan_to_num(np.stack(cohort.X["measurements"].to_numpy()))
    beats = np.asarray(Select("signal").fit_transform(cohort.X))
    if name == BEAT:
        return beats
    window, hop = WINDOWS[PICTURES.get(name, name)]
    stft = {**he2023.STFT, "window_length": window, "hop_length": hop}
    spectra = STFTTransformer(fs=he2023.FS, **stft).fit_transform(beats)
    if name in WINDOWS:
        return spectra
    steps = he2023.picture_steps(he2023.SIZES["small"]["tile"])
    return make_pipeline(*steps).fit_transform(spectra)


def classifier(name, random_state):
    """A classifier by its name; the plain ones as he2023 has them."""
    if name == "ResNet-18":
        return ResNetClassifier(depth=18, width=8, **he2023.NETWORK, random_state=random_state)
    plain = {
        "logistic regression": LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000),
        "SVM": SVC(kernel="rbf", class_weight="balanced"),
    }[name]
    return make_pipeline(StandardScaler(), PCA(0.9, svd_solver="full", whiten=True), plain)


def flat(X):
    """Rows of values; a picture as its grey levels, which hold all that its colours do."""
    if X.dtype == np.uint8:
        X = X.astype(np.float32).mean(axis=-1)
    return X.reshape(len(X), -1)


def run(options):
    """Fit every form and classifier that the journal lacks, and write the table."""
    start = time.perf_counter()
    pool, test = [
        population("he2023", n, "signal", (options.random_state, k), "small", 1, options.cache)
        for k, n in enumerate((options.n, options.n_test))
    ]

    def fit(form_of, by):
        X, other = form(pool, form_of), form(test, form_of)
        if by != "ResNet-18":
            X, other = flat(X), flat(other)
        model = classifier(by, options.random_state).fit(X, pool.y)
        return {
            "auc": roc_auc(test.y, scores_of(model, other)),
            "auc_learned": roc_auc(pool.y, scores_of(model, X)),
        }

    forms = (MEASURED, BEAT, *WINDOWS, *PICTURES)
    tasks = [
        {"form_of": name, "by": by}
        for by in CLASSIFIERS
        for name in (forms if by != "ResNet-18" else PICTURES)
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    made_with = {name: getattr(options, name) for name in ("n", "n_test", "random_state")}
    journal = Journal(options.out / "journal.jsonl", {}, options.minutes, made_with)
    journal.run(tasks, fit)
    return write(options, pd.DataFrame(journal.rows), len(test), start)


def write(options, rows, n_test, start):
    """Table and JSON."""
    given = signal_ceilings()["he2023"]["auc"]
    stated = (
        f"SIMULATED patients of he2023: {options.n} to learn from, {n_test} others to judge by; "
        f"the signal can give {given:.3f}."
    )
    rows = rows.rename(columns={"form_of": "form", "by": "classifier"})
    rows["shown"] = [f"{a:.3f} ({b:.3f})" for a, b in zip(rows["auc"], rows["auc_learned"])]
    table = rows.pivot(index="form", columns="classifier", values="shown").fillna("–")
    table = table.loc[list(dict.fromkeys(rows["form"]))]
    table = table[[name for name in CLASSIFIERS if name in table]]
    output = Output(options.out, "What the spectrogram throws away", stated)
    note = (
        "AUC on other patients (on those learned from). Plain classifiers read whitened principal "
    )
    note += "components of 90 % of the variance; the network is that of size small, 20 epochs."
    text = output.table("forms", "AUC by form and classifier", table, note)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "spectrogram_losses",
            "stated": stated,
            "rows": rows.drop(columns=["task", "shown"]).to_dict("records"),
            "signal can give": given,
            "options": {k: v for k, v in vars(options).items() if isinstance(v, (int, str))},
            "environment": environment(),
            "seconds": round(time.perf_counter() - start, 1),
        },
    )
    return text


def main(arguments=None):
    """Run from the command line."""
    out = argparse.ArgumentParser(
        prog="python -m benchmarks.spectrogram_losses", description=__doc__.splitlines()[0]
    )
    out.add_argument("--n", type=int, default=1000, help="patients to learn from")
    out.add_argument("--n-test", type=int, default=1500, help="patients that judge")
    out.add_argument("--minutes", type=float, help="begin no further fit after this time")
    out.add_argument("--cache", type=Path, help="folder that keeps the simulated patients")
    out.add_argument("--random-state", type=int, default=0)
    out.add_argument("--out", type=Path, default=Path("results") / "spectrogram_losses")
    return command(run, out.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())

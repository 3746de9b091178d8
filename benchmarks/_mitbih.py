"""Beats of MIT-BIH as pictures and rhythm, and networks trained on them."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from crtkit.neural import save_weights
from crtkit.studies import he2023

CLASSES = {"aami": ("N", "S", "V", "F"), "paper": ("N", "S", "V", "F", "Q")}
WINDOWS = {"aami": 96, "paper": 512}


def choose(y, records, candidates, cap, rng):
    """Rows to train on: at most ``cap`` N and Q (paced) of each record, and every S, V and F."""
    table = pd.DataFrame({"y": y[candidates], "record": records[candidates], "row": candidates})
    parts = [
        part["row"].to_numpy()
        if label not in ("N", "Q") or len(part) <= cap
        else rng.choice(part["row"].to_numpy(), cap, replace=False)
        for (_, label), part in table.groupby(["record", "y"])
    ]
    return np.sort(np.concatenate(parts))


def class_weights(y, power):
    """Weights by class: 1 / frequency to a power; 0.5 keeps rare classes from flooding."""
    labels, counts = np.unique(y, return_counts=True)
    return {k: float((len(y) / n) ** power) for k, n in zip(labels.tolist(), counts)}


def rhythm(beats):
    """Logarithms of RR ratios of each beat, with their squares and absolute values.

    Returns
    -------
    ndarray of shape (n_beats, 12)
        Of the interval before over that usual around it, after over usual, before over the
        record's median, after over before.
    """
    before, after = beats["rr_before_s"], beats["rr_after_s"]
    usual = before / beats["rr_ratio"]
    typical = before.groupby(beats["record"]).transform("median")
    ratios = np.column_stack([before / usual, after / usual, before / typical, after / before])
    logs = np.log(ratios.clip(0.1, 10))
    return np.hstack([logs, np.abs(logs), logs**2])


def centred(embeddings, records):
    """Embeddings less their record's median: what is unusual for this subject."""
    out = np.array(embeddings)
    for record in np.unique(records):
        rows = records == record
        out[rows] -= np.median(out[rows], axis=0)
    return out


class Beats:
    """All beats of the database, painted when they are needed."""

    def __init__(self, cohort, options):
        self.cohort, self.options = cohort, options
        self.table = cohort.X.drop(columns="signal")
        self.y = cohort.y.astype(str)
        self.groups = cohort.groups.astype(str)
        self.records = self.table["record"].to_numpy().astype(str)
        self.rhythm = rhythm(self.table)
        self.stft = {
            "window_length": options.window,
            "hop_length": 32 if options.window > 256 else 16,
        }

    def pictures(self, rows):
        """uint8 pictures (n_rows, size, size, 3) of some beats."""
        size = (self.options.size, self.options.size)
        steps = [*he2023.spectrogram_steps(stft=self.stft), *he2023.picture_steps(size, n_leads=1)]
        return make_pipeline(ck.Select("signal"), *steps).fit_transform(self.cohort.X.iloc[rows])

    def network(self, rows, pictures):
        """A network fitted on some beats."""
        weights = class_weights(self.y[rows], 0.5)
        model = ck.ResNetClassifier(
            depth=self.options.depth,
            width=self.options.width,
            lr=2e-3,
            schedule="onecycle",
            batch_size=64,
            max_epochs=self.options.epochs,
            class_weight=weights,
            device=self.options.device,
            random_state=self.options.seed,
        )
        return model.fit(pictures, self.y[rows])

    def features(self, net, rows, pictures):
        """Second inputs: centred embeddings and RR ratios."""
        embedded = centred(net.transform(pictures), self.records[rows])
        return np.hstack([embedded, self.rhythm[rows]])

    def halves(self, rows):
        """Two halves of the training subjects with about equal shares of each class."""
        folds = StratifiedGroupKFold(2, shuffle=True, random_state=self.options.seed)
        first, second = next(folds.split(rows, self.y[rows], self.groups[rows]))
        return first, second

    def stacked(self, train, pictures, test, test_pictures):
        """Probabilities of the picture + RR model, classes sorted."""
        classes = np.unique(self.y[train])
        answer = np.zeros((len(test), len(classes)))
        first, second = self.halves(train)
        for a, b in ((first, second), (second, first)):
            net = self.network(train[a], pictures[a])
            head = make_pipeline(
                StandardScaler(),
                LogisticRegression(
                    C=0.01, class_weight=class_weights(self.y[train[b]], 0.8), max_iter=500
                ),
            )
            head.fit(self.features(net, train[b], pictures[b]), self.y[train[b]])
            at = np.searchsorted(classes, head.classes_)
            answer[:, at] += head.predict_proba(self.features(net, test, test_pictures)) / 2
        return classes[answer.argmax(axis=1)]


def save(net, path, *, options, beats, train, test, what, figures):
    """Write a network with the card that says what it is and how it did.

    Parameters
    ----------
    net : ResNetClassifier
    path : Path
    options : Namespace
        ``setup, depth, width, size, seed``.
    beats : Beats
    train, test : ndarray of int
        Rows trained on, and rows never seen.
    what : str
        The set-up, in words.
    figures : dict
        Scores on the rows never seen; nan become null.
    """
    card = {
        "data": "MIT-BIH Arrhythmia Database 1.0.0 (ODC-BY 1.0)",
        "set_up": what,
        "training_records": sorted(set(beats.records[train].tolist())),
        "test_records": sorted(set(beats.records[test].tolist())),
        "classes": list(CLASSES[options.setup]),
        "depth": options.depth,
        "width": options.width,
        "size": options.size,
        "stft": {**he2023.STFT, **beats.stft},
        "seed": options.seed,
        "scores": {k: None if np.isnan(v) else round(v, 4) for k, v in figures.items()},
    }
    save_weights(net, path, card=card)
    return card

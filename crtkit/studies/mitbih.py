"""Beats of MIT-BIH as pictures and rhythm, and networks trained on them."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit.cohort import Select
from crtkit.images import SpectrogramImager
from crtkit.studies.spectrograms import PICTURE, picture_steps, spectrogram_steps

#: Beats that tell what is usual in a record, and the range of what differs from it.
N_USUAL = 64
DIFFERENCE_DB = (-35.0, 35.0)
SMALLEST = 1e-4


def choose(y, records, candidates, cap, rng):
    """Rows to train on: at most ``cap`` beats of each class and record, so that none floods."""
    table = pd.DataFrame({"y": y[candidates], "record": records[candidates], "row": candidates})
    parts = [
        rng.choice(part["row"].to_numpy(), min(cap, len(part)), replace=False)
        for _, part in table.groupby(["record", "y"])
    ]
    return np.sort(np.concatenate(parts))


def stand_for(y, records, candidates, rows):
    """How many of the candidates each chosen row stands for: those of its class and record."""
    names = pd.Series(np.char.add(np.char.add(records, "/"), y))
    # Capped per record and class, a drawn beat stands for several: weights restore the true mix.
    share = names[candidates].value_counts() / names[rows].value_counts()
    return share[names[rows]].to_numpy()


def class_weights(y, power, sample_weight=None):
    """Weights by class: 1 / frequency to a power; below 1 it keeps rare classes from flooding."""
    labels, at = np.unique(y, return_inverse=True)
    counts = np.bincount(at, weights=sample_weight)
    # Power 1 balances the classes in full; a few hundred fusion beats would weigh as much as all
    # normal ones.
    return {k: float((counts.sum() / n) ** power) for k, n in zip(labels.tolist(), counts)}


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
    # Ratios of intervals are symmetric on the log scale; a pause of 10 s must not dominate.
    logs = np.log(ratios.clip(0.1, 10))
    return np.hstack([logs, np.abs(logs), logs**2])


class Beats:
    """Beats of the database, painted when they are needed.

    Parameters
    ----------
    cohort : Cohort
        From :func:`crtkit.signals.segment_beats`.
    settings : crtkit.studies.pretraining.Settings or Namespace
        ``window, size, seed`` for pictures; ``depth, width, epochs, device`` for networks.
    """

    def __init__(self, cohort, settings):
        self.cohort, self.settings = cohort, settings
        self.table = cohort.X.drop(columns="signal")
        self.y = cohort.y.astype(str)
        self.groups = cohort.groups.astype(str)
        self.records = self.table["record"].to_numpy().astype(str)
        self.rhythm = rhythm(self.table)
        self.stft = {
            "window_length": settings.window,
            "hop_length": 32 if settings.window > 256 else 16,
        }

    def spectra(self, rows):
        """Spectrograms (n_rows, 1, n_freqs, n_frames) of some beats, in decibel."""
        steps = make_pipeline(Select("signal"), *spectrogram_steps(stft=self.stft))
        return steps.fit_transform(self.cohort.X.iloc[rows])

    def pictures(self, rows):
        """uint8 pictures (n_rows, size, size, 3) of some beats, as he2023 paints them."""
        size = (self.settings.size, self.settings.size)
        return make_pipeline(*picture_steps(size, n_leads=1)).fit_transform(self.spectra(rows))

    def differences(self, rows):
        """uint8 pictures of what differs from the usual beat of the same record.

        The usual is the median spectrogram of 64 beats of the record, whatever they are: no label
        is read. Grey is no difference.
        """
        low, high = PICTURE["db_range"]
        apart = self.spectra(rows).clip(low, high)
        for record in np.unique(self.records[rows]):
            whole = np.flatnonzero(self.records == record)
            rng = np.random.default_rng([self.settings.seed, int(record)])
            some = np.sort(rng.choice(whole, min(N_USUAL, len(whole)), replace=False))
            usual = np.median(self.spectra(some).clip(low, high), axis=0)
            apart[self.records[rows] == record] -= usual
        imager = SpectrogramImager(
            size=(self.settings.size, self.settings.size), db_range=DIFFERENCE_DB, colour_map="gray"
        )
        return imager.fit_transform(apart)

    def network(self, rows, pictures):
        """A network fitted on some beats."""
        from crtkit.neural import ResNetClassifier

        weights = class_weights(self.y[rows], 0.5)
        model = ResNetClassifier(
            depth=self.settings.depth,
            width=self.settings.width,
            lr=2e-3,
            schedule="onecycle",
            batch_size=64,
            max_epochs=self.settings.epochs,
            class_weight=weights,
            device=self.settings.device,
            random_state=self.settings.seed,
        )
        return model.fit(pictures, self.y[rows])

    def likelihoods(self, net, pictures, classes):
        """Logarithms of the probabilities that a network gives each class."""
        out = np.full((len(pictures), len(classes)), np.log(SMALLEST))
        at = np.searchsorted(classes, net.classes_)  # half of the subjects may lack a class
        out[:, at] = np.log(net.predict_proba(pictures) + SMALLEST)
        return out

    def halves(self, train, pictures):
        """Two halves of the training subjects, and what the network of each says of the other.

        Returns
        -------
        folds : list of (seen, left)
            Positions in ``train``.
        said : ndarray of shape (n_train, n_classes)
            Log probabilities, classes sorted, by networks that have not seen the subject.
        """
        classes = np.unique(self.y[train])
        splitter = StratifiedGroupKFold(2, shuffle=True, random_state=self.settings.seed)
        folds = list(splitter.split(train, self.y[train], self.groups[train]))
        said = np.empty((len(train), len(classes)))
        for seen, left in folds:
            net = self.network(train[seen], pictures[seen])
            said[left] = self.likelihoods(net, pictures[left], classes)
        return folds, said

    def head(self, rows, said, weight):
        """A logistic regression on what a network says of some beats, and on their rhythm."""
        model = make_pipeline(
            StandardScaler(),
            LogisticRegression(
                C=0.01, class_weight=class_weights(self.y[rows], 0.7, weight), max_iter=500
            ),
        )
        inputs = np.hstack([said, self.rhythm[rows]])
        return model.fit(inputs, self.y[rows], logisticregression__sample_weight=weight)

    def exchanged(self, train, folds, said, weight):
        """Answers for the training subjects, each half's from network and head of the other.

        That head was fitted on what the first half's network said, so labels of the half reach its
        own answers through the weights of the head: enough to choose by, not a clean estimate.
        """
        answers = np.empty(len(train), dtype=self.y.dtype)
        inputs = np.hstack([said, self.rhythm[train]])
        for seen, left in folds:
            # The network of one half spoke for the other: there its head is fitted.
            answers[seen] = self.head(train[left], said[left], weight[left]).predict(inputs[seen])
        return answers

"""Beats of MIT-BIH as pictures, networks trained on them, and the head that joins what is known."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit.cohort import Select
from crtkit.images import SpectrogramImager
from crtkit.studies.spectrograms import PICTURE, picture_steps, spectrogram_steps

#: Beats that tell what is usual in a record, and the range of what differs from it.
N_USUAL = 64
DIFFERENCE_DB = (-35.0, 35.0)
SMALLEST = 1e-4
#: Of the frequency, in a head's weights by class.
POWER = 0.8


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


def fit_head(X, y, weight):
    """Logistic regression on features of beats, rare classes weighed up.

    Parameters
    ----------
    X : ndarray of shape (n_beats, n_features)
    y : ndarray of shape (n_beats,)
    weight : ndarray of shape (n_beats,)
        How many beats each one stands for.

    Returns
    -------
    Pipeline
    """
    # C and the power were chosen within DS1, by subject: weaker penalties learn single subjects,
    # weights in full cost accuracy.
    weights = class_weights(y, POWER, weight)
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.003, class_weight=weights, max_iter=500)
    )
    return model.fit(X, y, logisticregression__sample_weight=weight)


def parts_of(groups, n_parts, seed):
    """Subjects drawn into parts of equal size: for each part, which rows are its own.

    Returns
    -------
    list of ndarray of bool
    """
    # Not stratified: with so few subjects a stratified draw gives one and the same partition.
    subjects = np.random.default_rng([seed, n_parts]).permutation(np.unique(groups))
    return [np.isin(groups, subjects[k::n_parts]) for k in range(n_parts)]


def answers_across(X, y, groups, weight, n_parts, seed):
    """Answers of heads that have not seen the subject: one partition of the subjects.

    Returns
    -------
    ndarray of shape (n_beats,)
    """
    answers = np.empty(len(y), dtype=y.dtype)
    for left in parts_of(groups, n_parts, seed):
        answers[left] = fit_head(X[~left], y[~left], weight[~left]).predict(X[left])
    return answers


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

    def apart(self, train, pictures, n_parts=3):
        """Networks that each have not seen a part of the training subjects, and what they say.

        Returns
        -------
        networks : list of ResNetClassifier
        said : ndarray of shape (n_train, n_classes)
            Log probabilities, classes sorted, by the network that has not seen the subject.
        """
        classes = np.unique(self.y[train])
        networks, said = [], np.empty((len(train), len(classes)))
        for left in parts_of(self.groups[train], n_parts, self.settings.seed):
            networks.append(self.network(train[~left], pictures[~left]))
            said[left] = self.likelihoods(networks[-1], pictures[left], classes)
        return networks, said

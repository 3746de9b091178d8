"""Networks pretrained on the beats of MIT-BIH, judged between subjects (He et al. 2023)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import StratifiedGroupKFold

from crtkit.datasets import load_mitbih, mitbih
from crtkit.signals import segment_beats
from crtkit.studies.mitbih import Beats, choose
from crtkit.studies.spectrograms import STFT

#: Set-ups: classes that are told apart, samples of the window, records, and the card's words.
CLASSES = {"aami": ("N", "S", "V", "F"), "paper": ("N", "S", "V", "F", "Q")}
#: The paper's window of 512 samples is longer than a beat; 96 did better within DS1.
WINDOWS = {"aami": 96, "paper": 512}
WHAT = {
    "aami": "AAMI's set-up (44 records, DS1 to DS2; Q, 15 beats, not scored)",
    "paper": "the paper's set-up (48 records, five classes)",
}
# Kappa's weight in j kappa is a half; the other half are sensitivities and PPVs of S and V.
J_CLASSES = ("S", "V")


@dataclass(frozen=True)
class Settings:
    """What a pretrained network depends on, besides the records."""

    setup: str
    depth: int
    width: int
    size: int
    window: int
    epochs: int
    cap: int
    seed: int
    device: str = "cpu"


def pretrain(
    path,
    *,
    data=None,
    setup="paper",
    depth=18,
    width=64,
    size=64,
    window=None,
    max_epochs=12,
    beats_per_class=1000,
    max_test=None,
    device="cpu",
    random_state=0,
    cache_dir=None,
):
    """Pretrain a ResNet on spectrograms of MIT-BIH beats, and keep its weights with their card.

    The first half of the study's transfer: beats are sorted into the AAMI classes by a network
    that :func:`crtkit.studies.he2023.pipelines` (``weights=path``) then fine-tunes. Subjects, not
    beats, are held out: the card says how the network does on people it has not seen.

    Parameters
    ----------
    path : path-like
        Weights to write (``.safetensors``).
    data : path-like, optional
        Folder of MIT-BIH; default ``CRTKIT_DATA/mitdb``.
    setup : {"paper", "aami"}, default="paper"
        ``"paper"``: all 48 records and five classes, a fifth of the subjects held out. ``"aami"``:
        the 44 records that are not paced and four classes, DS2 held out (de Chazal 2004).
    depth : {18, 34, 50, 101}, default=18
    width : int, default=64
        Channels of the first stage; 8 is for two cores.
    size : int, default=64
        Pixels of a picture's side.
    window : int, optional
        Samples at 360 Hz; default 512 for ``"paper"``, 96 for ``"aami"``.
    max_epochs : int, default=12
    beats_per_class : int, default=1000
        Most beats of a class and record that are learned from.
    max_test : int, optional
        Test on so many beats only.
    device : str, default="cpu"
    random_state : int, default=0
        Of the held-out subjects, the choice of beats and the network.
    cache_dir : path-like, optional
        Keeps the beats.

    Returns
    -------
    dict
        The card: data, records of both sides, settings, scores on the held-out subjects.

    Raises
    ------
    ValueError
        Unknown set-up.
    FileNotFoundError
        No MIT-BIH records.

    Examples
    --------
    >>> from crtkit.studies import he2023
    >>> he2023.pretrain("resnet18.safetensors", setup="ami")
    Traceback (most recent call last):
    ...
    ValueError: setup must be one of ['aami', 'paper'], got 'ami'.
    """
    if setup not in CLASSES:
        raise ValueError(f"setup must be one of {sorted(CLASSES)}, got {setup!r}.")
    settings = Settings(
        setup=setup,
        depth=depth,
        width=width,
        size=size,
        window=window or WINDOWS[setup],
        epochs=max_epochs,
        cap=beats_per_class,
        seed=random_state,
        device=device,
    )
    beats = load_beats(settings, data, cache_dir)
    train, _, test = draw_beats(beats, settings, max_test)
    net = beats.network(train, beats.pictures(train))
    figures, _ = scores(beats.y[test], net.predict(beats.pictures(test)), CLASSES[setup])
    return save_network(
        net,
        Path(path),
        settings=settings,
        beats=beats,
        train=train,
        test=test,
        what=WHAT[setup],
        figures=figures,
    )


def load_beats(settings, data=None, cache_dir=None, subset=None):
    """Beats of the records of a set-up, or of a named subset.

    Parameters
    ----------
    settings : Settings or Namespace
    data, cache_dir : path-like, optional
    subset : str or list of str, optional
        As :func:`crtkit.datasets.load_mitbih` takes it.

    Returns
    -------
    Beats
    """
    # AAMI counts the 15 unclassifiable beats of the 44 records apart.
    subset = subset or ("aami" if settings.setup == "aami" else "all")
    records = load_mitbih(data, subset=subset)
    cohort = segment_beats(records, classes=CLASSES[settings.setup], cache_dir=cache_dir)
    return Beats(cohort, settings)


def draw_beats(beats, settings, max_test=None):
    """Rows to train on, all rows that might have been, and rows to test on.

    Parameters
    ----------
    beats : Beats
    settings : Settings or Namespace
    max_test : int, optional

    Returns
    -------
    train, candidates, test : ndarray of int
    """
    rng = np.random.default_rng(settings.seed)
    candidates, test = split_subjects(beats, settings.setup, settings.seed)
    train = choose(beats.y, beats.records, candidates, settings.cap, rng)
    # A quick run scores fewer beats, drawn, so that the shares of classes stay.
    if max_test and len(test) > max_test:
        test = np.sort(rng.choice(test, max_test, replace=False))
    return train, candidates, test


def split_subjects(beats, setup, seed):
    """Rows that may be trained on, and rows to test on, with no subject on both sides but 201."""
    if setup == "aami":
        part = np.isin(beats.records, mitbih.DS2)
        return np.flatnonzero(~part), np.flatnonzero(part)
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    # One fold of the five: a single network is kept, and judged on those it never saw.
    return next(folds.split(beats.records, beats.y, beats.groups))


def scores(y_true, y_pred, classes, sample_weight=None):
    """Figures of the arrhythmia field from answers beat by beat.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_beats,)
    classes : sequence of str
    sample_weight : array-like of shape (n_beats,), optional
        How many beats each one stands for.

    Returns
    -------
    figures : dict
        ``n, accuracy, macro sensitivity, kappa, j_kappa`` and a sensitivity and PPV of each class;
        nan where there is no such beat. ``j_kappa`` is ``kappa / 2 + j / 8``, with ``j`` the sum of
        the sensitivities and PPVs of S and V (Mar et al. 2011).
    matrix : DataFrame
        Beats, truth down, answer across.
    """
    counts = confusion_matrix(y_true, y_pred, labels=list(classes), sample_weight=sample_weight)
    total = counts.sum()
    # A class without a beat has no sensitivity; the mean below leaves it out.
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = counts.diagonal() / counts.sum(axis=1)
        ppv = counts.diagonal() / counts.sum(axis=0)
    accuracy = counts.trace() / total
    # Agreement that the margins alone give, which kappa takes off.
    chance = float(counts.sum(axis=0) @ counts.sum(axis=1)) / total**2
    kappa = (accuracy - chance) / (1 - chance) if chance < 1 else np.nan
    at = [list(classes).index(c) for c in J_CLASSES]
    j = sensitivity[at].sum() + ppv[at].sum()
    figures = {
        "n": round(float(total)),
        "accuracy": float(accuracy),
        "macro sensitivity": float(np.nanmean(sensitivity)),
        "kappa": float(kappa),
        "j_kappa": float(kappa / 2 + j / 8),
    }
    for name, se, positive in zip(classes, sensitivity, ppv):
        figures[f"{name} sensitivity"] = float(se)
        figures[f"{name} PPV"] = float(positive)
    matrix = pd.DataFrame(counts, index=pd.Index(classes, name="truth"), columns=list(classes))
    return figures, matrix


def save_network(net, path, *, settings, beats, train, test, what, figures):
    """Write a network with the card that says what it is and how it did.

    Parameters
    ----------
    net : ResNetClassifier
    path : Path
    settings : Settings or Namespace
    beats : Beats
    train, test : ndarray of int
        Rows trained on, and rows never seen.
    what : str
        The set-up, in words.
    figures : dict
        Scores on the rows never seen; nan become null.
    """
    from crtkit.neural import save_weights

    card = {
        "data": "MIT-BIH Arrhythmia Database 1.0.0 (ODC-BY 1.0)",
        "set_up": what,
        "training_records": sorted(set(beats.records[train].tolist())),
        "test_records": sorted(set(beats.records[test].tolist())),
        "classes": list(CLASSES[settings.setup]),
        "depth": settings.depth,
        "width": settings.width,
        "size": settings.size,
        "stft": {**STFT, **beats.stft},
        "epochs": settings.epochs,
        "cap": settings.cap,
        "seed": settings.seed,
        "scores": {k: None if np.isnan(v) else round(v, 4) for k, v in figures.items()},
    }
    save_weights(net, path, card=card)
    return card

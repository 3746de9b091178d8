"""From signals to spectrograms of beats and their pictures (He et al. 2023)."""

import numpy as np

from crtkit.images import SpectrogramImager
from crtkit.signals import NoBeatsError, STFTTransformer, cut_beats

#: Sampling rate of MIT-BIH, in Hz, that every spectrogram is computed at.
FS = 360

#: Ours but for the window: 1.42 s, which is longer than most beats, so that beats are padded.
STFT = {"window": "hann", "window_length": 512, "hop_length": 32, "max_frequency": 45.0}
PICTURE = {"db_range": (-70.0, 0.0), "colour_map": "viridis"}


def representative_beats(signals, *, fs=FS, rr=1.2, before=0.5, n_samples=512):
    """Replace each record by its median beat of ``rr`` RR intervals.

    Beats are those of :func:`crtkit.signals.cut_beats`: high-pass filtered, R peak at
    ``round(before * n_samples)``, zeros around. The number of records stays what it was, so that
    the function is a pipeline's step; the paper's way, every beat for itself, is
    ``segment_beats(cohort)`` before ``pipelines(unit="beat")``.

    Parameters
    ----------
    signals : array-like or Rows of shape (n_records, n_leads, n_samples_in)
        Millivolt; a 2-D array is one lead. R peaks come from II of twelve leads, else the first.
    fs : float
        Hz.
    rr, before, n_samples
        As in :func:`crtkit.signals.cut_beats`.

    Returns
    -------
    ndarray of shape (n_records, n_leads, n_samples), float32

    Raises
    ------
    ValueError
        Records without two whole beats (flat, NaN, too short): all are named.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.studies import he2023
    >>> t = np.arange(3600) / 360
    >>> x = np.exp(-0.5 * ((t % 0.8 - 0.4) / 0.012) ** 2)
    >>> beats = he2023.representative_beats(x[None, None])
    >>> beats.shape, int(beats[0, 0].argmax())
    ((1, 1, 512), 256)
    """
    beats, lost = [], []
    for row in range(len(signals)):
        try:
            cut = cut_beats(signals[row], fs, rr=rr, before=before, n_samples=n_samples).signals
        except NoBeatsError:
            cut = np.empty((0,))
        if len(cut):
            beats.append(np.median(cut, axis=0))
        else:
            lost.append(row)
    if lost:
        raise ValueError(
            f"representative_beats got no whole beat in record(s) {lost}: flat, NaN, or shorter "
            "than two beats. Leave them out (signals.signal_quality tells which)."
        )
    return np.stack(beats).astype(np.float32)


def spectrogram_steps(*, stft=None):
    """Steps from beats at 360 Hz to spectrograms.

    Parameters
    ----------
    stft : dict, optional
        Replaces some of ``STFT``.

    Returns
    -------
    list of transformers

    Examples
    --------
    >>> from crtkit.studies import he2023
    >>> [type(step).__name__ for step in he2023.spectrogram_steps()]
    ['STFTTransformer']
    """
    return [STFTTransformer(fs=FS, **{**STFT, **(stft or {})})]


def picture_steps(size, n_leads=12, lead=None):
    """Steps from spectrograms to pictures.

    Parameters
    ----------
    size : tuple of int
        Height and width of one lead's tile.
    n_leads : int
        Of the record; twelve tiles make a page of three rows of four.
    lead : int, optional
        Only this lead.

    Returns
    -------
    list of transformers

    Examples
    --------
    >>> from crtkit.studies import he2023
    >>> he2023.picture_steps((32, 32))[0].size
    (96, 128)
    """
    if lead is not None:
        return [SpectrogramImager(size=tuple(size), leads=[lead], **PICTURE)]
    down, across = (3, 4) if n_leads == 12 else (n_leads, 1)
    return [SpectrogramImager(size=(down * size[0], across * size[1]), **PICTURE)]

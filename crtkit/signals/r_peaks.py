"""R peaks of one lead, and how well they were detected."""

import numpy as np

from crtkit._io import import_optional
from crtkit.signals.shannon import detect_shannon

MIN_SECONDS = 0.5
# Below, a complex of 80 ms is four samples.
MIN_FS = 50.0


def detect_r_peaks(x, fs, method="shannon") -> np.ndarray:
    """Find the R peaks of one lead.

    ``"shannon"`` follows he2023's description: a Chebyshev type I band-pass (order 4, 5-20 Hz,
    zero phase), the Shannon energy of the slope relative to its local maximum, smoothed into an
    envelope; peaks above a share of the local level, no two within the refractory period, T and
    P waves left out by their slope, long intervals searched again with a lower threshold, and
    each peak moved to the summit near it that lies furthest from the local level (of notched
    complexes, to the first summit of at least 80 % of the largest). It looks both ways in time, so
    it is for recordings, not for monitoring. Its settings were chosen on MIT-BIH, most of them on
    DS1 alone.

    Parameters
    ----------
    x : array-like of shape (n_samples,)
        One lead, in any unit, at least half a second.
    fs : float
        Sampling rate in Hz, at least 50.
    method : {"shannon", "sleepecg"}
        ``"sleepecg"`` is that library's detector (``pip install 'crtkit[rpeaks]'``).

    Returns
    -------
    ndarray of int, shape (n_peaks,)
        Samples, increasing.

    Raises
    ------
    ValueError
        More than one lead, NaN, a flat lead, a record or sampling rate below the limits, an
        unknown method.
    ImportError
        ``method="sleepecg"`` without sleepecg.

    References
    ----------
    Manikandan and Soman, Biomed Signal Process Control 7(2), 2012 (Shannon energy envelope).
    Pan and Tompkins, IEEE Trans Biomed Eng 32(3), 1985 (search back, T wave by slope).

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import detect_r_peaks
    >>> time = np.arange(3600) / 360
    >>> x = np.exp(-0.5 * ((time % 0.8 - 0.4) / 0.012) ** 2)
    >>> np.diff(detect_r_peaks(x, 360)).tolist()
    [288, 288, 288, 288, 288, 288, 288, 288, 288, 288, 288]
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"detect_r_peaks expects one lead (n_samples,), got shape {x.shape}.")
    if not fs >= MIN_FS:  # nan too
        raise ValueError(f"detect_r_peaks needs fs >= {MIN_FS:g} Hz, got {fs:g}.")
    if len(x) < MIN_SECONDS * fs:
        raise ValueError(
            f"detect_r_peaks needs at least {MIN_SECONDS:g} s, got {len(x)} samples at {fs:g} Hz."
        )
    lowest, highest = x.min(), x.max()  # NaN if there is one
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        n_missing = int((~np.isfinite(x)).sum())
        raise ValueError(
            f"detect_r_peaks got {n_missing} missing or infinite sample(s) of {len(x)}. Fill the "
            "gaps, or pass the finite runs one by one."
        )
    # Relative to the offset, which rounding is: a constant 1000 mV is flat too.
    if highest - lowest <= 1e-9 * max(1.0, -lowest, highest):
        raise ValueError("detect_r_peaks got a flat lead: there is nothing to find in it.")
    if method == "shannon":
        return detect_shannon(x, fs)
    if method != "sleepecg":
        raise ValueError(f"method must be 'shannon' or 'sleepecg', got {method!r}.")
    sleepecg = import_optional("sleepecg", extra="rpeaks", purpose="method='sleepecg'")
    return np.asarray(sleepecg.detect_heartbeats(x, fs), dtype=np.intp)


def match_beats(detected, reference, tolerance) -> np.ndarray:
    """Pair detected beats with reference beats, one to one.

    Parameters
    ----------
    detected, reference : array-like of int
        Samples, increasing.
    tolerance : float
        Largest distance of a pair, in samples.

    Returns
    -------
    ndarray of int, shape (n_pairs, 2)
        Positions in ``detected`` and ``reference``; as many pairs as can be made.

    Examples
    --------
    >>> from crtkit.signals import match_beats
    >>> match_beats([10, 95, 130], [100, 200], 20).tolist()
    [[1, 0]]
    """
    detected, reference = np.asarray(detected), np.asarray(reference)
    pairs = []
    i = j = 0
    ours, true = detected.tolist(), reference.tolist()
    while i < len(ours) and j < len(true):
        apart = ours[i] - true[j]
        if abs(apart) > tolerance:
            i, j = (i + 1, j) if apart < 0 else (i, j + 1)
            continue
        # The nearest wins, but not if that leaves the next reference beat without a partner.
        nearer = i + 1 < len(ours) and abs(ours[i + 1] - true[j]) < abs(apart)
        free = j + 1 == len(true) or (
            i + 1 < len(ours) and abs(ours[i + 1] - true[j + 1]) > tolerance
        )
        if nearer and free:
            i += 1
            continue
        pairs.append((i, j))
        i, j = i + 1, j + 1
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def score_r_peaks(detected, reference, fs, *, tolerance=0.15, exclude=None) -> dict[str, float]:
    """Count how well R peaks were detected.

    Parameters
    ----------
    detected, reference : array-like of int
        Samples, increasing.
    fs : float
        Hz.
    tolerance : float
        Seconds between a detection and its beat; ANSI/AAMI EC57 asks for 0.15.
    exclude : array-like of shape (n, 2), optional
        First and last samples of episodes in which neither beats nor detections count:
        ventricular flutter, where no QRS complexes exist (MIT-BIH 207), as EC57 says.

    Returns
    -------
    dict
        ``n_beats``, ``tp``, ``fp``, ``fn``, ``sensitivity`` and ``ppv`` (shares; nan without
        beats or detections), ``error_ms`` (median distance of the pairs).

    Examples
    --------
    >>> from crtkit.signals import score_r_peaks
    >>> score = score_r_peaks([100, 460, 900], [100, 462, 800, 1200], fs=360)
    >>> score["tp"], score["fp"], score["fn"]
    (2, 1, 2)
    """
    detected, reference = np.asarray(detected), np.asarray(reference)
    # Both lists lose the episode: ventricular flutter has no beats to count (AAMI EC57).
    for first, last in np.asarray(exclude if exclude is not None else []).reshape(-1, 2):
        detected = detected[(detected < first) | (detected > last)]
        reference = reference[(reference < first) | (reference > last)]
    pairs = match_beats(detected, reference, tolerance * fs)
    tp = len(pairs)
    error = np.abs(detected[pairs[:, 0]] - reference[pairs[:, 1]]) / fs * 1000
    return {
        "n_beats": len(reference),
        "tp": tp,
        "fp": len(detected) - tp,
        "fn": len(reference) - tp,
        "sensitivity": tp / len(reference) if len(reference) else np.nan,
        "ppv": tp / len(detected) if len(detected) else np.nan,
        "error_ms": float(np.median(error)) if tp else np.nan,
    }

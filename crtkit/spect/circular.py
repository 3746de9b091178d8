"""Statistics of angles on the circle, in degrees: right across 0/360, whatever the angles are.

Every function works on the last axis and leaves NaN out, as cells without counts are NaN.
"""

import numpy as np

# Below this resultant length the directions cancel, and what is left is rounding.
NO_DIRECTION = 1e-12
# A spread of the order of rounding is none.
NO_SPREAD = 1e-9


def wrap_degrees(angle):
    """Angles in [-180, 180).

    Parameters
    ----------
    angle : array-like
        In degrees.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> from crtkit.spect import wrap_degrees
    >>> wrap_degrees([350.0, 180.0, -190.0])
    array([ -10., -180.,  170.])
    """
    return (np.asarray(angle, dtype=np.float64) + 180.0) % 360.0 - 180.0


def circle_degrees(angle):
    """Angles in [0, 360), in their own floating dtype: rounding never gives 360.

    Parameters
    ----------
    angle : ndarray of float

    Returns
    -------
    ndarray
    """
    out = np.mod(angle, 360.0)
    return np.where(out >= 360.0, out.dtype.type(0.0), out)


def _angles(phase):
    """Angles as float64 with at least one axis; infinity is not an angle."""
    phase = np.atleast_1d(np.asarray(phase, dtype=np.float64))
    if np.isinf(phase).any():
        raise ValueError("Phases are degrees, or NaN where there is none; got infinity.")
    return phase


def _rows(phase):
    """One row per set of angles, also where sets are empty."""
    return phase.reshape(int(np.prod(phase.shape[:-1])), phase.shape[-1])


def _check_coverage(coverage):
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is a part of the cells, in (0, 1]; got {coverage!r}.")


def circular_mean(phase):
    """Direction and length of the mean of unit vectors.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.

    Returns
    -------
    mean : ndarray of shape (...)
        In [0, 360); NaN where there is no mean direction (all directions cancel, or all NaN).
    length : ndarray of shape (...)
        Resultant length: 1 for equal angles, 0 for none preferred.

    Raises
    ------
    ValueError
        A phase is infinite.

    Examples
    --------
    >>> from crtkit.spect import circular_mean
    >>> mean, length = circular_mean([350.0, 20.0])
    >>> round(float(mean), 6), round(float(length), 6)
    (5.0, 0.965926)
    """
    phase = _angles(phase)
    there = ~np.isnan(phase)
    # A row of NaN divides by one; its length is then 0 and its mean NaN.
    n = np.maximum(there.sum(axis=-1), 1)
    radians = np.deg2rad(np.where(there, phase, 0.0))
    x = np.where(there, np.cos(radians), 0.0).sum(axis=-1) / n
    y = np.where(there, np.sin(radians), 0.0).sum(axis=-1) / n
    length = np.hypot(x, y)
    mean = circle_degrees(np.rad2deg(np.arctan2(y, x)))
    return np.where(length < NO_DIRECTION, np.nan, mean), np.minimum(length, 1.0)


def circular_sd(phase):
    """Circular standard deviation sqrt(-2 ln R) of the resultant length R, in degrees.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)

    Returns
    -------
    ndarray of shape (...)
        NaN where there is no mean direction.

    Raises
    ------
    ValueError
        A phase is infinite.

    Examples
    --------
    >>> from crtkit.spect import circular_sd
    >>> round(float(circular_sd([350.0, 20.0])), 3)
    15.087
    """
    _, length = circular_mean(phase)
    # log(0) would warn; the rows it stands for are NaN in the end.
    safe = np.where(length < NO_DIRECTION, 1.0, length)
    sd = np.rad2deg(np.sqrt(np.maximum(-2.0 * np.log(safe), 0.0)))
    return np.where(length < NO_DIRECTION, np.nan, sd)


def phase_moments(phase, ddof=0):
    """Mean, SD, skewness and kurtosis of angles about their circular mean.

    The SD of the differences from the circular mean, wrapped to [-180, 180), is the phase SD: a
    linear SD where nothing wraps, and unchanged by a rotation.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    ddof : int, default=0
        Of the SD; skewness and kurtosis have none.

    Returns
    -------
    mean, sd, skewness, kurtosis : ndarray of shape (...)
        In degrees, the last two without unit; kurtosis is Pearson's (3 for a normal). All NaN where
        there is no mean direction, the last two also where all angles are equal.

    Raises
    ------
    ValueError
        A phase is infinite.

    Examples
    --------
    >>> from crtkit.spect import phase_moments
    >>> mean, sd, skewness, kurtosis = phase_moments([350.0, 0.0, 10.0])
    >>> round(float(sd), 4), round(float(kurtosis), 4)
    (8.165, 1.5)
    """
    phase = _angles(phase)
    mean, _ = circular_mean(phase)
    gap = wrap_degrees(phase - mean[..., None])
    there = ~np.isnan(gap)
    n = there.sum(axis=-1)
    safe = np.maximum(n, 1)
    centred = np.where(there, gap, 0.0)
    # The mean of wrapped differences is near 0 but not 0; without this the moments are not central.
    centred = np.where(there, centred - (centred.sum(axis=-1) / safe)[..., None], 0.0)
    m2, m3, m4 = ((centred**k).sum(axis=-1) / safe for k in (2, 3, 4))
    defined = ~np.isnan(mean) & (n > ddof)
    sd = np.sqrt(m2 * n / np.maximum(n - ddof, 1))
    # Equal angles leave 1e-14, of which skewness and kurtosis would make any number.
    sd = np.where(np.sqrt(m2) < NO_SPREAD, 0.0, sd)
    spread = defined & (sd > 0)
    scale = np.where(spread, m2, 1.0)
    skewness = np.where(spread, m3 / scale**1.5, np.nan)
    kurtosis = np.where(spread, m4 / scale**2, np.nan)
    return mean, np.where(defined, sd, np.nan), skewness, kurtosis


def phase_bandwidth(phase, coverage=0.95):
    """Length of the shortest arc that holds at least a part of the angles.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    coverage : float in (0, 1], default=0.95
        ceil(coverage * n) of n angles are inside.

    Returns
    -------
    width : ndarray of shape (...)
        In [0, 360); the arc may cross 0. NaN where every angle is NaN.
    start : ndarray of shape (...)
        Where the arc begins, in [0, 360).

    Raises
    ------
    ValueError
        A coverage outside (0, 1], infinite angles.

    Examples
    --------
    >>> from crtkit.spect import phase_bandwidth
    >>> width, start = phase_bandwidth([350.0, 355.0, 5.0, 10.0])
    >>> float(width), float(start)
    (20.0, 350.0)
    """
    _check_coverage(coverage)
    phase = _angles(phase)
    flat = np.sort(circle_degrees(_rows(phase)), axis=1)
    n = (~np.isnan(flat)).sum(axis=1)
    width, start = np.full(len(flat), np.nan), np.full(len(flat), np.nan)
    # Rows with equally many cells go together: the arc is a fixed step in the sorted angles.
    for m in np.unique(n[n > 0]):
        rows = np.flatnonzero(n == m)
        angles = flat[rows, :m]
        inside = n_inside(m, coverage)
        # Twice around, so that an arc across 0 is a step like any other.
        twice = np.concatenate([angles, angles + 360.0], axis=1)
        arcs = twice[:, inside - 1 : inside - 1 + m] - angles
        best = arcs.argmin(axis=1)
        width[rows] = arcs[np.arange(len(rows)), best]
        start[rows] = angles[np.arange(len(rows)), best]
    shape = phase.shape[:-1]
    return width.reshape(shape), start.reshape(shape)


def n_inside(n, coverage):
    """ceil(coverage * n), safe against rounding."""
    # 0.55 * 100 is 55.00000000000001 in floating point, whose ceiling would be 56.
    return max(1, int(np.ceil(coverage * n - 1e-9)))


def phase_histogram(phase, bin_width=6.0):
    """Counts of angles in bins from 0.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    bin_width : float, default=6.0
        In degrees; it divides 360.

    Returns
    -------
    ndarray of int of shape (..., n_bins)

    Raises
    ------
    ValueError
        The bins do not fill the circle, infinite angles.

    Examples
    --------
    >>> from crtkit.spect import phase_histogram
    >>> phase_histogram([0.0, 95.0, 359.0], bin_width=90)
    array([1, 1, 0, 1])
    """
    n_bins = round(360.0 / bin_width) if bin_width > 0 else 0
    if n_bins < 2 or abs(n_bins * bin_width - 360.0) > 1e-9:
        raise ValueError(f"phase_histogram needs a bin_width that divides 360, got {bin_width!r}.")
    phase = _angles(phase)
    flat = circle_degrees(_rows(phase))
    row, cell = np.nonzero(~np.isnan(flat))
    # 359.9999 / 6 may round up to the bin after the last.
    number = np.minimum((flat[row, cell] / bin_width).astype(np.int64), n_bins - 1)
    counts = np.bincount(row * n_bins + number, minlength=len(flat) * n_bins)
    return counts.reshape(*phase.shape[:-1], n_bins)


def phase_entropy(phase, bin_width=6.0):
    """Entropy of the phase histogram in per cent of its maximum.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    bin_width : float, default=6.0
        In degrees; the figure depends on it, so it belongs to the figure.

    Returns
    -------
    ndarray of shape (...)
        0 for one filled bin, 100 for a flat histogram; NaN where every angle is NaN.

    Raises
    ------
    ValueError
        A phase is infinite, or ``bin_width`` does not divide 360.

    Examples
    --------
    >>> from crtkit.spect import phase_entropy
    >>> float(phase_entropy([3.0, 93.0, 183.0, 273.0], bin_width=90))
    100.0
    """
    counts = phase_histogram(phase, bin_width)
    total = counts.sum(axis=-1)
    share = counts / np.maximum(total, 1)[..., None]
    # 0 log 0 is 0, its limit.
    terms = share * np.log(np.where(share > 0, share, 1.0))
    entropy = 100.0 * np.maximum(-terms.sum(axis=-1), 0.0) / np.log(counts.shape[-1])
    return np.where(total > 0, entropy, np.nan)


def histogram_bandwidth(phase, bin_width=6.0, coverage=0.95):
    """Shortest run of histogram bins that holds a part of the angles: PBW as workstations read it.

    Parameters
    ----------
    phase : array-like of shape (..., n_cells)
        In degrees; NaN is left out.
    bin_width : float, default=6.0
    coverage : float in (0, 1], default=0.95

    Returns
    -------
    ndarray of shape (...)
        In degrees, a multiple of the bin width, at most 360; NaN where every angle is NaN.

    Raises
    ------
    ValueError
        A coverage outside (0, 1], bins that do not fill the circle, infinite angles.

    Examples
    --------
    >>> from crtkit.spect import histogram_bandwidth
    >>> float(histogram_bandwidth([355.0, 1.0, 8.0], bin_width=6))
    18.0
    """
    _check_coverage(coverage)
    counts = phase_histogram(phase, bin_width)
    n_bins = counts.shape[-1]
    flat = counts.reshape(-1, n_bins)
    sums = np.cumsum(np.concatenate([np.zeros_like(flat[:, :1]), flat, flat], axis=1), axis=1)
    total = sums[:, n_bins]
    wanted = np.array([n_inside(m, coverage) for m in total])
    out = np.where(total > 0, 360.0, np.nan)
    # From wide to narrow: once no row fits a run, no row fits a narrower one.
    for run in range(n_bins - 1, 0, -1):
        most = (sums[:, run : run + n_bins] - sums[:, :n_bins]).max(axis=1)
        fits = (total > 0) & (most >= wanted)
        out[fits] = run * bin_width
        if not fits.any():
            break
    return out.reshape(counts.shape[:-1])

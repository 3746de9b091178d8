"""Signal quality by lead: what a reader would exclude by eye, measured and counted."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.signal import butter, sosfiltfilt

from crtkit._leads import default_names, missing_leads, refuse_exchanged_axes
from crtkit._validation import as_leads
from crtkit.cohort.rows import Rows

#: Default limits; a lead is flagged where its measure lies above.
QUALITY_LIMITS = {
    "missing_fraction": 0.0,
    "flat_fraction": 0.1,
    "clipped_fraction": 0.005,
    "noise_mv": 0.05,
    "drift_mv": 1.0,
}

#: Score of :func:`quality_score` that 95 % of the acceptable records of the Challenge 2011 exceed;
#: three quarters of the unacceptable ones do not.
ACCEPTABLE_SCORE = 0.257

FLAGS = ("missing", "flat", "clipped", "noise", "drift")

# Four steps of 5 uV, the coarsest resolution in use: a lead that moves less shows no complex.
FLAT_RANGE_MV = 0.02
FLAT_WINDOW_S = 2.0
# Two equal extremes in a row happen in any quantised signal; three seldom.
CLIPPED_RUN = 3
NOISE_HIGHPASS_HZ = 30.0
# Short enough that the median over windows leaves the complexes out, which are steep too.
NOISE_WINDOW_S = 0.1
DRIFT_WINDOW_S = 1.0
BLOCK = 64


def signal_quality(signals, fs, *, lead_names=None, limits=None) -> pd.DataFrame:
    """Measure and flag missing, flat, clipped, noisy and drifting leads.

    Parameters
    ----------
    signals : array-like or Rows of shape (n_records, n_leads, n_samples)
        Millivolt, as recorded: filters hide what is looked for here. A 2-D array is one lead.
        NaN counts as missing; every other measure is taken over what is there.
    fs : float
        Sampling rate in Hz, at least 80 (noise is what lies above 30 Hz).
    lead_names : sequence of str, optional
        Default: the standard names for twelve leads, else ``lead0``, ``lead1``, ...
    limits : dict, optional
        Replaces some of :data:`QUALITY_LIMITS`. A lead is flagged where a measure is above its
        limit.

    Returns
    -------
    DataFrame
        A row for each record and lead, indexed by (record, lead). Measures:

        - ``missing_fraction``: share of NaN; 1 for a lead of one constant value, too.
        - ``flat_fraction``: share of 2 s windows in which the signal stays within 0.02 mV.
        - ``clipped_fraction``: share of samples in runs of three or more that sit at the lead's
          own maximum or minimum, where that lies more than a tenth of the range from the median.
        - ``noise_mv``: median over 0.1 s windows of the RMS above 30 Hz (QRS complexes fill too
          few windows to count; mains counts).
        - ``drift_mv``: largest less smallest of the medians of 1 s windows.

        Flags (bool): ``missing``, ``flat``, ``clipped``, ``noise``, ``drift``, and ``usable``,
        where none of the others is raised.

    Raises
    ------
    ValueError
        Not 2-D or 3-D, no samples, infinite values, ``fs`` below 80, unknown limits, a wrong
        number of lead names.

    See Also
    --------
    usable_records : one answer per record.
    quality_counts : numbers for a flow diagram.

    Notes
    -----
    The limits are ours: mori2025 excluded "baseline drift or high-frequency noise" by eye and
    gives no number. A drift of 1 mV is 10 mm of paper, where a lead runs into the next one's row.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import signal_quality
    >>> signals = np.zeros((1, 2, 5000))
    >>> signals[0, 0, ::400] = 1.0
    >>> signal_quality(signals, 500)[["flat", "usable"]].loc[0].to_dict("index")
    {'lead0': {'flat': False, 'usable': True}, 'lead1': {'flat': True, 'usable': False}}
    """
    limits = _merge_limits(limits)
    # Noise is measured above 30 Hz, and a filter needs room below Nyquist.
    if not fs >= 80:  # nan too
        raise ValueError(f"signal_quality needs fs >= 80 Hz to measure noise, got fs={fs:g}.")
    if not isinstance(signals, Rows):
        signals = np.asarray(signals)
    if signals.ndim not in (2, 3) or 0 in signals.shape:
        raise ValueError(
            "signal_quality expects signals of shape (n_records, n_leads, n_samples) or "
            f"(n_records, n_samples), got {signals.shape}."
        )
    refuse_exchanged_axes("signal_quality", signals.shape)
    n_leads = 1 if signals.ndim == 2 else signals.shape[1]
    names = _lead_names(lead_names, n_leads)
    blocks = [
        _measure(as_leads(np.asarray(signals[start : start + BLOCK], dtype=np.float64)), fs)
        for start in range(0, len(signals), BLOCK)
    ]
    measures = {key: np.concatenate([block[key] for block in blocks]).ravel() for key in limits}
    index = pd.MultiIndex.from_product([range(len(signals)), names], names=["record", "lead"])
    table = pd.DataFrame(measures, index=index)
    for flag, (measure, limit) in zip(FLAGS, limits.items()):
        table[flag] = (table[measure] > limit).to_numpy()
    table["usable"] = ~table[list(FLAGS)].any(axis=1)
    return table


def usable_records(quality, *, max_bad_leads=0, min_score=None) -> np.ndarray:
    """Select the records with at most ``max_bad_leads`` flagged leads.

    Parameters
    ----------
    quality : DataFrame
        From :func:`signal_quality`.
    max_bad_leads : int
        Flagged leads that a record may have.
    min_score : float, optional
        Instead of counting flags, ask for this :func:`quality_score` (of the default limits), for
        example :data:`ACCEPTABLE_SCORE`.

    Returns
    -------
    ndarray of bool, shape (n_records,)
        In the order of the records.

    Raises
    ------
    ValueError
        A limit that :data:`QUALITY_LIMITS` has not.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import signal_quality, usable_records
    >>> usable_records(signal_quality(np.zeros((3, 5000)), 500))
    array([False, False, False])
    """
    if min_score is not None:
        return (quality_score(quality) >= min_score).to_numpy()
    bad = (~quality["usable"]).groupby(level="record", sort=False).sum()
    return (bad <= max_bad_leads).to_numpy()


def quality_score(quality, *, limits=None) -> pd.Series:
    """One number for each record: how far its worst lead is from the limits.

    Parameters
    ----------
    quality : DataFrame
        From :func:`signal_quality`.
    limits : dict, optional
        Replaces some of :data:`QUALITY_LIMITS`; those that the table was made with.

    Returns
    -------
    Series of shape (n_records,)
        ``1 / (1 + w)``, where w is the largest ratio of a measure to its limit over the leads: 1
        is a perfect record, 0.5 one whose worst lead is on a limit. Where a limit is 0, what
        exceeds it counts as ten times its share, and one limit more.

    Raises
    ------
    ValueError
        A limit that :data:`QUALITY_LIMITS` has not.

    Notes
    -----
    Nothing is learned. On set A of the PhysioNet/CinC Challenge 2011 (773 acceptable, 159
    unacceptable records, called so by readers) its AUC is 0.94; at :data:`ACCEPTABLE_SCORE`, which
    was set there, 95 % of the acceptable records stay and 77 % of the unacceptable ones go.
    ``benchmarks/qrs_real`` measures it.

    References
    ----------
    Silva, Moody, Celi, "Improving the quality of ECGs collected using mobile phones: the
    PhysioNet/Computing in Cardiology Challenge 2011", Computing in Cardiology 38, 2011.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import quality_score, signal_quality
    >>> signals = np.zeros((2, 1, 5000))
    >>> signals[0, 0, ::400] = 1.0
    >>> quality_score(signal_quality(signals, 500)).round(1).tolist()
    [1.0, 0.1]
    """
    ratios = []
    for measure, limit in _merge_limits(limits).items():
        value = quality[measure]
        # With a limit of 0 any missing sample is beyond it, and more is worse.
        ratios.append(value / limit if limit > 0 else (1.0 + 10.0 * value).where(value > 0, 0.0))
    worst = pd.concat(ratios, axis=1).max(axis=1).groupby(level="record", sort=False).max()
    return (1.0 / (1.0 + worst)).rename("quality_score")


def quality_counts(quality, *, max_bad_leads=0) -> pd.Series:
    """Count records for a flow diagram: how many, how many excluded, and why.

    Parameters
    ----------
    quality : DataFrame
        From :func:`signal_quality`.
    max_bad_leads : int
        As in :func:`usable_records`.

    Returns
    -------
    Series of int
        ``records``, ``excluded``, ``usable``, and, among the excluded, the number with at least
        one lead ``missing``, ``flat``, ``clipped``, ``noise``, ``drift`` (a record may count
        under several).

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import quality_counts, signal_quality
    >>> int(quality_counts(signal_quality(np.zeros((3, 5000)), 500))["flat"])
    3
    """
    usable = usable_records(quality, max_bad_leads=max_bad_leads)
    by_record = quality[list(FLAGS)].groupby(level="record", sort=False).any()
    counts = {
        "records": len(usable),
        "excluded": int((~usable).sum()),
        "usable": int(usable.sum()),
    }
    counts.update({flag: int(by_record.loc[~usable, flag].sum()) for flag in FLAGS})
    return pd.Series(counts, name="n_records")


def _merge_limits(limits) -> dict[str, float]:
    unknown = set(limits or ()) - set(QUALITY_LIMITS)
    if unknown:
        raise ValueError(
            f"signal_quality knows the limits {list(QUALITY_LIMITS)}, got {sorted(unknown)}."
        )
    return {**QUALITY_LIMITS, **(limits or {})}


def _lead_names(lead_names, n_leads) -> Sequence[str]:
    if lead_names is None:
        return default_names(n_leads)
    if len(lead_names) != n_leads:
        raise ValueError(f"{n_leads} leads need {n_leads} names, got {list(lead_names)}.")
    return list(lead_names)


def _measure(x, fs) -> dict[str, np.ndarray]:
    missing = np.isnan(x)
    unrecorded = missing_leads(x)  # an electrode that was off may be stored as zeros
    if np.isinf(x).any():
        raise ValueError("signal_quality got infinite values; mark what is missing with NaN.")
    # A lead without samples is judged by missing_fraction alone; zeros keep the filters defined.
    empty = missing.all(-1)
    x = np.where(empty[..., None], 0.0, x)
    x = _fill_gaps(x) if missing.any() else x
    flat = _windows(x, fs, FLAT_WINDOW_S)
    noise = _windows(_highpass(x, fs), fs, NOISE_WINDOW_S)
    # Interpolated stretches would count as level in the drift, so they are hidden again.
    hidden = missing & ~empty[..., None]
    levels = _median_of_present(_windows(np.where(hidden, np.nan, x), fs, DRIFT_WINDOW_S))
    return {
        "missing_fraction": np.where(unrecorded, 1.0, missing.mean(-1)),
        "flat_fraction": (np.ptp(flat, axis=-1) < FLAT_RANGE_MV).mean(-1),
        "clipped_fraction": _clipped_fraction(x),
        "noise_mv": np.median(np.sqrt(np.mean(noise**2, axis=-1)), axis=-1),
        "drift_mv": np.nanmax(levels, axis=-1) - np.nanmin(levels, axis=-1),
    }


def _median_of_present(windows) -> np.ndarray:
    missing = np.isnan(windows)
    if not missing.any():
        return np.median(windows, axis=-1)
    present = ~missing.all(-1)
    out = np.full(windows.shape[:-1], np.nan)
    out[present] = np.nanmedian(windows[present], axis=-1)
    return out


def _windows(x, fs, seconds) -> np.ndarray:
    """Whole windows only; a record shorter than one is one window."""
    size = min(max(int(round(seconds * fs)), 2), x.shape[-1])
    n = x.shape[-1] // size
    return x[..., : n * size].reshape(*x.shape[:-1], n, size)


def _highpass(x, fs) -> np.ndarray:
    sos = butter(2, NOISE_HIGHPASS_HZ, "highpass", fs=fs, output="sos")
    return sosfiltfilt(sos, x, axis=-1, padlen=min(int(0.5 * fs), x.shape[-1] - 1))


def _clipped_fraction(x) -> np.ndarray:
    top, bottom = x.max(-1), x.min(-1)
    middle, span = np.median(x, axis=-1), top - bottom
    out = np.zeros(x.shape[:-1])
    for level in (top, bottom):
        at = x == level[..., None]
        core = at[..., :-2] & at[..., 1:-1] & at[..., 2:]
        run = np.zeros_like(at)
        for shift in range(CLIPPED_RUN):
            run[..., shift : shift + core.shape[-1]] |= core
        # The extreme must stand off from the middle: a flat lead is at both of its limits all the
        # time.
        apart = (np.abs(level - middle) > 0.1 * span) & (span >= FLAT_RANGE_MV)
        out += run.mean(-1) * apart
    return out


def _fill_gaps(x) -> np.ndarray:
    flat = x.reshape(-1, x.shape[-1]).copy()
    positions = np.arange(flat.shape[-1])
    for lead in flat:
        gap = np.isnan(lead)
        if gap.any():
            lead[gap] = np.interp(positions[gap], positions[~gap], lead[~gap])
    return flat.reshape(x.shape)

"""Columns that rules read, measured on the signals of a cohort whose table lacks them."""

import hashlib
from collections import Counter

import numpy as np

from crtkit.cohort import Cohort, Select
from crtkit.cohort.signal_checks import why_no_ecg
from crtkit.signals.qrs.estimator import QRSMeasurements
from crtkit.signals.qrs.measure import MEASUREMENTS

#: What the reference rows measure where the table has no such column.
MEASURABLE = ("qrs_duration_ms", "lbbb", "qrs_area_uVs")

# Beats cut out of a record, and spectrogram windows, are shorter: no median beat is left in them.
_SHORTEST_S = 2.0
# A cohort and a few external ones, at some hundred bytes per record.
_REMEMBERED = 8
_KNOWN: dict[bytes, list[dict]] = {}


def measure_cohort(
    cohort, measurements=MEASURABLE, *, signal="signal", replace=False, n_jobs=None
) -> Cohort:
    """Add measurements of the ECG to the table of a cohort.

    Nothing is learned and every record is measured alone, so that a split made afterwards leaks
    nothing. A column that the table has is kept as it is, missing values included: two ways of
    measuring are never mixed in one column.

    Parameters
    ----------
    cohort : Cohort
        ``info`` must have ``sampling_rate`` and ``lead_names``; signals in millivolt, unfiltered,
        at least 2 s long.
    measurements : sequence of str, default=("qrs_duration_ms", "lbbb", "qrs_area_uVs")
        Names from :data:`crtkit.signals.MEASUREMENTS`. ``lbbb`` is that of the conventional
        criteria, which do not ask for the patient's sex.
    signal : str, default="signal"
        The column of signals.
    replace : bool, default=False
        Measure columns that the table has, too.
    n_jobs : int, optional
        Workers; a record takes some 10 ms.

    Returns
    -------
    Cohort
        With new columns behind the others. ``info["measured"]`` names them; each has ``n_missing``
        (NaN: no beat, a missing lead, …) and the commonest ``reason``. The same cohort where
        there is nothing to add.

    Raises
    ------
    ValueError
        Unknown measurements, or signals that cannot be measured; the message says why.

    See Also
    --------
    crtkit.QRSMeasurements : the transformer.
    reference_rows : the rules that read these columns.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from crtkit import Cohort
    >>> from crtkit.datasets import simulate_ecg
    >>> from crtkit.guidelines import measure_cohort
    >>> cells = [simulate_ecg("lbbb", ms, random_state=0)[0] for ms in (150, 170)]
    >>> info = {"sampling_rate": 500, "lead_names": None}
    >>> cohort = Cohort(pd.DataFrame({"signal": cells}), [0, 1], [1, 2], info)
    >>> measured = measure_cohort(cohort)
    >>> list(measured.X)
    ['signal', 'qrs_duration_ms', 'lbbb', 'qrs_area_uVs']
    >>> measured.X["lbbb"].tolist(), measured.info["measured"]["lbbb"]["n_missing"]
    ([1.0, 1.0], 0)
    """
    unknown = [name for name in measurements if name not in MEASUREMENTS]
    if unknown:
        raise ValueError(
            f"measure_cohort does not know the measurements {unknown}; crtkit.signals.MEASUREMENTS "
            "lists the known ones."
        )
    wanted = [name for name in measurements if replace or name not in cohort.X]
    if not wanted:
        return cohort
    problem = why_not_measured(cohort, signal)
    if problem:
        raise ValueError(f"measure_cohort cannot measure {', '.join(wanted)}: {problem}.")
    signals = Select(signal).fit_transform(cohort.X)
    model = measuring(cohort, wanted, n_jobs=n_jobs).fit(signals)
    records = _measured_once(model, signals, wanted)
    # Dropped first, so that replaced columns stand with the measured ones at the end.
    X = cohort.X.drop(columns=[name for name in wanted if name in cohort.X])
    X = X.assign(**{name: np.array([record[name] for record in records]) for name in wanted})
    missing = {
        # The commonest reason is told; a list of all would be as long as the cohort.
        name: Counter(r["reasons"][name] for r in records if name in r["reasons"])
        for name in wanted
    }
    notes = {
        name: {
            "n_missing": sum(count.values()),
            "reason": count.most_common(1)[0][0] if count else "",
        }
        for name, count in missing.items()
    }
    info = {**cohort.info, "measured": {**cohort.info.get("measured", {}), **notes}}
    return Cohort(X, cohort.y, cohort.groups, info)


def _measured_once(model, signals, wanted) -> list[dict]:
    """Measurements of every record; those of signals met before are remembered by content.

    Several evaluations of one cohort measure it once: reading a record takes a hundredth of the
    time that measuring it does.
    """
    settings = {k: v for k, v in model.get_params().items() if k != "n_jobs"}
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for i in range(len(signals)):
        record = np.ascontiguousarray(signals[i])
        digest.update(f"{record.shape}{record.dtype}".encode())
        digest.update(record.data)
    key = digest.digest()
    if key not in _KNOWN:
        records = model.measure(signals)
        kept = [{**{n: r[n] for n in wanted}, "reasons": dict(r["reasons"])} for r in records]
        _KNOWN[key] = kept
        while len(_KNOWN) > _REMEMBERED:
            _KNOWN.pop(next(iter(_KNOWN)), None)
    return _KNOWN[key]


def measuring(cohort, measurements, n_jobs=None) -> QRSMeasurements:
    """Transformer that measures the signals of a cohort."""
    return QRSMeasurements(
        fs=cohort.info["sampling_rate"],
        lead_names=cohort.info.get("lead_names"),
        measurements=list(measurements),
        n_jobs=n_jobs,
    )


def why_not_measured(cohort, signal="signal") -> str:
    """Why the signals of a cohort cannot be measured; empty where they can."""
    if signal not in cohort.X:
        return f"the cohort has no column {signal}"
    rate = cohort.info.get("sampling_rate")
    if not rate:
        return "the cohort does not say its sampling_rate"
    if rate < 100:
        return f"the sampling rate is {rate:g} Hz, 100 Hz are needed"
    try:
        first = Select(signal).fit_transform(cohort.X)
    except ValueError as error:
        return str(error)
    if first.ndim == 3 and first.shape[1] >= 100 and first.shape[2] <= 24:
        return why_no_ecg(first, None).rstrip(".")
    if first.ndim != 3:
        return "signals of several leads are needed, as arrays or rows of a .npy file"
    names = cohort.info.get("lead_names")
    if names is None and first.shape[1] != 12:
        return f"the cohort does not name its {first.shape[1]} leads"
    if names is not None and len(names) != first.shape[1]:
        return f"the cohort names {len(names)} leads, its signals have {first.shape[1]}"
    if first.shape[2] < _SHORTEST_S * rate:
        return (
            f"signals of {first.shape[2] / rate:.2g} s are too short, {_SHORTEST_S:g} s are needed"
        )
    # A hand-made cohort has passed no reader: an area in microvolts would meet the criterion.
    return why_no_ecg(first, names).rstrip(".")

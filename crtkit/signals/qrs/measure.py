"""Every measurement of one record: rate, intervals, axis, area, conduction, quality."""

from collections.abc import Sequence

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.signals.qrs.conduction import bundle_branch_block, lead_waves
from crtkit.signals.qrs.delineate import qrs_bounds
from crtkit.signals.qrs.median_beats import median_beat
from crtkit.signals.qrs.pacing import after_potential_end, paced_beats
from crtkit.signals.qrs.vcg import (
    complete_limb_leads,
    frontal_axis,
    kors_vcg,
    vector_angle,
    wave_area,
)
from crtkit.signals.qrs.waves import p_onset, t_end

_GLOBAL = (
    "heart_rate_bpm",
    "pr_ms",
    "qrs_duration_ms",
    "qrs_onset_ms",
    "qrs_offset_ms",
    "qt_ms",
    "qtc_ms",
    "qrs_axis_deg",
    "qrs_area_uVs",
    "qrs_area_x_uVs",
    "qrs_area_y_uVs",
    "qrs_area_z_uVs",
    "qrs_azimuth_deg",
    "qrs_elevation_deg",
    "qrst_angle_deg",
    "rpeak_time_v5_ms",
    "rpeak_time_v6_ms",
    "lbbb",
    "lbbb_conventional",
    "lbbb_strict",
    "rbbb",
    "ivcd",
    "notched_leads",
    "paced",
    "arm_leads_swapped",
)
_BY_LEAD = ("r_{}_mv", "s_{}_mv", "notch_{}", "slur_{}")
_QUALITY = ("n_beats", "n_beats_used", "noise_uv", "qrs_confidence", "quality")

#: Names of all measurements, in the order of the columns of :class:`crtkit.QRSMeasurements`.
MEASUREMENTS = (
    *_GLOBAL,
    *(form.format(lead) for form in _BY_LEAD for lead in LEADS_12),
    *_QUALITY,
)

_NAN = float("nan")


def measure_qrs(signal, fs, *, lead_names=None, male=None, lbbb="conventional") -> dict:
    """Measure one record.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_samples)
        Millivolt, unfiltered (filters round off the onset and take pacing spikes away). NaN is
        missing.
    fs : float
        Sampling rate in hertz, at least 100.
    lead_names : sequence of str, optional
        Default: ``LEADS_12`` for twelve leads. Any other number of leads is then unnamed, and only
        rates and intervals are measured.
    male : bool, optional
        Sex of the patient, for the strict LBBB criteria.
    lbbb : {"conventional", "strict"}, default="conventional"
        Which criteria ``lbbb`` stands for.

    Returns
    -------
    dict
        A float for every name in :data:`MEASUREMENTS`, NaN where it could not be measured, and
        ``reasons``: a dict that gives, for every NaN, the reason by name. What each name means
        and which leads it needs: :class:`crtkit.QRSMeasurements`.

    Raises
    ------
    ValueError
        Not one record, ``fs`` below 100, lead names that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import measure_qrs
    >>> t = np.arange(5000) / 500
    >>> beat = np.exp(-(((t % 0.8) - 0.4) ** 2) / (2 * 0.015**2))
    >>> values = measure_qrs(beat * np.ones((12, 1)), fs=500)
    >>> round(values["heart_rate_bpm"]), round(values["qrs_duration_ms"])
    (75, 83)
    >>> values["reasons"]["pr_ms"]
    'no P wave stands apart from the T wave and the noise'
    """
    signal = np.asarray(signal, dtype=float)
    if signal.ndim != 2:
        raise ValueError(
            f"measure_qrs expects one record of shape (n_leads, n_samples), got {signal.shape}."
        )
    if lbbb not in ("conventional", "strict"):
        raise ValueError(f"lbbb must be 'conventional' or 'strict', got {lbbb!r}.")
    names = check_lead_names(lead_names, len(signal))
    values = dict.fromkeys(MEASUREMENTS, _NAN)
    beat = median_beat(signal, fs)
    values.update(n_beats=float(len(beat.positions)), n_beats_used=float(beat.n_used))
    if beat.reason:
        values["quality"] = 0.0
        return _with_reasons(values, {}, beat.reason)
    reasons: dict[str, str] = {}
    bounds = qrs_bounds(beat.beat, fs, beat.fiducial, beat.residual)
    rr = float(np.diff(beat.positions).mean() / fs) if len(beat.positions) > 1 else _NAN
    if np.isfinite(rr):
        values["heart_rate_bpm"] = 60.0 / rr
    else:
        reasons["heart_rate_bpm"] = "one beat has no rate"
    usual = float(np.median(beat.correlation[beat.used]))
    values["noise_uv"] = float(np.nanmedian(bounds.noise) * 1000.0)
    values["qrs_confidence"] = bounds.agreement
    values["quality"] = beat.n_used / len(beat.positions) * max(usual, 0.0) * bounds.agreement
    if bounds.reason:
        return _with_reasons(values, reasons, bounds.reason)
    onset, paced = _onset_after_spike(beat, bounds)
    values["paced"] = float(paced)
    _intervals(values, reasons, beat, bounds, onset, rr)
    if names is None:
        return _with_reasons(values, reasons, "lead names are not known")
    leads = complete_limb_leads(beat.beat, names)
    noise = 1.1 * 1.4826 * np.median(np.abs(complete_limb_leads(beat.residual, names)), axis=1)
    _by_lead(values, leads, np.nan_to_num(noise), fs, onset, bounds.offset, male, lbbb)
    _vectors(values, leads, fs, onset, bounds.offset)
    _arm_leads(values, reasons, leads, fs, onset, bounds.offset)
    return _with_reasons(values, reasons, "a lead that it needs is missing")


def check_lead_names(lead_names, n_leads) -> Sequence[str] | None:
    """Names of the leads of a record; None where they are not known."""
    if lead_names is None:
        return LEADS_12 if n_leads == 12 else None
    names = list(lead_names)
    if len(names) != n_leads:
        raise ValueError(
            f"lead_names has {len(names)} names, but the signal has {n_leads} leads. "
            "Give a name for each lead, in the order of the signal."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"lead_names names a lead twice: {names}.")
    return names


def _with_reasons(values, reasons, otherwise) -> dict:
    result: dict = {name: float(value) for name, value in values.items()}
    result["reasons"] = {
        name: reasons.get(name, otherwise) for name in MEASUREMENTS if np.isnan(result[name])
    }
    return result


def _onset_after_spike(beat, bounds) -> tuple[float, bool]:
    """QRS onset in samples of the beat, behind a stimulus's after-potential; paced or not."""
    positions = beat.positions[beat.used]
    spike = paced_beats(beat.spikes, positions + bounds.onset - beat.fiducial, beat.fs)
    if np.mean(spike >= 0) < 0.5:
        return bounds.onset, False
    has = spike >= 0
    end = float(np.median(beat.spikes[spike[has], 1] - positions[has])) + beat.fiducial
    after = after_potential_end(beat.beat, beat.fs, end, bounds.offset)
    return (after if after > bounds.onset else bounds.onset), True


def _intervals(values, reasons, beat, bounds, onset, rr) -> None:
    ms = 1000.0 / beat.fs
    first = beat.positions[beat.used][0] - beat.fiducial
    values["qrs_duration_ms"] = (bounds.offset - onset) * ms
    values["qrs_onset_ms"] = (first + onset) * ms
    values["qrs_offset_ms"] = (first + bounds.offset) * ms
    spacing = rr if np.isfinite(rr) else np.inf
    t, reasons["qt_ms"] = t_end(
        beat.beat, beat.fs, onset, bounds.offset, residual=beat.residual, rr=spacing
    )
    before = t - spacing * beat.fs if np.isfinite(t) else onset - 0.5 * spacing * beat.fs
    p, reasons["pr_ms"] = p_onset(beat.beat, beat.fs, onset, residual=beat.residual, after=before)
    values["pr_ms"] = (onset - p) * ms
    values["qt_ms"] = (t - onset) * ms
    values["qtc_ms"] = values["qt_ms"] / np.cbrt(rr)
    reasons["qtc_ms"] = reasons["qt_ms"] or "one beat has no rate"


def _by_lead(values, leads, noise, fs, onset, offset, male, lbbb) -> None:
    waves = {
        name: lead_waves(lead, fs, onset, offset, noise=sigma)
        for name, lead, sigma in zip(LEADS_12, leads, noise)
        if np.isfinite(lead).all()
    }
    for name, w in waves.items():
        values[f"r_{name}_mv"] = w.r
        values[f"s_{name}_mv"] = w.s
        values[f"notch_{name}"] = float(len(w.notches) > 0)
        values[f"slur_{name}"] = float(len(w.slurs) > 0)
    for name in ("V5", "V6"):
        if name in waves:
            values[f"rpeak_time_{name.lower()}_ms"] = waves[name].r_time
    duration = values["qrs_duration_ms"]
    values.update(bundle_branch_block(waves, duration, male=male, paced=values["paced"] == 1.0))
    values["lbbb"] = values[f"lbbb_{lbbb}"]


def _vectors(values, leads, fs, onset, offset) -> None:
    area = wave_area(leads, fs, onset, offset)
    values["qrs_axis_deg"] = frontal_axis(area[0], area[5])
    vcg = kors_vcg(leads)
    if not np.isfinite(vcg).all():
        return
    x, y, z = wave_area(vcg, fs, onset, offset)
    values["qrs_area_uVs"] = float(np.sqrt(x * x + y * y + z * z))
    values.update(qrs_area_x_uVs=x, qrs_area_y_uVs=y, qrs_area_z_uVs=z)
    values["qrs_azimuth_deg"] = float(np.degrees(np.arctan2(z, x)))
    values["qrs_elevation_deg"] = float(np.degrees(np.arctan2(y, np.hypot(x, z))))
    end = onset + values["qt_ms"] * fs / 1000.0
    if np.isfinite(end):
        t_area = wave_area(vcg, fs, offset, min(end, vcg.shape[1] - 1.0))
        values["qrst_angle_deg"] = vector_angle((x, y, z), t_area)


def _arm_leads(values, reasons, leads, fs, onset, offset) -> None:
    """Arm leads are exchanged where lead I runs against V6, in its P wave or T wave too."""
    one, six = leads[0], leads[11]
    if not (np.isfinite(one).all() and np.isfinite(six).all()):
        return
    areas = wave_area(leads[[0, 11]], fs, onset, offset)
    a, b = leads[[0, 11], int(onset) : int(offset) + 1]
    a, b = a - a.mean(), b - b.mean()
    swapped = areas[0] < 0 < areas[1] and a @ b < -0.5 * np.sqrt((a @ a) * (b @ b))
    if swapped and np.isfinite(values["pr_ms"]):
        start = onset - values["pr_ms"] * fs / 1000.0
        swapped = wave_area(one, fs, start, onset) < 0
    elif swapped and np.isfinite(values["qt_ms"]):
        end = min(onset + values["qt_ms"] * fs / 1000.0, len(one) - 1.0)
        t_one, t_six = wave_area(leads[[0, 11]], fs, offset, end)
        swapped = t_one * t_six < 0
    values["arm_leads_swapped"] = float(swapped)

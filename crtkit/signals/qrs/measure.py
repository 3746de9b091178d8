"""Every measurement of one record: rate, intervals, axis, area, conduction, quality."""

import warnings

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.signals.medians import median_of_known
from crtkit.signals.qrs.conduction import OUTERMOST_MS, bundle_branch_block
from crtkit.signals.qrs.delineate import AGREEMENT, READER_S
from crtkit.signals.qrs.record import delineate_record, record_parts
from crtkit.signals.qrs.trust import LONGEST_MS, record_quality, unbelieved
from crtkit.signals.qrs.vcg import frontal_axis, kors_vcg, vector_angle, wave_area
from crtkit.signals.qrs.waves import p_onset, t_end

_GLOBAL = (
    "heart_rate_bpm",
    "pr_ms",
    "qrs_duration_ms",
    "qrs_duration_any_ms",
    "qrs_duration_median_ms",
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
    "lbbb_score",
    "rbbb_score",
    "paced",
    "arm_leads_swapped",
)
_BY_LEAD = ("r_{}_mv", "s_{}_mv", "notch_{}", "slur_{}")
_QUALITY = ("n_beats", "n_beats_used", "noise_uv", "qrs_confidence", "quality")

_WITHOUT_BOUNDS = ("heart_rate_bpm", "paced", *_QUALITY)

#: Names of all measurements, in the order of the columns of :class:`crtkit.QRSMeasurements`.
MEASUREMENTS = (
    *_GLOBAL,
    *(form.format(lead) for form in _BY_LEAD for lead in LEADS_12),
    *_QUALITY,
)

#: What a heart can do: lowest and highest value, and unit. Wide enough for disease; a record read
#: at twice or half of its sampling rate leaves it by QTc (Fridericia) at the latest. Narrower than
#: the limits for columns of a table: those catch codes such as 999, these a record misread.
EXPECTED = {
    "heart_rate_bpm": (20.0, 300.0, "bpm"),
    "pr_ms": (50.0, 480.0, "ms"),
    "qrs_duration_ms": (40.0, LONGEST_MS, "ms"),
    "qtc_ms": (260.0, 650.0, "ms"),
}
# Of an R or S wave above its baseline. A single sample may reach more, offset included: readers
# refuse it above 50 mV (``readers.calibration.LARGEST_MV``).
SMALLEST_WAVE_MV, LARGEST_WAVE_MV = 0.05, 20.0
_LARGEST_QRS_SHARE = 0.65
_IMPLAUSIBLE = 0.25

_GAPS = "no two beats follow one another without a gap"
_NAN = float("nan")


def measure_qrs(
    signal,
    fs=None,
    *,
    lead_names=None,
    male=None,
    lbbb="conventional",
    guideline="AHA2009",
    agreement=AGREEMENT,
) -> dict:
    """Measure one record.

    Parameters
    ----------
    signal : array-like of shape (n_leads, n_samples), or crtkit.readers.ECG
        Millivolt, unfiltered (filters round off the onset and take pacing spikes away). NaN is
        missing, and so is a lead that does not change for 2 s.
    fs : float, optional
        Sampling rate in hertz, at least 100; an ECG object brings its own. Records of other rates
        than 500 Hz are resampled to it.
    lead_names : sequence of str, optional
        In the order of the signal; any order gives the same measurements. Default: ``LEADS_12`` for
        twelve leads. Any other number of leads is then unnamed, and only rates and intervals are
        measured.
    male : bool, optional
        Sex of the patient, for the strict LBBB criteria.
    lbbb : {"conventional", "strict"}, default="conventional"
        Which criteria ``lbbb`` stands for.
    guideline : {"AHA2009", "AHA2009-summit", "ESC2013"}, default="AHA2009"
        Variant of the criteria of block, see :func:`bundle_branch_block`.
    agreement : int, default=2
        Leads that must agree on QRS onset and offset, see :func:`qrs_bounds`.

    Returns
    -------
    dict
        A float for every name in :data:`MEASUREMENTS`, NaN where it could not be measured, and
        ``reasons``: a dict that gives, for every NaN, the reason by name. What each name means
        and which leads it needs: :class:`crtkit.QRSMeasurements`.

    Raises
    ------
    ValueError
        Not one record, ``fs`` below 100 or other than the ECG's, lead names that do not fit.

    Warns
    -----
    UserWarning
        Measurements that no heart has: most often the sampling rate or the unit is wrong. Their
        ``quality`` is a quarter of what it would be.

    See Also
    --------
    explain_block : which criterion of block failed in which lead.

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
    if lbbb not in ("conventional", "strict"):
        raise ValueError(f"lbbb must be 'conventional' or 'strict', got {lbbb!r}.")
    parts = record_parts(signal, fs, lead_names)
    options = {"male": male, "lbbb": lbbb, "guideline": guideline, "agreement": agreement}
    values, strange = measure_parts(*parts, **options)
    if strange:
        warnings.warn(
            f"measure_qrs found {'; '.join(strange)}. Check the sampling rate ({parts[1]:g} Hz was "
            "given) and the unit of the signal (millivolt is expected).",
            stacklevel=2,
        )
    return values


def measure_parts(signal, fs, names, **options) -> tuple[dict, list[str]]:
    """Measurements as :func:`measure_qrs` returns them, and those that are implausible."""
    values, reasons, otherwise = _measure(signal, fs, names, **options)
    strange = implausible(values)
    doubt = unbelieved(values["qrs_duration_ms"], values["quality"])
    if doubt:
        # What rests on the bounds goes with them, block and area first of all.
        values.update((name, _NAN) for name in MEASUREMENTS if name not in _WITHOUT_BOUNDS)
        kept = {name: why for name, why in reasons.items() if name == "heart_rate_bpm"}
        reasons, otherwise = kept, doubt
    if strange:
        values["quality"] *= _IMPLAUSIBLE
    return _with_reasons(values, reasons, otherwise), strange


def _measure(signal, fs, names, *, male, lbbb, guideline, agreement) -> tuple[dict, dict, str]:
    """Values, reasons by name, and the reason of every other NaN."""
    values = dict.fromkeys(MEASUREMENTS, _NAN)
    reasons: dict[str, str] = {}
    record = delineate_record(signal, fs, names, agreement=agreement)
    beat, bounds = record.beat, record.bounds
    values.update(n_beats=float(len(beat.positions)), n_beats_used=float(beat.n_used), quality=0.0)
    if bounds is None:
        return values, reasons, record.reason
    rr = record.prepared.rr_s
    if np.isfinite(rr):
        values["heart_rate_bpm"] = 60.0 / rr
    else:
        one = len(beat.positions) == 1
        reasons["heart_rate_bpm"] = "one beat has no rate" if one else _GAPS
    values["noise_uv"] = median_of_known(bounds.noise) * 1000.0
    values["qrs_confidence"] = bounds.agreement
    values["quality"] = record_quality(record)
    if record.reason:
        return values, reasons, record.reason
    values["paced"] = float(record.paced)
    _intervals(values, reasons, record)
    if record.leads is None:
        return values, reasons, "lead names are not known"
    _by_lead(values, record, male, lbbb, guideline)
    _vectors(values, record)
    _arm_leads(values, record)
    return values, reasons, "a lead that it needs is missing"


def implausible(values) -> list[str]:
    """Measurements outside the plausible range, in words; see :data:`EXPECTED`."""
    strange = []
    for name, (low, high, unit) in EXPECTED.items():
        value = values[name]
        if value < low or value > high:
            strange.append(f"{name} = {value:.0f} {unit} (expected {low:g} to {high:g})")
    # A complex lasts no longer than its own cycle leaves room for repolarization.
    longest = _LARGEST_QRS_SHARE * 60000.0 / values["heart_rate_bpm"]
    if values["qrs_duration_ms"] > longest:
        strange.append(f"a QRS complex of more than {_LARGEST_QRS_SHARE:.0%} of the cycle")
    heights = [values[f"{wave}_{lead}_mv"] for wave in "rs" for lead in LEADS_12]
    highest = np.nanmax(heights) if np.isfinite(heights).any() else _NAN
    if highest > LARGEST_WAVE_MV or highest < SMALLEST_WAVE_MV:
        strange.append(f"a largest deflection of {highest:.3g} mV")
    return strange


def _with_reasons(values, reasons, otherwise) -> dict:
    result: dict = {name: float(value) for name, value in values.items()}
    result["reasons"] = {
        name: reasons.get(name) or otherwise for name in MEASUREMENTS if np.isnan(result[name])
    }
    return result


def _intervals(values, reasons, record) -> None:
    beat, bounds, onset, rr = record.beat, record.bounds, record.onset, record.prepared.rr_s
    ms = 1000.0 / beat.fs
    first = beat.positions[beat.used][0] - beat.fiducial
    values["qrs_duration_ms"] = (bounds.offset - onset) * ms
    values["qrs_duration_any_ms"] = (
        bounds.latest - (onset if record.ventricular else bounds.earliest)
    ) * ms
    # The first sample after the complex ends it, as the first of the complex begins it.
    medians = median_of_known(bounds.lead_onset), median_of_known(bounds.lead_offset) + 1.0
    seen = medians[0] - READER_S * beat.fs
    begin = max(seen, onset) if record.ventricular else seen
    values["qrs_duration_median_ms"] = (medians[1] - begin) * ms
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
    reasons["qtc_ms"] = reasons["qt_ms"] or reasons.get("heart_rate_bpm", "")


def _by_lead(values, record, male, lbbb, guideline) -> None:
    for name, w in record.waves.items():
        values[f"r_{name}_mv"] = w.r
        values[f"s_{name}_mv"] = w.s
        values[f"notch_{name}"] = float(len(w.notches) > 0)
        values[f"slur_{name}"] = float(len(w.slurs) > 0)
    for name in ("V5", "V6"):
        if name in record.waves:
            values[f"rpeak_time_{name.lower()}_ms"] = record.waves[name].r_time
    flags = bundle_branch_block(
        record.waves,
        values["qrs_duration_ms"],
        widest=values["qrs_duration_ms"] + OUTERMOST_MS,
        male=male,
        paced=record.ventricular,
        guideline=guideline,
    )
    values.update(flags)
    values["lbbb"] = values[f"lbbb_{lbbb}"]


def _vectors(values, record) -> None:
    leads, fs, onset, offset = record.leads, record.beat.fs, record.onset, record.bounds.offset
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


def _arm_leads(values, record) -> None:
    """Arm leads are exchanged where lead I runs against V6, in its P wave or T wave too."""
    leads, fs, onset, offset = record.leads, record.beat.fs, record.onset, record.bounds.offset
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

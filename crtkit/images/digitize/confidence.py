"""How far a reading is to be trusted, and when it is better to abstain.

Agreement of the leads alone misses common errors (a page at 60 dpi repeats its own mistakes in
every row), and resolution alone misses wrong rows and layouts: both are taken together, with the
length of the rows and the share of the ink that was followed.
"""

from dataclasses import replace

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.images.digitize.leads import limb_residuals

LEAST_CONFIDENCE = 0.5
"""Pages below this are refused by default."""
GOOD_DB = 10.0
"""Signal-to-noise ratio that a confidence of one half stands for."""
_DB_PER_STEP = 2.5  # steepness of the step from distrust to trust

# Fitted to the ratio of 200 rendered pages, from 55 to 215 dpi, out of focus, noisy, tilted, bent,
# in shadow, of six layouts: agreement of the leads says most, resolution little beyond it.
_BASE, _PER_MEAN, _PER_WORST = 2.8, 1.15, -0.4
_PER_OCTAVE_OF_PEN, _PEN_MM = -3.4, 0.45  # a page out of focus has a thick pen
_PER_DECADE_OF_PX = 1.3
_TWELVE_ROWS, _UNNAMED_STRIP = -2.5, -3.0
_PER_CENT = -3.0  # for each per cent beyond one by which the scales of time and gain disagree
_MOST_MEAN, _MOST_WORST = 18.0, 12.0

_MUCH_SHARED = 0.03  # share of the columns: two rows meet in most QRS complexes
_CONTRADICTION_DB, _FAR_DB, _REPEATED_DB = 1.5, 3.0, 15.0
_QUIET_DB = 12.0
_QUIET_UV = 25.0  # residuals of the limb leads below this are the resolution of paper


def judge(reading, least=LEAST_CONFIDENCE):
    """Put confidence into a reading, and a reason where it is too low.

    Parameters
    ----------
    reading : PageReading
    least : float
        Pages whose median confidence over the leads is lower are refused.

    Returns
    -------
    PageReading
        A refused page keeps its strips and scale, but its signal is all NaN.
    """
    values = _checks(reading)
    mistaken = contradiction(values)
    page_db = predicted_db(reading, values)
    if mistaken is not None:
        page_db = min(page_db, values[mistaken] + 4.0)
    confidence = {}
    for name, lead in zip(LEADS_12, reading.signal):
        printed = _printed(reading, name)
        seen = np.isfinite(lead[printed]).mean() if printed.any() else 0.0
        shared = max((s.shared for s in reading.strips if s.lead == name), default=0.0)
        trust = 1 / (1 + np.exp(-(page_db - GOOD_DB) / _DB_PER_STEP))
        # Where rows share their ink it is the QRS complexes that are lost.
        trust /= 1 + (shared / _MUCH_SHARED) ** 2
        # A lead of which a third is hidden is hardly worth more than none.
        confidence[name] = float(trust * np.clip((seen - 0.4) / 0.5, 0, 1))
    reading = replace(reading, confidence=confidence)
    reason = _reason(reading, least, values, mistaken)
    if reason is None:
        return reading
    return replace(reading, reason=reason, signal=np.full_like(reading.signal, np.nan))


def predicted_db(reading, values):
    """Signal-to-noise ratio in dB that scale, pen and agreement of the leads speak for.

    Parameters
    ----------
    reading : PageReading
    values : dict of str to float
        Checks in dB.

    Returns
    -------
    float
    """
    checks = list(values.values()) or [GOOD_DB]
    out = _BASE + _PER_MEAN * min(np.mean(checks), _MOST_MEAN)
    out += _PER_WORST * min(*checks, _MOST_WORST)
    if reading.scale_from.get("time") == "paths":
        return float(out) + 20.0
    along, down = reading.px_per_second / reading.speed, reading.px_per_mv / reading.gain
    out += _PER_DECADE_OF_PX * np.log10(min(along, down) / 7.87)
    out += _PER_OCTAVE_OF_PEN * max(np.log2(reading.pen_mm / _PEN_MM), 0)
    out += _TWELVE_ROWS * reading.layout.startswith("12x1")
    out += _UNNAMED_STRIP * ("?" in reading.layout)
    # Rows and pulses that depart from the grid by different shares cannot both be right.
    apart = abs(along / reading.px_per_mm[0] - down / reading.px_per_mm[1])
    return float(out + _PER_CENT * max(100 * apart - 1.0, 0))


def _checks(reading):
    """Agreement in dB of each check that the page allows."""
    residuals = limb_residuals(reading.signal)
    values = {}
    for name, db in reading.checks.items():
        if np.isfinite(db):
            # Limb leads of low voltage agree in microvolts where they cannot in decibels.
            quiet = residuals.get(name, np.inf) < _QUIET_UV
            values[name] = float(np.clip(max(db, _QUIET_DB) if quiet else db, -10, 25))
    return values


def contradiction(values):
    """The check that says that leads were taken for others, or None.

    Devices that filter leads one by one print true leads that break a law by 0 dB, but their
    rhythm strip repeats; leads that were mistaken for others break both laws, or one by far.

    Parameters
    ----------
    values : dict of str to float
        Checks in dB.

    Returns
    -------
    str or None
    """
    limb = {name: db for name, db in values.items() if name != "repeat"}
    repeat = values.get("repeat", -np.inf)
    if limb:
        worst = min(limb, key=limb.get)
        broken = limb[worst] < _CONTRADICTION_DB
        far = limb[worst] < -_FAR_DB
        if far or (broken and repeat < _REPEATED_DB):
            return worst
    return "repeat" if values.get("repeat", 25.0) < _CONTRADICTION_DB else None


def _printed(reading, lead):
    time = np.arange(reading.signal.shape[1]) / reading.fs
    printed = np.zeros(len(time), dtype=bool)
    for strip in reading.strips:
        if strip.lead == lead:
            printed |= (time >= strip.start) & (time < strip.stop)
    return printed


_WORDS = {
    "einthoven": "leads I, II and III contradict each other (I + III is not II)",
    "goldberger": "leads aVR, aVL and aVF contradict each other (their sum is not 0)",
    "augmented": "the augmented leads contradict leads I and II",
    "repeat": "the rhythm strip does not repeat its lead",
}


def _reason(reading, least, values, mistaken):
    median = float(np.median(list(reading.confidence.values())))
    if median >= least:
        return None
    if mistaken is not None:
        return _WORDS[mistaken]
    px = reading.px_per_second / reading.speed
    if reading.coverage < 0.75:
        return f"only {100 * reading.coverage:.0f} % of the traces could be followed"
    agreed = ", ".join(f"{name} {db:.0f} dB" for name, db in values.items())
    return f"the leads agree too poorly ({agreed or 'nothing to compare'}; {px:.1f} pixels per mm)"

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
_AT_200_DPI, _PER_DECADE = 25.0, 32.0  # dB that a page of 7.87 px/mm can give, and its slope
_PEN_MM, _PER_OCTAVE_OF_PEN = 0.45, 8.0
_PER_CENT = 6.0  # dB for each per cent beyond one by which time and gain disagree
_MUCH_SHARED = 0.03  # share of the columns: two rows meet in most QRS complexes
_CONTRADICTION_DB, _FAR_DB = 1.5, 3.0
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
    expected = expected_db(reading)
    agreed, weakest = _agreement(reading)
    page_db = min(expected, agreed)
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
    reason = _reason(reading, least, expected, agreed, weakest)
    if reason is None:
        return reading
    return replace(reading, reason=reason, signal=np.full_like(reading.signal, np.nan))


def expected_db(reading):
    """Signal-to-noise ratio in dB that the resolution of the page allows."""
    if reading.scale_from.get("time") == "paths":
        return 60.0
    px = min(reading.px_per_second / reading.speed, reading.px_per_mv / reading.gain)
    # At another speed or gain the same millimetre holds more or less signal.
    px *= np.sqrt(reading.speed / 25 * reading.gain / 10)
    expected = _AT_200_DPI + _PER_DECADE * np.log10(px / 7.87)
    # A page that is out of focus has a thick pen.
    expected -= _PER_OCTAVE_OF_PEN * max(np.log2(reading.pen_mm / _PEN_MM), 0)
    # Rows and pulses that depart from the grid by different shares cannot both be right.
    along = reading.px_per_second / reading.speed / reading.px_per_mm[0]
    down = reading.px_per_mv / reading.gain / reading.px_per_mm[1]
    return float(expected - _PER_CENT * max(100 * abs(along - down) - 1.0, 0))


def _agreement(reading):
    """Worst agreement in dB among the checks that the page allows, and its name."""
    residuals = limb_residuals(reading.signal)
    values = {}
    for name, db in reading.checks.items():
        if np.isfinite(db):
            # Limb leads of low voltage agree in microvolts where they cannot in decibels.
            quiet = residuals.get(name, np.inf) < _QUIET_UV
            values[name] = float(np.clip(max(db, _QUIET_DB) if quiet else db, -10, 25))
    if not values:
        return GOOD_DB, "none"
    worst = min(values, key=values.get)
    # Devices that filter leads one by one print true leads that break one law by 0 dB; leads that
    # were mistaken for others break both, or one by far.
    limb = [db for name, db in values.items() if name != "repeat"]
    mistaken = bool(limb) and (max(limb) < _CONTRADICTION_DB or min(limb) < -_FAR_DB)
    if mistaken or values.get("repeat", 25.0) < _CONTRADICTION_DB:
        return values[worst] + 4.0, worst
    # A check compares the noise of several leads with the power of one, often the smallest.
    return float(np.mean(list(values.values()))) + 4.0, worst


def _printed(reading, lead):
    time = np.arange(reading.signal.shape[1]) / reading.fs
    printed = np.zeros(len(time), dtype=bool)
    for strip in reading.strips:
        if strip.lead == lead:
            printed |= (time >= strip.start) & (time < strip.stop)
    return printed


def _reason(reading, least, expected, agreed, weakest):
    median = float(np.median(list(reading.confidence.values())))
    if median >= least:
        return None
    if expected < agreed:
        px = reading.px_per_second / reading.speed
        return f"the page is too coarse ({px:.1f} pixels per mm)"
    if agreed < GOOD_DB:
        words = {
            "einthoven": "leads I, II and III contradict each other (I + III is not II)",
            "goldberger": "leads aVR, aVL and aVF contradict each other (their sum is not 0)",
            "augmented": "the augmented leads contradict leads I and II",
            "repeat": "the rhythm strip does not repeat its lead",
            "none": "nothing on the page confirms what was read",
        }
        return words[weakest]
    return "too little of the traces could be followed"

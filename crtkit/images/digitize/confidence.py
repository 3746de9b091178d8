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
DB_PER_STEP = 2.5
"""dB from one half of trust to e to one."""

# Fitted to rendered pages, from 55 to 215 dpi, spoiled at random, of six layouts, by a logistic
# function of being read to 10 dB, with the signs held (benchmarks/digitizer/confidence.py writes
# the figures). Stray ink and specks cost little: dotted grids and labels of real pages have both.
WEIGHTS = {
    "base": 7.88,
    "mean": 0.51,
    "pen": -6.86,
    "half": -17.19,
    "shared": -6.53,
    "ends": -3.16,
    "guessed": -4.79,
    "noise": -0.46,
    "stray": -0.98,
    "holes": -5.86,
}
"""dB for each of :func:`page_features`."""
_PEN_MM = 0.45
_MOST_MEAN, _MOST_HALF, _MOST_ENDS, _MOST_HOLES = 18.0, 0.4, 0.6, 0.3
_SPECKS, _STRAY, _FEWEST = 0.1, 0.03, 0.003  # runs per column and row: more is not a clean page

_MUCH_SHARED = 0.2  # share of a lead's tall ink that is another's as well
_TANGLED, _MOST_TANGLED = 0.4, 6  # a lead is lost; a page is, of which so many leads are
_BLANK = 0.2  # part of the limit below which a single lead is no signal
_CONTRADICTION_DB, _FAR_DB, _REPEATED_DB = 1.5, 3.0, 15.0
_OBEYED_DB = 4.0  # one law broken, the other kept, and the strip repeats: so the record was
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
        A refused page keeps its strips and scale, but its signal is all NaN; so is a lead whose
        own confidence is below a fifth of the limit.
    """
    values = page_checks(reading)
    mistaken = contradiction(values)
    page_db = predicted_db(reading, values)
    if mistaken is not None:
        page_db = min(page_db, values[mistaken] + 4.0)
    confidence, tangled = {}, _shared(reading)
    for name, lead in zip(LEADS_12, reading.signal):
        printed = _printed(reading, name)
        seen = np.isfinite(lead[printed]).mean() if printed.any() else 0.0
        shared = tangled.get(name, 0.0)
        trust = 1 / (1 + np.exp(-(page_db - GOOD_DB) / DB_PER_STEP))
        # Where rows share their ink it is the QRS complexes that are lost.
        trust /= 1 + (shared / _MUCH_SHARED) ** 2
        # A lead of which a third is hidden is hardly worth more than none.
        confidence[name] = float(trust * np.clip((seen - 0.4) / 0.5, 0, 1))
    reading = replace(reading, confidence=confidence)
    reason = _reason(reading, least, values, mistaken)
    # A page is worth keeping without the one lead that is not.
    doubted = [reason is not None or confidence[lead] < _BLANK * least for lead in LEADS_12]
    signal = np.where(np.array(doubted)[:, None], np.float32(np.nan), reading.signal)
    return replace(reading, reason=reason, signal=signal)


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
    features = page_features(reading, values)
    out = sum(WEIGHTS[name] * value for name, value in features.items())
    # Curves of a vector page have neither pixels nor a pen that could blur them.
    return float(out) + 20.0 * (reading.scale_from.get("time") == "paths")


def page_features(reading, values):
    """What is known of a page beside its signals, as the fit of ``WEIGHTS`` sees it.

    Parameters
    ----------
    reading : PageReading
    values : dict of str to float
        Checks in dB.

    Returns
    -------
    dict of str to float
        Mean check in dB; octaves by which the pen is thicker than usual, as it is out of focus, or
        on a coarse page; share of the waves that another row's ink hides, in the middle lead and
        on average; mm by which rows end elsewhere; whether time was taken from the grid alone;
        decades of specks and of stray ink beyond what a clean page has; share of the rows without
        ink.
    """
    checks = list(values.values()) or [GOOD_DB]
    out = {
        "base": 1.0,
        "mean": min(float(np.mean(checks)), _MOST_MEAN),
    }
    if reading.scale_from.get("time") == "paths":
        return out
    shared = list(_shared(reading).values()) or [0.0]
    seen = reading.evidence
    return {
        **out,
        "pen": max(float(np.log2(reading.pen_mm / _PEN_MM)), 0.0),
        "half": min(float(np.median(shared)), _MOST_HALF),
        "shared": float(np.mean(shared)),
        "ends": min(seen.get("ends_mm", 0.0), _MOST_ENDS),
        "guessed": float(reading.scale_from.get("time") == "grid"),
        "noise": _decades(seen.get("specks", 0.0), _SPECKS),
        "stray": _decades(seen.get("stray", 0.0), _STRAY),
        "holes": min(seen.get("holes", 0.0), _MOST_HOLES),
    }


def _decades(count, usual):
    return max(float(np.log10((count + _FEWEST) / usual)), 0.0)


def _shared(reading):
    """Share of each lead's waves that is another row's as well."""
    out = {}
    for strip in reading.strips:
        if strip.lead:
            out[strip.lead] = max(out.get(strip.lead, 0.0), strip.shared)
    return out


def page_checks(reading):
    """Agreement in dB of each check that the page allows.

    Parameters
    ----------
    reading : PageReading

    Returns
    -------
    dict of str to float
    """
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
        worst, best = min(limb, key=limb.get), max(limb.values())
        broken = limb[worst] < _CONTRADICTION_DB
        far = limb[worst] < -_FAR_DB and (best < _OBEYED_DB or repeat < _REPEATED_DB)
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
    tangled = [name for name, share in _shared(reading).items() if share > _TANGLED]
    if least > 0 and len(tangled) >= _MOST_TANGLED:
        return f"traces of neighbouring rows run into each other in {len(tangled)} of 12 leads"
    if median >= least:
        return None
    if mistaken is not None:
        return _WORDS[mistaken]
    px = reading.px_per_second / reading.speed
    if reading.coverage < 0.75:
        return f"only {100 * reading.coverage:.0f} % of the traces could be followed"
    agreed = ", ".join(f"{name} {db:.0f} dB" for name, db in values.items())
    return f"the leads agree too poorly ({agreed or 'nothing to compare'}; {px:.1f} pixels per mm)"

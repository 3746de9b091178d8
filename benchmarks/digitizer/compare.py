"""What was read of a page beside what was printed on it."""

import numpy as np

from crtkit.signals import LEADS_12

FS = 500
SHIFT_MS = 20.0


def compare(true, read, shift_ms=SHIFT_MS):
    """Strict and aligned ratio in dB, coverage, delay in ms and error of the amplitude in %.

    Parameters
    ----------
    true, read : ndarray of shape (n_samples,)
        mV; NaN where nothing was printed, or read.
    shift_ms : float
        Largest shift that is tried.

    Returns
    -------
    dict

    Examples
    --------
    >>> import numpy as np
    >>> from benchmarks.digitizer.compare import compare
    >>> wave = np.sin(np.arange(1000) / 30)
    >>> late = np.roll(wave, 2)
    >>> out = compare(wave[10:-10], late[10:-10])
    >>> round(out["delay_ms"], 1), out["aligned"] > out["strict"] + 20
    (4.0, True)
    """
    printed = np.isfinite(true)
    both = printed & np.isfinite(read)
    out = {"coverage": both.sum() / max(printed.sum(), 1)}
    if both.sum() < 100:
        return {**out, "strict": np.nan, "aligned": np.nan, "delay_ms": np.nan, "peak_pct": np.nan}
    t = np.arange(len(true), dtype=float)
    # Shifts are fractions of a sample: 0.1 ms at 500 Hz.
    known = np.interp(t, t[printed], true[printed])
    edge = shift_ms * FS / 1000 + 2
    inner = both & (t > t[printed][0] + edge) & (t < t[printed][-1] - edge)

    def at(shift):
        moved = np.interp(t[inner] - shift, t, known)
        return ratio(moved - moved.mean(), read[inner] - read[inner].mean())

    coarse = np.arange(-shift_ms * FS / 1000, shift_ms * FS / 1000 + 0.1, 0.5)
    best = coarse[int(np.argmax([at(shift) for shift in coarse]))]
    fine = best + np.arange(-0.45, 0.46, 0.05)
    ratios = [at(shift) for shift in fine]
    return {
        **out,
        "strict": ratio(true[both], read[both]),
        "aligned": max(ratios),
        "delay_ms": 1000 / FS * fine[int(np.argmax(ratios))],
        "peak_pct": 100 * (np.ptp(read[both]) / np.ptp(true[both]) - 1),
    }


def ratio(true, read):
    """Power of what was printed over that of the error, in dB."""
    return 10 * np.log10((true**2).sum() / max(((true - read) ** 2).sum(), 1e-12))


def page_db(true, read):
    """Median over leads of the strict ratio, a gap counting as 0 mV: lost waves are an error."""
    out = []
    for lead, other in zip(true, np.nan_to_num(read)):
        printed = np.isfinite(lead)
        out.append(ratio(lead[printed], other[printed]))
    return float(np.median(out))


def printed_part(signal, truth):
    """What a rendered page shows of a record; NaN elsewhere, and beyond the grid."""
    out = np.full(signal.shape, np.nan)
    # Strips last: they fill the whole row of their lead.
    for trace in sorted(truth.traces, key=lambda trace: trace.rhythm):
        lead, first = LEADS_12.index(trace.lead), int(np.ceil(trace.start * FS - 1e-9))
        part = slice(first, first + len(trace.y))
        inside = (trace.y >= truth.grid_box[1]) & (trace.y <= truth.grid_box[3])
        out[lead, part] = np.where(inside, signal[lead, part], np.nan)
    return out


def nominal_part(signal, rhythm_leads):
    """Quarters of a 3x4 page and whole rhythm leads; NaN elsewhere."""
    out = np.full(signal.shape, np.nan)
    quarter = signal.shape[1] // 4
    for i, name in enumerate(LEADS_12):
        part = slice(i // 3 * quarter, (i // 3 + 1) * quarter)
        if name in rhythm_leads:
            part = slice(None)
        out[i, part] = signal[i, part]
    return out


def lead_rows(true, signal, **page):
    """One row a lead: the comparison, and what is the same for the whole page."""
    return [
        {"lead": lead, **page, **compare(true[i], signal[i])} for i, lead in enumerate(LEADS_12)
    ]

"""Beats of records in which leads are seen one after another, as pages print them."""

import numpy as np

from crtkit._leads import LIMB_FROM_I_II, limb_weights

# Ink that two rows share leaves gaps of this length at most in a steep limb: a line bridges them.
_SHORT_GAP_S = 0.04
# Of the energy of a beat: the common curve decides between beats that share no lead, and hardly
# where they share one.
_COMMON_SHARE = 0.02
_SLOPE_S = 0.008


def fill_limb_leads(signal, names) -> np.ndarray:
    """Limb leads between their gaps, from two or more that are known at that instant.

    A page shows I, II and III for a quarter of the time and aVR, aVL and aVF for the next: each
    tells the other, so that twice as many beats of a limb lead are averaged.

    Parameters
    ----------
    signal : ndarray of shape (n_leads, n_samples)
        NaN is missing. A lead that is missing throughout stays so.
    names : sequence of str
        As usually spelled.

    Returns
    -------
    ndarray of shape (n_leads, n_samples)
        The input itself where nothing is filled.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.incomplete import fill_limb_leads
    >>> page = np.array([[1.0, np.nan], [3.0, 3.0], [np.nan, 2.0]])
    >>> fill_limb_leads(page, ["I", "II", "III"])
    array([[1., 1.],
           [3., 3.],
           [2., 2.]])
    """
    limb = [i for i, name in enumerate(names) if name in LIMB_FROM_I_II]
    known = np.isfinite(signal[limb])
    limb = [i for i, there in zip(limb, known.any(axis=1)) if there]
    known = known[known.any(axis=1)]
    if len(limb) < 3 or known.all():
        return signal
    out = np.array(signal)
    for pattern in np.unique(known, axis=1).T:
        # Two leads may be one turned around (none of the six are), and one tells nothing.
        if pattern.sum() < 2 or pattern.all():
            continue
        here = (known == pattern[:, None]).all(axis=0)
        have = [i for i, there in zip(limb, pattern) if there]
        want = [i for i, there in zip(limb, pattern) if not there]
        weights = limb_weights([names[i] for i in want], [names[i] for i in have])
        out[np.ix_(want, here)] = weights @ signal[np.ix_(have, here)]
    return out


def in_turns(missing) -> bool:
    """Whether a lead is seen for a part of the record only.

    Parameters
    ----------
    missing : ndarray of bool, shape (n_leads, n_samples), or None
        None for a record without gaps. A lead that is missing throughout does not count.

    Returns
    -------
    bool
    """
    if missing is None:
        return False
    # A moment in which all leads are lost takes nothing from one lead that another has.
    apart = missing & ~missing.all(axis=0)
    return bool((apart.any(axis=1) & ~missing.all(axis=1)).any())


def bridge_beat(beat, fs) -> np.ndarray:
    """Beat with lines across the short gaps that no beat of its lead fills."""
    for lead in beat:
        gap = np.isnan(lead)
        if gap.any() and not gap.all():
            here = np.flatnonzero(~gap)
            for start, stop in _runs(gap):
                if stop - start <= _SHORT_GAP_S * fs:
                    lead[start:stop] = np.interp(np.arange(start, stop), here, lead[here])
    return beat


def relative_speed(clean, missing, peaks, reach, fs) -> np.ndarray:
    """Greatest speed of the vector in each beat, beside that of its leads in other beats.

    The chest leads of one column are faster than the limb leads of another: speeds in mV/s would
    make T waves of the beats of the slow ones.
    """
    moved, known = _slopes(clean, missing, peaks, reach, fs)
    usual = _usual(moved.max(axis=2), known)
    total = (known * usual**2).sum(axis=1)
    fast = (moved**2).sum(axis=1).max(axis=1)
    return np.sqrt(fast / np.maximum(total, 1e-12))


def with_common_lead(clean, missing, peaks, reach, fs) -> tuple[np.ndarray, np.ndarray]:
    """Leads, and one more that is known wherever one of them is: their speed.

    Beats that share no lead are aligned by it, as those of a page without a rhythm strip.
    """
    moved, known = _slopes(clean, missing, peaks, reach, fs)
    usual = _usual(moved.max(axis=2), known)
    step = max(1, round(_SLOPE_S * fs))
    slope = np.zeros_like(clean)
    slope[:, step // 2 : step // 2 - step] = clean[:, step:] - clean[:, :-step]
    slope[missing] = 0.0
    weight = np.where(missing, 0.0, usual[:, None] ** 2).sum(axis=0)
    common = np.sqrt((slope**2).sum(axis=0) / np.maximum(weight, 1e-12))
    height = np.sqrt(_COMMON_SHARE) * np.median(np.ptp(clean, axis=1))
    leads = np.concatenate([clean, height * common[None]])
    return leads, np.concatenate([missing, missing.all(axis=0)[None]])


def _slopes(clean, missing, peaks, reach, fs) -> tuple[np.ndarray, np.ndarray]:
    """Steps of each lead within 8 ms around each peak, 0 where unknown, and which are known."""
    step = max(1, round(_SLOPE_S * fs))
    index = np.clip(peaks[:, None] + np.arange(-reach, reach), 0, clean.shape[1] - 1)
    known = ~missing[:, index].any(axis=2).T
    part = clean[:, index].transpose(1, 0, 2)
    moved = np.abs(part[..., step:] - part[..., :-step])
    return np.where(known[..., None], moved, 0.0), known


def _usual(height, known) -> np.ndarray:
    """Upper quartile over the beats in which a lead is known; 0 where it is in none."""
    height = np.where(known, height, np.nan)
    seen = known.any(axis=0)
    out = np.zeros(height.shape[1])
    out[seen] = np.nanpercentile(height[:, seen], 75, axis=0)
    return out


def _runs(mask) -> list[tuple[int, int]]:
    """First sample of each run of true ones, and the sample after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2])]

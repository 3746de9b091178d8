"""Windows cut around beats, and what is averaged over them."""

from functools import lru_cache

import numpy as np

_MOST_IN_NETWORK = 32  # beats; exchanges grow with their square, nearly


def cut_beats(record, missing, positions, before, after) -> np.ndarray:
    """Windows of a record, (n_beats, n_leads, before + after); NaN outside it and where missing."""
    n = record.shape[1]
    if missing is None and positions.min() >= before and positions.max() + after <= n:
        # Slices are copied several times faster than an index is followed.
        return np.stack([record[:, at - before : at + after] for at in positions])
    index = positions[:, None] + np.arange(-before, after)
    outside = (index < 0) | (index >= n)
    index = np.clip(index, 0, n - 1)
    out = record[:, index]
    if missing is not None:
        out[missing[:, index]] = np.nan
    out[:, outside] = np.nan
    return np.ascontiguousarray(out.transpose(1, 0, 2))


def middle_of_beats(segments) -> np.ndarray:
    """Mean of the middle half of beats at each sample, NaN left out; NaN where no beat has a value.

    Of up to four beats it is the median. Of more, the median would jump where beats that differ
    (by fibrillation waves, say) cross.
    """
    n = len(segments)
    if 4 < n <= _MOST_IN_NETWORK and not np.isnan(segments.sum()):
        return _middle_half(segments).mean(axis=0)
    ordered = np.sort(segments, axis=0)  # NaN goes last
    if not np.isnan(ordered[-1]).any():
        return ordered[n // 4 : n - n // 4].mean(axis=0)
    count = np.isfinite(ordered).sum(axis=0)
    place = np.arange(n)[:, None, None]
    inside = (place >= count // 4) & (place < count - count // 4)
    total = np.where(inside, ordered, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(inside.sum(axis=0), 1), np.nan)


def _middle_half(segments) -> np.ndarray:
    """The middle half of beats sorted at each sample.

    Whole beats are exchanged, which is faster than to sort column by column.
    """
    rows, other = np.array(segments), np.empty_like(segments[0])
    order = list(range(len(rows)))
    # The smaller of a pair goes to a spare array, whose place the larger one's old array takes.
    arrays = [*rows, other]
    spare = len(rows)
    for low, high in _exchanges(len(rows)):
        a, b = arrays[order[low]], arrays[order[high]]
        np.minimum(a, b, out=arrays[spare])
        np.maximum(a, b, out=b)
        order[low], spare = spare, order[low]
    n = len(order)
    return np.stack([arrays[i] for i in order[n // 4 : n - n // 4]])


@lru_cache(maxsize=32)
def _exchanges(n) -> list[tuple[int, int]]:
    """Batcher's odd-even merge sort of n places, less what only orders the outer quarters."""
    pairs = []
    size = 1
    while size < n:
        step = size
        while step >= 1:
            for start in range(step % size, n - step, 2 * step):
                for i in range(start, start + min(step, n - start - step)):
                    if i // (2 * size) == (i + step) // (2 * size):
                        pairs.append((i, i + step))
            step //= 2
        size *= 2
    wanted = set(range(n // 4, n - n // 4))
    kept: list[tuple[int, int]] = []
    for pair in reversed(pairs):
        if wanted & set(pair):
            wanted |= set(pair)
            kept.append(pair)
    return kept[::-1]


def hold_edges(beat) -> np.ndarray:
    """Beat continued level where the record begins or ends within the window of every beat."""
    known = np.isfinite(beat)
    if known.all():
        return beat
    for lead, there in zip(beat, known):
        inside = np.flatnonzero(there)
        if len(inside):
            lead[: inside[0]] = lead[inside[0]]
            lead[inside[-1] + 1 :] = lead[inside[-1]]
    return beat


def alternating_mean(segments) -> np.ndarray:
    """Mean of beats with alternating signs: noise of the strength that an average keeps."""
    n = len(segments) // 2
    difference = 0.5 * (segments[0 : 2 * n : 2] - segments[1 : 2 * n : 2])
    here = np.isfinite(difference)
    count = here.sum(axis=0)
    total = np.where(here, difference, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def less_baseline(clean, missing, onsets, fs) -> np.ndarray:
    """Record less the polygon through the levels just before each onset."""
    # The PR segment, not the whole beat: an ST segment has its own level and must keep it.
    first, last = onsets - round(0.036 * fs), onsets - round(0.012 * fs)
    index = np.clip(first[:, None] + np.arange(last[0] - first[0]), 0, clean.shape[1] - 1)
    level = clean[:, index].mean(axis=2)
    knots = 0.5 * (first + last)
    if missing is None:
        return clean - _polygon(knots, level, clean.shape[1])
    times = np.arange(clean.shape[1])
    flat = np.empty_like(clean)
    for i, (lead, y) in enumerate(zip(clean, level)):
        here = ~missing[i, index].any(axis=1)
        flat[i] = lead - (np.interp(times, knots[here], y[here]) if here.any() else 0.0)
    return flat


def _polygon(knots, levels, n) -> np.ndarray:
    """Lines through the levels at the knots, at every sample, all leads at once; level outside."""
    # Peaks that a caller gave may coincide.
    knots, first = np.unique(knots, return_index=True)
    levels = levels[:, first]
    out = np.empty((len(levels), n))
    bounds = [0, *np.clip(np.ceil(knots), 0, n).astype(int).tolist(), n]
    out[:, : bounds[1]] = levels[:, :1]
    out[:, bounds[-2] :] = levels[:, -1:]
    slopes = np.diff(levels, axis=1) / np.diff(knots)
    times = np.arange(n)
    for i, (start, stop) in enumerate(zip(bounds[1:-2], bounds[2:-1])):
        part = out[:, start:stop]
        np.multiply(slopes[:, [i]], times[start:stop] - knots[i], out=part)
        part += levels[:, [i]]
    return out

"""One heart under two names: records whose median beats are the same within their noise."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from crtkit.signals import median_beat

#: Two cuts of one recording have median beats that correlate above, differ by less than so many
#: times the noise that is left in both, and are so many times nearer to each other than to any
#: beat that differs by more. Correlation alone does not do: simulated strangers reach 0.99.
ALIKE, IN_NOISE, NEARER = 0.97, 4.0, 4.0
#: With fewer leads strangers look alike too often; below this rate no beat is averaged.
LEAST_LEADS, LEAST_FS = 8, 100.0
_RATE = 250.0  # of the compared beats, in hertz
_FROM, _TO = -0.1, 0.46  # seconds around the fiducial: QRS and T, whose distance a rhythm keeps
_LAGS = 2  # samples at that rate by which two fiducials may differ
_FEWEST = 3  # beats: of fewer the noise that is left cannot be told
_FLOOR_MV = 0.002  # noise of a converter's last digit, which a record without any still has
_BLOCK = 256


class Beats(NamedTuple):
    """Median beats side by side.

    Attributes
    ----------
    rows : ndarray of int, shape (n_beats,)
        Records that have one.
    beat : ndarray of shape (n_beats, n_leads, n_samples)
        In millivolt.
    noise : ndarray of shape (n_beats,)
        Sum of squares of the noise left in each.
    """

    rows: np.ndarray
    beat: np.ndarray
    noise: np.ndarray


def same_beats(cells: Any, groups: np.ndarray, fs: float) -> list[tuple[int, int]]:
    """Pairs of records of different patients whose median beats are the same within their noise.

    Parameters
    ----------
    cells : sequence of ndarray of shape (n_leads, n_samples)
        Millivolt.
    groups : ndarray of shape (n_records,)
    fs : float
        In hertz.

    Returns
    -------
    list of (int, int)
        Positions, the earlier record first; none where there are fewer than eight leads.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.datasets import make_cohort
    >>> from crtkit.evaluation.leaks.beats import same_beats
    >>> cells = list(make_cohort("mori2025", n_patients=4, random_state=0).X["signal"])
    >>> cells.append(cells[1][:, 1300:])
    >>> same_beats(cells, np.arange(5), 500.0)
    [(1, 4)]
    """
    beats = _beats_of(cells, fs)
    groups = np.asarray(groups)[beats.rows]
    pairs: dict[tuple[int, int], float] = {}
    # How near the nearest beat is that is surely another heart's.
    nearest = np.full(len(groups), -1.0)
    for start in range(0, len(groups), _BLOCK):
        block = slice(start, start + _BLOCK)
        likeness, apart = _compared(beats, block)
        others = groups[block, None] != groups
        within = apart < IN_NOISE
        nearest[block] = np.where(others & ~within, likeness, -1.0).max(axis=1)
        for i, j in zip(*np.nonzero(others & within & (likeness > ALIKE))):
            pair = (min(start + i, j), max(start + i, j))
            pairs[pair] = max(pairs.get(pair, -1.0), float(likeness[i, j]))
    return sorted(
        (int(beats.rows[i]), int(beats.rows[j]))
        for (i, j), best in pairs.items()
        if 1 - max(nearest[i], nearest[j]) > NEARER * (1 - best)
    )


def _compared(beats: Beats, block: slice) -> tuple[np.ndarray, np.ndarray]:
    """Correlation of a block's beats with all beats at the best lag, and their distance there.

    The distance is squared, over what noise alone would make it.
    """
    n = beats.beat.shape[-1] - 2 * _LAGS
    own = beats.beat[block, :, _LAGS : _LAGS + n].reshape(len(beats.rows[block]), -1)
    size = np.square(own).sum(axis=1)[:, None]
    likeness = np.full((len(own), len(beats.rows)), -np.inf)
    apart = np.full(likeness.shape, np.inf)
    for lag in range(2 * _LAGS + 1):
        other = beats.beat[:, :, lag : lag + n].reshape(len(beats.rows), -1)
        length = np.square(other).sum(axis=1)
        product = own @ other.T
        here = product / np.maximum(np.sqrt(size * length), 1e-12)
        better = here > likeness
        likeness = np.where(better, here, likeness)
        apart = np.where(better, size + length - 2 * product, apart)
    return likeness, apart / (beats.noise[block, None] + beats.noise)


def _beats_of(cells: Any, fs: float) -> Beats:
    rows, beats, noise = [], [], []
    n_leads = None
    for row in range(len(cells)):
        signal = np.asarray(cells[row], dtype=np.float32)
        n_leads = signal.shape[0] if n_leads is None else n_leads
        if not fs >= LEAST_FS or signal.shape[0] < LEAST_LEADS or signal.shape[0] != n_leads:
            continue
        found = median_beat(signal, fs)
        # A lead that was not connected would make any two of such records alike.
        if found.n_used < _FEWEST or not np.isfinite(found.beat).all():
            continue
        beat, left = (_on_grid(part, found.fiducial, fs) for part in (found.beat, found.residual))
        rows.append(row)
        beats.append(beat)
        noise.append(float(np.square(left).sum()) + left.size * _FLOOR_MV**2)
    shape = (len(rows), n_leads or 0, _on_grid(np.zeros((1, 2)), 0, fs).shape[1])
    return Beats(
        np.array(rows, dtype=int),
        np.array(beats, dtype=np.float32).reshape(shape),
        np.array(noise, dtype=np.float32),
    )


def _on_grid(beat: np.ndarray, fiducial: int, fs: float) -> np.ndarray:
    edge = _LAGS / _RATE
    times = np.arange(round((_TO - _FROM + 2 * edge) * _RATE)) / _RATE + _FROM - edge
    at = times * fs + fiducial
    samples = np.arange(beat.shape[1])
    return np.stack([np.interp(at, samples, np.nan_to_num(lead)) for lead in beat])

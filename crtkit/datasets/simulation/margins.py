"""Distributions that have exactly the figures a baseline table prints, as maps of a normal score.

Each margin turns a standard normal score ``w`` into a value and back; ``log_slope`` is the log of
dw/dx, which turns a density of scores into a density of values.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import betaincinv, betaln, expit, log_ndtr, logit, ndtr, ndtri

LOG_ROOT_2PI = 0.5 * np.log(2.0 * np.pi)
QUARTILE = ndtri(0.75)


@dataclass(frozen=True)
class Quartiles:
    """Between two bounds, with the given quartiles.

    Normal on the logit scale but for a dent that makes the quartiles asymmetric and dies out in the
    tails: three quartiles say nothing of tails, so they must not tell two groups apart.
    """

    median: float
    q1: float
    q3: float
    low: float
    high: float

    @cached_property
    def _shape(self):
        q1, median, q3 = logit(
            (np.array([self.q1, self.median, self.q3]) - self.low) / (self.high - self.low)
        )
        return median, (q3 - q1) / (2.0 * QUARTILE), (q1 + q3) / 2.0 - median

    @cached_property
    def _table(self):
        median, slope, dent = self._shape
        w = np.linspace(-8.0, 8.0, 8001)
        return w, median + slope * w + dent * _dent(w)

    def value(self, w):
        """Value at a score."""
        median, slope, dent = self._shape
        return self.low + (self.high - self.low) * expit(median + slope * w + dent * _dent(w))

    def score(self, x):
        """Score of a value."""
        w, y = self._table
        return np.interp(logit(_unit(x, self.low, self.high)), y, w)

    def log_slope(self, x):
        """Log of dw/dx."""
        _, slope, dent = self._shape
        w = self.score(x)
        steepness = slope + dent * _dent(w) * (2.0 - w**2) / np.where(w == 0, 1.0, w)
        return _log_logit_slope(x, self.low, self.high) - np.log(steepness)


@dataclass(frozen=True)
class Moments:
    """Between two bounds, with the given mean and standard deviation: a scaled beta."""

    mean: float
    sd: float
    low: float
    high: float

    @cached_property
    def _shape(self):
        width = self.high - self.low
        mean, variance = (self.mean - self.low) / width, (self.sd / width) ** 2
        total = mean * (1.0 - mean) / variance - 1.0
        return mean * total, (1.0 - mean) * total

    @cached_property
    def _table(self):
        # A beta's inverse is slow; between 4001 scores it is straight to some 1e-6.
        a, b = self._shape
        w = np.linspace(-8.0, 8.0, 4001)
        u = np.where(w < 0, betaincinv(a, b, ndtr(w)), 1.0 - betaincinv(b, a, ndtr(-w)))
        return w, self.low + (self.high - self.low) * u

    def value(self, w):
        """Value at a score."""
        return np.interp(w, *self._table)

    def score(self, x):
        """Score of a value."""
        w, values = self._table
        return np.interp(x, values, w)

    def log_slope(self, x):
        """Log of dw/dx."""
        a, b = self._shape
        u = _unit(x, self.low, self.high)
        density = (a - 1) * np.log(u) + (b - 1) * np.log1p(-u) - betaln(a, b)
        w = self.score(x)
        return density - np.log(self.high - self.low) + 0.5 * w**2 + LOG_ROOT_2PI


@dataclass(frozen=True)
class Bounded:
    """Between two bounds, normal on the logit scale: for what no table prints."""

    low: float
    high: float
    loc: float
    scale: float

    def value(self, w):
        """Value at a score."""
        return self.low + (self.high - self.low) * expit(self.loc + self.scale * w)

    def score(self, x):
        """Score of a value."""
        return (logit(_unit(x, self.low, self.high)) - self.loc) / self.scale

    def log_slope(self, x):
        """Log of dw/dx."""
        return _log_logit_slope(x, self.low, self.high) - np.log(self.scale)


@dataclass(frozen=True)
class Score:
    """The score itself."""

    def value(self, w):
        """Value at a score."""
        return w

    def score(self, x):
        """Score of a value."""
        return x

    def log_slope(self, x):
        """Log of dw/dx."""
        return np.zeros_like(x)


class Mixture:
    """Unit normals at several places: the marginal score of one coordinate over strata.

    ``flatten`` maps a mixture score to a standard normal one, so that a printed margin holds over
    all strata together although they differ.
    """

    def __init__(self, weights, means):
        means, where = np.unique(means, return_inverse=True)
        self.weights, self.means = np.bincount(where, weights), means
        # Nine SDs beyond the outermost mean: no draw of any cohort lies outside the table.
        self._z = np.linspace(means.min() - 9.0, means.max() + 9.0, 4001)
        gap = self._z[:, None] - means
        # Either tail by itself keeps its digits.
        lower = _log_mean(log_ndtr(gap), self.weights)
        upper = _log_mean(log_ndtr(-gap), self.weights)
        self._w = np.where(lower < upper, _ndtri_log(lower), -_ndtri_log(upper))

    def flatten(self, z):
        """Standard normal score of a mixture score."""
        return np.interp(z, self._z, self._w)

    def unflatten(self, w):
        """Mixture score of a standard normal score."""
        return np.interp(w, self._w, self._z)

    def log_density(self, z):
        """Log of the mixture's density."""
        return _log_mean(-0.5 * (np.asarray(z)[..., None] - self.means) ** 2, self.weights) - (
            LOG_ROOT_2PI
        )


def _unit(x, low, high):
    """Place of ``x`` between bounds; outside them, so near the edge that its density is nil."""
    # A patient of the other class may lie outside this class's bounds; log(0) would be infinite.
    return np.clip((x - low) / (high - low), 1e-12, 1.0 - 1e-12)


def _log_logit_slope(x, low, high):
    u = _unit(x, low, high)
    return -np.log(u) - np.log1p(-u) - np.log(high - low)


def _dent(w):
    """1 at the quartiles, 0 at the median and in the tails."""
    return (w / QUARTILE) ** 2 * np.exp(0.5 * (QUARTILE**2 - w**2))


def _log_mean(logs, weights):
    top = logs.max(axis=-1, keepdims=True)
    return top[..., 0] + np.log(np.exp(logs - top) @ weights)


def _ndtri_log(log_p):
    return ndtri(np.exp(np.minimum(log_p, np.log(0.5))))


def shift_to_total(log_odds, weights, total):
    """Probabilities with these log odds up to a constant, and this weighted sum."""
    # None or all: the shift would be infinite.
    if total <= 0 or total >= weights.sum():
        return np.full(len(log_odds), float(total > 0))

    def excess(shift):
        return weights @ expit(log_odds + shift) - total

    # A shift of 60 takes any log odds used here to certainty, so a root lies between.
    return expit(log_odds + brentq(excess, -60.0, 60.0, xtol=1e-13))


def draw_exactly(probabilities, count, rng):
    """Ones and zeros with these inclusion probabilities and exactly ``count`` ones.

    Madow's systematic sampling over a random order; the probabilities must add up to ``count``.
    """
    order = rng.permutation(len(probabilities))
    sums = np.minimum(np.cumsum(probabilities[order]), count)
    # Rounding would lose or add one patient at the end.
    sums[-1] = count
    out = np.empty(len(order), dtype=np.int64)
    out[order] = np.diff(np.floor(np.append(0.0, sums) + rng.uniform()))
    return out

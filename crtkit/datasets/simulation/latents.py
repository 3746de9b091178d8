"""Patients given response: discrete strata times a Gaussian copula, both with explicit densities.

Within a class, a patient's stratum (QRS morphology, sex, ischaemia, rhythm, device) comes from a
chain of logistic models whose intercepts are solved for the printed counts. Given the stratum,
scores are normal with means that depend on it; a printed margin is laid over the *mixture* of
scores, so that it holds in the class as a whole. The likelihood ratio of any part of the latents
is therefore exact: a sum over the strata that the part does not tell apart.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular

from crtkit.datasets.simulation.margins import (
    LOG_ROOT_2PI,
    Mixture,
    draw_exactly,
    shift_to_total,
)
from crtkit.statistics.delong import auc_with_error


@dataclass(frozen=True)
class Binary:
    """A yes or no of the table: how many (non-responders, responders) have it.

    ``effects`` are log odds ratios of earlier entries of the chain (morphologies or binaries).
    """

    name: str
    counts: tuple
    effects: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Continuous:
    """A quantity of the table or of the heart.

    ``margins`` is a pair (non-responders, responders) for what the paper prints, one map for what
    is assumed, or one map per morphology. ``shifts`` moves its score by stratum, and ``response``
    by class (assumed quantities only: a printed margin says that itself).
    """

    name: str
    margins: object
    shifts: dict = field(default_factory=dict)
    response: float = 0.0
    decimals: int = 1

    @property
    def printed(self):
        """Whether the margin is given by class."""
        return isinstance(self.margins, tuple)


@dataclass(frozen=True)
class ResponseModel:
    """Everything that makes the patients of one study of response.

    Parameters
    ----------
    n : tuple of int
        Non-responders and responders of the paper.
    morphology : dict of str to tuple
        Weights of each QRS morphology (non-responders, responders), in order of the chain.
    binaries : tuple of Binary
        The rest of the chain.
    extras : tuple of Binary
        Binaries that depend on response only.
    continuous : tuple of Continuous
    correlations : dict of (str, str) to float
        Between scores, within a stratum.
    seen : dict of str to tuple
        Names that reach each modality.
    """

    n: tuple
    morphology: dict
    binaries: tuple
    extras: tuple
    continuous: tuple
    correlations: dict
    seen: dict

    @cached_property
    def strata(self):
        """One row per stratum: morphology, its flags, and the binaries of the chain."""
        table = pd.DataFrame({"morphology": list(self.morphology)})
        for binary in self.binaries:
            table = table.merge(pd.DataFrame({binary.name: [0, 1]}), how="cross")
        for name in self.morphology:
            table[name] = (table["morphology"] == name).astype(int)
        return table

    @cached_property
    def weights(self):
        """Probability of each stratum given the class, shape (2, n_strata)."""
        out = []
        for y in (0, 1):
            total = sum(counts[y] for counts in self.morphology.values())
            share = {name: counts[y] / total for name, counts in self.morphology.items()}
            # All combinations of the binaries equally likely at first; the loop reweights them one
            # by one.
            weights = self.strata["morphology"].map(share).to_numpy() / 2 ** len(self.binaries)
            for binary in self.binaries:
                fraction = binary.counts[y] / self.n[y]
                odds = _linear(self.strata, binary.effects)
                p = shift_to_total(odds, weights, fraction * weights.sum())
                # Each stratum began with half of the weight of either value.
                weights = 2.0 * weights * np.where(self.strata[binary.name] == 1, p, 1.0 - p)
            out.append(weights)
        return np.array(out)

    @cached_property
    def means(self):
        """Mean scores, shape (2, n_strata, n_continuous)."""
        common = np.column_stack([_linear(self.strata, c.shifts) for c in self.continuous])
        # Assumed quantities only: printed margins differ by class on their own.
        return np.stack([common, common + [c.response for c in self.continuous]])

    @cached_property
    def correlation(self):
        """Correlation of scores within a stratum."""
        names = [c.name for c in self.continuous]
        out = np.eye(len(names))
        for (a, b), value in self.correlations.items():
            i, j = names.index(a), names.index(b)
            out[i, j] = out[j, i] = value
        return out

    @cached_property
    def mixtures(self):
        """Of each printed quantity's score, by class."""
        return {
            c.name: tuple(Mixture(self.weights[y], self.means[y, :, j]) for y in (0, 1))
            for j, c in enumerate(self.continuous)
            if c.printed
        }

    def draw(self, n, rng, exact=True):
        """Draw patients, non-responders first.

        Parameters
        ----------
        n : tuple of int
            Non-responders and responders.
        rng : numpy.random.Generator
        exact : bool
            Counts given response are the printed shares of ``n``, rounded; else they are drawn.

        Returns
        -------
        DataFrame
            ``response``, ``stratum``, the latents, and ``scores`` of printed quantities (standard
            normal given response) as ``name + "_score"``.
        """
        return pd.concat([self._draw_class(y, n[y], rng, exact) for y in (0, 1)], ignore_index=True)

    def _draw_class(self, y, n, rng, exact):
        if exact:
            stratum = self._draw_strata(y, n, rng)
        else:
            # Rounding leaves the sum some 1e-13 off 1, which Generator.choice refuses.
            weights = self.weights[y] / self.weights[y].sum()
            stratum = rng.choice(len(weights), size=n, p=weights)
        table = self.strata.iloc[stratum].reset_index(drop=True)
        table.insert(0, "response", y)
        table.insert(1, "stratum", stratum)
        for extra in self.extras:
            share = extra.counts[y] / self.n[y]
            p = np.full(n, share)
            count = round(share * n)
            table[extra.name] = (
                draw_exactly(np.full(n, count / n), count, rng) if exact else rng.random(n) < p
            ).astype(int)
        factor = np.linalg.cholesky(self.correlation)
        z = self.means[y][stratum] + rng.standard_normal((n, len(self.continuous))) @ factor.T
        for j, c in enumerate(self.continuous):
            if c.printed:
                # Flattened over strata first: printed quartiles are of the whole class.
                w = self.mixtures[c.name][y].flatten(z[:, j])
                table[c.name + "_score"] = w
                table[c.name] = c.margins[y].value(w)
            else:
                table[c.name] = _draw_assumed(c.margins, table["morphology"], z[:, j])
        return table

    def _draw_strata(self, y, n, rng):
        """Strata whose binaries have exactly the printed share of ones, rounded."""
        counts = apportion([c[y] for c in self.morphology.values()], n)
        drawn = pd.DataFrame(
            {"morphology": rng.permutation(np.repeat(list(self.morphology), counts))}
        )
        for name in self.morphology:
            drawn[name] = (drawn["morphology"] == name).astype(int)
        for binary in self.binaries:
            count = round(binary.counts[y] / self.n[y] * n)
            # Solved on the patients drawn, not on the population: the count is exact at any size.
            p = shift_to_total(_linear(drawn, binary.effects), np.ones(n), count)
            drawn[binary.name] = draw_exactly(p, count, rng)
        keys = ["morphology", *(b.name for b in self.binaries)]
        number = pd.Series(
            np.arange(len(self.strata)), index=pd.MultiIndex.from_frame(self.strata[keys])
        )
        return number.loc[pd.MultiIndex.from_frame(drawn[keys])].to_numpy()

    def log_likelihood_ratio(self, table, seen):
        """Log of p(seen | responder) / p(seen | non-responder), exactly.

        Parameters
        ----------
        table : DataFrame
            As :meth:`draw` makes it.
        seen : sequence of str
            Latents that are known: ``morphology`` or its flags, binaries, continuous quantities.

        Returns
        -------
        ndarray of shape (n_patients,)
        """
        discrete = [name for name in self.strata if name in seen]
        # Strata that the seen latents do not tell apart share a code and are summed over.
        code = self.strata.groupby(discrete, sort=False).ngroup().to_numpy() if discrete else 0
        code = np.broadcast_to(code, len(self.strata))
        own = code[table["stratum"].to_numpy()]
        out = np.zeros(len(table))
        for y, sign in ((0, -1.0), (1, 1.0)):
            scores = self._printed_scores(table, y, seen)
            for value in np.unique(own):
                rows, strata = np.flatnonzero(own == value), np.flatnonzero(code == value)
                out[rows] += sign * self._log_density(table, y, rows, strata, seen, scores)
        for extra in self.extras:
            if extra.name in seen:
                p0, p1 = (extra.counts[y] / self.n[y] for y in (0, 1))
                yes = table[extra.name].to_numpy() == 1
                out += np.where(yes, np.log(p1 / p0), np.log((1 - p1) / (1 - p0)))
        return out

    def _printed_scores(self, table, y, seen):
        """Mixture scores of printed quantities, and the log slope of each with respect to x."""
        out = {}
        for c in self.continuous:
            if c.printed and c.name in seen:
                x, mixture = table[c.name].to_numpy(), self.mixtures[c.name][y]
                w = c.margins[y].score(x)
                z = mixture.unflatten(w)
                # Change of variables from the printed value to its mixture score.
                flat = -0.5 * w**2 - LOG_ROOT_2PI - mixture.log_density(z)
                out[c.name] = z, c.margins[y].log_slope(x) + flat
        return out

    def _log_density(self, table, y, rows, strata, seen, scores):
        """Log density of the seen quantities of some rows, summed over strata."""
        use = [j for j, c in enumerate(self.continuous) if c.name in seen]
        factor = np.linalg.cholesky(self.correlation[np.ix_(use, use)])
        terms = np.empty((len(strata), len(rows)))
        for row, s in enumerate(strata):
            z, slope = np.empty((len(use), len(rows))), np.zeros(len(rows))
            for i, j in enumerate(use):
                c = self.continuous[j]
                if c.printed:
                    z[i] = scores[c.name][0][rows]
                    slope += scores[c.name][1][rows]
                else:
                    x = table[c.name].to_numpy()[rows]
                    margin = c.margins
                    if isinstance(margin, dict):
                        margin = margin[self.strata["morphology"].iloc[s]]
                    z[i] = margin.score(x)
                    slope += margin.log_slope(x)
            # The determinant of the correlation is the same in both classes and cancels.
            gap = solve_triangular(factor, z - self.means[y, s, use][:, None], lower=True)
            terms[row] = np.log(self.weights[y, s]) + slope - 0.5 * np.square(gap).sum(axis=0)
        # The largest term is taken out, as exp of -800 is 0.
        top = terms.max(axis=0)
        return top + np.log(np.exp(terms - top).sum(axis=0))

    def best_auc(self, random_state=0, n=20_000):
        """AUC of the exact likelihood ratio of what reaches each modality, by Monte Carlo.

        Returns
        -------
        dict of str to dict
            ``auc`` and ``se`` (Monte Carlo standard error) by modality.
        """
        # Drawn, not exact counts: fixed counts would make patients depend on one another.
        table = self.draw((n, n), np.random.default_rng(random_state), exact=False)
        y = table["response"].to_numpy()
        out = {}
        for modality, seen in self.seen.items():
            auc, error = auc_with_error(self.log_likelihood_ratio(table, seen), y)
            out[modality] = {"auc": auc, "se": error}
        return out


def apportion(weights, total):
    """Whole numbers in proportion to ``weights`` that add up to ``total`` (largest remainders)."""
    exact = np.asarray(weights, float) / np.sum(weights) * total
    out = np.floor(exact).astype(int)
    # Stable, so that equal remainders go to the earlier entry on every platform.
    out[np.argsort(-(exact - out), kind="stable")[: total - out.sum()]] += 1
    return out


def _linear(table, effects):
    out = np.zeros(len(table))
    for name, effect in effects.items():
        out += effect * table[name].to_numpy(float) if name in table else 0.0
    return out


def _draw_assumed(margins, morphology, z):
    if not isinstance(margins, dict):
        return margins.value(z)
    out = np.empty(len(z))
    for name in pd.unique(morphology):
        rows = (morphology == name).to_numpy()
        out[rows] = margins[name].value(z[rows])
    return out

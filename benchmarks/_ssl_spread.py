"""What pretraining does to the mean and to the spread of AUCs: tables of a crossed design."""

import itertools
import math

import numpy as np
import pandas as pd
from scipy.stats import chi2, f as f_distribution, levene

from crtkit.evaluation import nadeau_bengio_interval
from crtkit.statistics.p_values import holm

ARMS = ("From scratch", "SimCLR")
DRAWS = 4000


def cells(fits):
    """Mean ± SD of every arm and share of the labels.

    Parameters
    ----------
    fits : DataFrame
        One row per fit: ``arm, fraction, split, repeat, roc_auc``.

    Returns
    -------
    DataFrame
        One row a cell: ``fits, mean, sd, lowest, highest``.
    """
    grouped = fits.groupby(["fraction", "arm"], sort=False)["roc_auc"]
    return grouped.agg(fits="count", mean="mean", sd="std", lowest="min", highest="max")


def comparison(fits, test_train_ratio, random_state=0):
    """SimCLR against scratch at every share of the labels: mean and SD.

    Parameters
    ----------
    fits : DataFrame
        As in :func:`cells`, balanced: every split and repeat in both arms.
    test_train_ratio : float
        Test over training records, for Nadeau and Bengio's interval.
    random_state : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        One row per share of the labels: ``difference, ci_low, ci_high`` of the mean AUC over
        splits; ``sd_ratio, sd_low, sd_high``: SD of SimCLR over SD of scratch, all fits, with the
        bootstrap interval that draws splits; ``brown_forsythe_p``, which takes fits as independent
        though they share splits; ``swap_p``, exact under exchange of the arms within splits, and
        ``smallest_swap_p``, the smallest that so few splits can give; ``seed_ratio, seed_ratio_low,
        seed_ratio_high, seed_p``: the SD of seeds within splits alone, by the F test (normal
        errors), and ``seed_p_holm`` over the shares of the labels.
    """
    rows = {}
    for fraction, part in fits.groupby("fraction", sort=False):
        scratch, pretrained = (_matrix(part[part["arm"] == arm]) for arm in ARMS)
        difference = (pretrained - scratch).mean(axis=1)
        low, high = nadeau_bengio_interval(difference, test_train_ratio)
        p = levene(scratch.ravel(), pretrained.ravel(), center="median").pvalue
        swap_p, smallest = swap_test(scratch, pretrained)
        rows[fraction] = {
            "difference": difference.mean(),
            "ci_low": low,
            "ci_high": high,
            "sd_ratio": _sd_ratio(scratch, pretrained),
            **dict(zip(("sd_low", "sd_high"), sd_interval(scratch, pretrained, random_state))),
            "brown_forsythe_p": p,
            "swap_p": swap_p,
            "smallest_swap_p": smallest,
            **_seed_ratio(scratch, pretrained),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("fraction")
    table["seed_p_holm"] = holm(table["seed_p"])
    return table


def _seed_ratio(scratch, pretrained):
    """Ratio of the SDs of seeds within splits, with the interval and p of the F test."""
    names = ("seed_ratio", "seed_ratio_low", "seed_ratio_high", "seed_p")
    n_splits, n_repeats = scratch.shape
    free = n_splits * (n_repeats - 1)
    if not free:
        return dict.fromkeys(names, np.nan)
    base, ours = (x.var(axis=1, ddof=1).mean() for x in (scratch, pretrained))
    if base == 0 or ours == 0:
        return dict.fromkeys(names, np.nan)
    ratio = ours / base
    low, high = (math.sqrt(ratio / f_distribution.ppf(q, free, free)) for q in (0.975, 0.025))
    p = 2 * min(f_distribution.cdf(ratio, free, free), f_distribution.sf(ratio, free, free))
    return dict(zip(names, (math.sqrt(ratio), low, high, p)))


def components(fits):
    """How much of the variance of an arm is the split and how much the training seed.

    One-way random effects: AUC = mean + split + seed within split. What is called seed holds the
    initial weights, the order of records, the views and, with SimCLR, pretraining.

    Parameters
    ----------
    fits : DataFrame
        As in :func:`cells`, balanced, with two repeats a split or more.

    Returns
    -------
    DataFrame
        One row a cell: ``split_sd, seed_sd`` (with its 95 % interval ``seed_low, seed_high``),
        ``split_share`` of the variance with its exact interval ``share_low, share_high``; all for
        normal components. A negative estimate of the split's variance is shown as 0.
    """
    rows = {}
    for (fraction, arm), part in fits.groupby(["fraction", "arm"], sort=False):
        rows[fraction, arm] = _one_way(_matrix(part))
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["fraction", "arm"])
    return table


def _one_way(values):
    n_splits, n_repeats = values.shape
    if n_splits < 2 or n_repeats < 2:
        return dict.fromkeys(
            ("split_sd", "seed_sd", "seed_low", "seed_high"), np.nan
        ) | dict.fromkeys(("split_share", "share_low", "share_high"), np.nan)
    free, within_free = n_splits - 1, n_splits * (n_repeats - 1)
    between = n_repeats * values.mean(axis=1).var(ddof=1)
    within = values.var(axis=1, ddof=1).mean()
    split = max(0.0, (between - within) / n_repeats)
    ratio = between / within if within > 0 else np.inf
    low, high = (
        _share(ratio / f_distribution.ppf(q, free, within_free), n_repeats) for q in (0.975, 0.025)
    )
    return {
        "split_sd": math.sqrt(split),
        "seed_sd": math.sqrt(within),
        "seed_low": math.sqrt(within_free * within / chi2.ppf(0.975, within_free)),
        "seed_high": math.sqrt(within_free * within / chi2.ppf(0.025, within_free)),
        "split_share": split / (split + within) if split + within > 0 else np.nan,
        "share_low": low,
        "share_high": high,
    }


def _share(ratio, n_repeats):
    """Share of the split from a ratio of mean squares; 1 where seeds make no difference."""
    if np.isinf(ratio):
        return 1.0
    return max(0.0, (ratio - 1) / (ratio + n_repeats - 1))


def sd_interval(scratch, pretrained, random_state=0, level=0.95):
    """Bootstrap interval of the ratio of SDs; both arms of a split are drawn together.

    Parameters
    ----------
    scratch, pretrained : ndarray of shape (n_splits, n_repeats)
    random_state : int
    level : float

    Returns
    -------
    low, high : float
        Draws in which an SD is 0, as one split again and again may give, are left out.
    """
    rng = np.random.default_rng(random_state)
    drawn = rng.integers(0, len(scratch), (DRAWS, len(scratch)))
    spread = [values[drawn].std(axis=(1, 2), ddof=1) for values in (scratch, pretrained)]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = spread[1] / spread[0]
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(ratios):
        return np.nan, np.nan
    return tuple(np.quantile(ratios, [(1 - level) / 2, (1 + level) / 2]).tolist())


def swap_test(scratch, pretrained, random_state=0):
    """Exact test of equal spread: the arms of any set of splits may change places.

    Each arm is first centred on its median, so that a difference of the means is not evidence.
    Beyond twelve splits a sample of the exchanges stands for all of them.

    Parameters
    ----------
    scratch, pretrained : ndarray of shape (n_splits, n_repeats)
    random_state : int

    Returns
    -------
    p, smallest : float
        Two-sided, and the smallest that this number of splits can give; nan where an arm does not
        vary.
    """
    a, b = (x - np.median(x) for x in (scratch, pretrained))
    if not (a.std() > 0 and b.std() > 0):
        return np.nan, np.nan
    n = len(a)
    if n <= 12:  # the first split stays as it is: the other half of the exchanges mirrors this one
        swaps = np.array(
            [(False, *rest) for rest in itertools.product((False, True), repeat=n - 1)]
        )
    else:
        swaps = np.random.default_rng(random_state).random((DRAWS, n)) < 0.5
        swaps[0] = False
    swaps = swaps[:, :, None]
    first, second = np.where(swaps, b, a), np.where(swaps, a, b)
    with np.errstate(divide="ignore"):
        found = np.abs(np.log(second.std(axis=(1, 2)) / first.std(axis=(1, 2))))
    return float(np.mean(found >= found[0] - 1e-12)), 1 / len(found)


def _sd_ratio(scratch, pretrained):
    return float(np.divide(pretrained.std(ddof=1), scratch.std(ddof=1)))


def _matrix(part):
    """AUCs as splits down, repeats across."""
    return part.pivot(index="split", columns="repeat", values="roc_auc").to_numpy(dtype=float)

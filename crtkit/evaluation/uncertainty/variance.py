"""The variance behind the headline interval: patients drawn again, and models fitted again."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from crtkit.evaluation.scoring import Part, deciding, nanvar, over_distinct


class Variance(NamedTuple):
    """A variance and the degrees of freedom that it was estimated with."""

    value: float
    df: float


def patient_variance(replicates: np.ndarray, name: str, parts: list[Part]) -> Variance:
    """Variance of a mean over splits when patients are drawn again, fits held fixed.

    Parameters
    ----------
    replicates : ndarray of shape (n_bootstrap,)
        Of the mean, from :func:`crtkit.evaluation.scoring.replicate`.
    name : str
        The metric.
    parts : list of Part
        One model's.

    Returns
    -------
    Variance
        The bootstrap measures spread around each test part's own mean, which is too small by 1 - 1
        / m where m patients decide a part's figure; that is given back.
    """
    answered = [max(deciding(name, [part]), 2) for part in parts if len(part.y_true)]
    per_part = float(np.mean(answered)) if answered else 2.0
    value = nanvar(replicates) * per_part / (per_part - 1)
    return Variance(value, max(deciding(name, parts) - 1, 1))


def with_fits(
    patients: Variance,
    column: np.ndarray,
    parts: list[Part],
    split_of: dict[tuple[int, int], int],
    share: float,
) -> Variance:
    """Add the variance of fitting again, ``share`` of that between distinct splits.

    Parameters
    ----------
    patients : Variance
    column : ndarray of shape (n_parts,)
        The metric of every part.
    share : float
        From :func:`fits_share`.

    Returns
    -------
    Variance
        Degrees of freedom after Satterthwaite: ten splits say little about a variance.
    """
    splits = over_distinct(column, parts, split_of)
    splits = splits[~np.isnan(splits)]
    if len(splits) < 2 or not share > 0:
        return patients
    fits = share * float(splits.var(ddof=1))
    total = patients.value + fits
    if not total > 0:
        return Variance(total, patients.df)
    terms = patients.value**2 / patients.df + fits**2 / (len(splits) - 1)
    return Variance(total, total**2 / terms)


def larger(*variances: Variance) -> Variance:
    """The largest of several variances of one figure; an undefined one only where all are."""
    return max(variances, key=lambda v: -np.inf if np.isnan(v.value) else v.value)


def fits_share(
    parts: list[Part], split_of: dict[tuple[int, int], int], ratio: float | None
) -> float:
    """How much of the variance between splits to add for fitting the model again.

    Parameters
    ----------
    parts : list of Part
        One model's, all seeds and folds.
    split_of : dict
        Number of the split behind each (seed, fold).
    ratio : float or None
        Tested over training patients; None where every split answers for the same patients.

    Returns
    -------
    float
        Multiplier of the variance over distinct splits; 0 for answers that do not depend on the
        training part (a rule), and where there is one split.

    Notes
    -----
    A patient is tested in one split and trained on in others. Let u be what training takes from the
    patients and d how the tested ones differ, both linear in them. The figure of a split has a part
    in d alone, which the bootstrap by patient sees, and a part in u times d, of which it sees only
    half: by Isserlis' theorem splits j and k covary as cov(u_j, u_k) cov(d_j, d_k) + cov(u_j, d_k)
    cov(d_j, u_k), and the second product, patients who change sides, is missing. With c for shared
    patients over the root of both sizes,

        share = (1 - R) sum_jk c(u_j, d_k) c(d_j, u_k) / J^2 / (1 - mean_jk rho_jk),
        rho = c(u_j, u_k) c(d_j, d_k) + c(u_j, d_k) c(d_j, u_k).

    R is the share of the scores' spread that another training part would give again: 0 for labels
    that are noise, 1 for a rule. Two splits that test one patient share c(u_j, u_k) of their
    training, so that the correlation of their scores is R + (1 - R) c. Scores are compared by
    ranks within a class; where no patient is tested twice, R is taken as 0.
    """
    # A subgroup may have nobody in a split, which then says nothing of fits.
    parts = [part for part in parts if len(part.y_true)]
    numbers = np.array([split_of[part.seed, part.fold] for part in parts])
    n_splits = len(np.unique(numbers))
    if n_splits < 2:
        return 0.0
    if ratio is None:
        return 1 / n_splits
    scores, classes, patient_of = score_matrix(parts, numbers)
    tested = np.zeros((n_splits, patient_of.max() + 1))
    split, unit = np.nonzero(~np.isnan(scores))
    tested[split, patient_of[unit]] = 1
    same_role, swapped = _overlaps(tested, ratio)
    apart = ~np.eye(n_splits, dtype=bool)
    size = tested.sum(axis=1)
    both_tested = tested @ tested.T / np.sqrt(np.outer(size, size))
    crossed = swapped * swapped.T
    rho = float((same_role * both_tested + crossed)[apart].mean())
    missing = float(crossed[apart].sum()) / n_splits**2
    return _instability(scores, classes, same_role) * missing / max(1 - rho, 0.05)


class ScoreMatrix(NamedTuple):
    """Scores by split and unit (nan: not tested), and the class and patient of each unit."""

    scores: np.ndarray
    y_true: np.ndarray
    patient_of: np.ndarray


def score_matrix(parts: list[Part], numbers: np.ndarray) -> ScoreMatrix:
    """Scores of one model side by side; parts of one number are averaged.

    Parameters
    ----------
    parts : list of Part
    numbers : ndarray of shape (n_parts,)
        Which row a part belongs to.
    """
    patients, patient = np.unique(
        np.concatenate([part.group.astype(str) for part in parts]), return_inverse=True
    )
    sizes = [len(part.group) for part in parts]
    part_of = np.repeat(np.arange(len(parts)), sizes)
    # Records of a patient keep their order within a part, so a counter tells them.
    order = np.lexsort((np.arange(len(patient)), patient, part_of))
    new = (np.diff(part_of[order]) != 0) | (np.diff(patient[order]) != 0)
    runs = np.flatnonzero(np.r_[True, new])
    place = np.empty(len(patient), dtype=np.intp)
    place[order] = np.arange(len(patient)) - np.repeat(runs, np.diff([*runs, len(patient)]))
    keys, unit = np.unique(patient * (place.max() + 1) + place, return_inverse=True)
    row = np.unique(numbers, return_inverse=True)[1][part_of]
    cell = row * len(keys) + unit
    shape = (int(row.max()) + 1, len(keys))
    n_cells = shape[0] * shape[1]
    count = np.bincount(cell, minlength=n_cells).reshape(shape)
    total = np.bincount(cell, np.concatenate([p.y_score for p in parts]), n_cells).reshape(shape)
    y_true = np.zeros(len(keys), dtype=bool)
    y_true[unit] = np.concatenate([part.y_true for part in parts])
    scores = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
    return ScoreMatrix(scores, y_true, keys // (place.max() + 1))


def _overlaps(tested: np.ndarray, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Shared training patients of two splits, and those trained on in one and tested in the other.

    Over the root of both sizes. Who is trained on follows from who is tested: everybody else.
    """
    n_test = tested.sum(axis=1)
    n_train = n_test / ratio
    both = tested @ tested.T
    everybody = float(np.mean(n_test + n_train))
    shared = np.maximum(everybody - (n_test[:, None] + n_test[None, :] - both), 0)
    same_role = np.minimum(shared / np.sqrt(np.outer(n_train, n_train)), 1)
    changed = n_test[None, :] - both  # trained on in the split of the row
    return same_role, np.minimum(changed / np.sqrt(np.outer(n_train, n_test)), 1)


def _instability(scores: np.ndarray, classes: np.ndarray, same_role: np.ndarray) -> float:
    """1 - R: how much of the spread of the scores another training part would not give again."""
    there = ~np.isnan(scores)
    ranks = np.zeros(scores.shape)
    ranks[there] = stats.rankdata(scores[there])
    unit = np.nonzero(there)[1]
    within = ranks[there]
    for label in (False, True):
        own = classes[unit] == label
        within[own] -= within[own].mean() if own.any() else 0.0
    spread = float((within**2).sum()) / max(len(within) - 2, 1)
    if not spread > 0:
        return 0.0
    times = there.sum(axis=0)
    n_pairs = float((times * (times - 1) / 2).sum())
    if not n_pairs:
        return 1.0
    # Half the squared difference of two scores of one unit, summed over all pairs of its splits.
    moved = float(((times * (ranks**2).sum(axis=0) - ranks.sum(axis=0) ** 2) / 2).sum()) / n_pairs
    pairs = there.astype(float) @ there.T.astype(float)
    np.fill_diagonal(pairs, 0)
    not_shared = float((pairs * (1 - same_role)).sum() / pairs.sum())
    return float(np.clip(moved / spread / max(not_shared, 1e-9), 0, 1))

"""Can these scores come from one confusion matrix? Exact enumeration, and what would mend them."""

import warnings
from dataclasses import dataclass
from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from crtkit.metrics.counts import SHARES

ALIASES = {
    "acc": "accuracy",
    "sens": "sensitivity",
    "recall": "sensitivity",
    "spec": "specificity",
    "precision": "ppv",
    "bacc": "balanced_accuracy",
}
SCORES = (*SHARES, "balanced_accuracy")
LINEAR = ("accuracy", "balanced_accuracy", "sensitivity", "specificity")
CELLS = ["tp", "fn", "fp", "tn"]
REPAIR_COLUMNS = ["kind", "change", "steps", "n_matrices", *CELLS]
# Half a unit of the last digit, a little wider: papers round halves up and down.
SLACK = 1e-6
GRID_LIMIT = 50_000_000
LAST_DIGIT = 9  # steps a printed score may have been mistyped by


@dataclass(frozen=True)
class ScoreAudit:
    """Verdict of :func:`audit_scores`, and what would mend the scores.

    Attributes
    ----------
    consistent : bool
        Whether any confusion matrix prints these scores.
    matrices : DataFrame
        The matrices that do: ``tp``, ``fn``, ``fp``, ``tn`` (sums over folds where folds were
        given), one row each.
    repairs : DataFrame
        Of inconsistent scores, the single changes after which a matrix fits: two scores
        exchanged, the classes exchanged, one score changed by at most nine steps of its last
        digit, one record of the other class. Columns ``kind``, ``change`` (in words), ``steps``
        (of the last digit), ``n_matrices``, and ``tp``, ``fn``, ``fp``, ``tn`` of one of them.
        Empty for consistent scores.
    n_positive, n_negative : int
    scores : dict
        As given, under their full names.
    """

    consistent: bool
    matrices: pd.DataFrame
    repairs: pd.DataFrame
    n_positive: int
    n_negative: int
    scores: dict

    def __str__(self) -> str:
        counts = f"{self.n_positive} positive, {self.n_negative} negative"
        if self.consistent:
            first = ", ".join(f"{k} {v}" for k, v in self.matrices.iloc[0].items())
            return f"consistent ({counts}): {len(self.matrices)} matrices, for example {first}"
        if self.repairs.empty:
            return f"inconsistent ({counts}): no matrix fits, nor after any single repair"
        changes = "; ".join(self.repairs["change"].head(5))
        return f"inconsistent ({counts}): no matrix fits. Single repairs: {changes}"


def audit_scores(n_positive, n_negative, decimals=3, *, folds=None, **scores) -> ScoreAudit:
    """Check that printed scores can come from one confusion matrix.

    Every (tp, tn) is tried, so the verdict is exact. It is about the printed numbers under the
    stated class counts, not about a study.

    Parameters
    ----------
    n_positive, n_negative : int
        Records of each class.
    decimals : int, default=3
        Decimals the scores are printed with. A score given as text (``"0.60"``) brings its own.
    folds : int or list of (int, int), optional
        The scores are means over this many stratified folds (as scikit-learn makes them), or over
        folds of these (positive, negative) records. Only accuracy, balanced accuracy,
        sensitivity and specificity can then be checked.
    **scores : float or str
        Any of ``accuracy``, ``balanced_accuracy``, ``sensitivity``, ``specificity``, ``ppv``,
        ``npv``, ``f1`` (or ``acc``, ``bacc``, ``sens``, ``recall``, ``spec``, ``precision``), as
        fractions.

    Returns
    -------
    ScoreAudit
        ``consistent``, ``matrices``, ``repairs``.

    Raises
    ------
    ValueError
        Unknown or no scores, percentages, counts below 1, folds that do not add up, more matrices
        than can be tried.

    References
    ----------
    Fazekas A, Kovacs G. Testing the consistency of performance scores reported for binary
    classification problems. Appl Soft Comput 2024;164:111993.

    Examples
    --------
    Specificity and NPV stand in each other's column:

    >>> from crtkit.statistics import audit_scores
    >>> audit = audit_scores(46, 69, accuracy=0.713, sensitivity=0.848, specificity=0.860,
    ...                      ppv=0.600, npv=0.623, f1=0.703)
    >>> audit.consistent
    False
    >>> audit.repairs[["kind", "change", "tp", "tn"]].values.tolist()
    [['exchanged scores', 'specificity and npv exchanged', 39, 43]]
    """
    printed = _read_scores(scores, decimals, folds)
    _check_counts(n_positive, n_negative, folds)
    layout = _layout(folds, n_positive, n_negative)
    matrices = _fitting(n_positive, n_negative, printed, layout)
    repairs = pd.DataFrame(columns=REPAIR_COLUMNS)
    if matrices.empty:
        repairs = _repairs(n_positive, n_negative, printed, folds)
    return ScoreAudit(
        not matrices.empty,
        matrices,
        repairs,
        int(n_positive),
        int(n_negative),
        {name: value for name, (value, _) in printed.items()},
    )


def _repairs(p, n, printed, folds) -> pd.DataFrame:
    """Every single change after which a matrix fits."""
    rows: list[dict] = []

    def attempt(kind, change, p, n, scores) -> None:
        fitting = _fitting(p, n, scores, _layout(folds, p, n))
        if len(fitting):
            row = {"kind": kind, "change": change, "steps": 0, "n_matrices": len(fitting)}
            rows.append({**row, **fitting.iloc[0].to_dict()})

    for a, b in combinations(printed, 2):
        if printed[a][0] != printed[b][0]:
            exchanged = {**printed, a: printed[b], b: printed[a]}
            attempt("exchanged scores", f"{a} and {b} exchanged", p, n, exchanged)
    if p != n and not _given(folds):
        # A common slip: the software took the other label as positive.
        attempt("exchanged classes", f"{n} positive and {p} negative", n, p, printed)
    rows += _changed_score(p, n, printed, folds)
    for move in (1, -1) if not _given(folds) else ():
        if p + move > 0 and n - move > 0:
            change = f"{p + move} positive and {n - move} negative"
            attempt("one record of the other class", change, p + move, n - move, printed)
    return pd.DataFrame(rows, columns=REPAIR_COLUMNS)


def _changed_score(p, n, printed, folds) -> list[dict[str, Any]]:
    """Scores that, changed by at most 9 steps of the last digit, leave a matrix that fits."""
    rows: list[dict] = []
    if len(printed) < 2:
        return rows
    for name, (value, digits) in printed.items():
        # One wrong score among several is the commonest slip: which one, if the rest are right?
        others = {k: v for k, v in printed.items() if k != name}
        unit = 10.0**-digits
        # A window around the printed value keeps the search small, and the repair a small one.
        window = {name: (value, digits, (LAST_DIGIT + 0.5) * unit)}
        fitting = _fitting(p, n, {**others, **window}, _layout(folds, p, n), keep=name)
        if fitting.empty:
            continue
        fitting = fitting.assign(
            steps=(np.round(fitting[name] / unit) - round(value / unit)).astype(int)
        )
        fitting = fitting.iloc[fitting["steps"].abs().argsort(kind="stable")]
        best = fitting.iloc[0]
        rows.append(
            {
                "kind": "changed score",
                "change": f"{name} {best[name]:.{digits}f} in place of {value:.{digits}f}",
                "steps": int(best["steps"]),
                "n_matrices": len(fitting),
                **{k: int(best[k]) for k in CELLS},
            }
        )
    return sorted(rows, key=lambda row: abs(row["steps"]))


def _fitting(p, n, printed, layout, keep=None) -> pd.DataFrame:
    """Matrices whose scores print as given; `keep` adds the value of that score."""
    if layout is not None:
        return _fitting_folds(layout, printed, keep)
    # Sensitivity fixes tp and specificity tn: only what is left is tried.
    tp = _candidates(p, printed.get("sensitivity"))
    tn = _candidates(n, printed.get("specificity"))
    if len(tp) * len(tn) > GRID_LIMIT:
        raise ValueError(
            f"audit_scores: {len(tp)} x {len(tn)} matrices are too many to try; give the "
            "sensitivity or the specificity too."
        )
    fitting = []
    # Blocks of some 16 MB an array, whatever the numbers of patients are.
    block = max(1, 2_000_000 // max(1, len(tn)))
    for start in range(0, len(tp), block):
        a, d = (v.ravel() for v in np.meshgrid(tp[start : start + block], tn, indexing="ij"))
        ok = np.ones(len(a), dtype=bool)
        with np.errstate(divide="ignore", invalid="ignore"):
            for name, target in printed.items():
                value = score_of_counts(name, a, p - a, n - d, d)
                ok &= _close(value, target)  # an undefined score (0 / 0) prints as nothing
            kept = score_of_counts(keep, a, p - a, n - d, d)[ok] if keep else None
        a, d = a[ok], d[ok]
        part = pd.DataFrame({"tp": a, "fn": p - a, "fp": n - d, "tn": d})
        fitting.append(part.assign(**{keep: kept}) if keep else part)
    if not fitting:
        return pd.DataFrame(columns=CELLS, dtype=int)
    return pd.concat(fitting, ignore_index=True)


def _candidates(total, target) -> np.ndarray:
    counts = np.arange(total + 1)
    return counts if target is None else counts[_close(counts / total, target)]


def _close(value, target) -> Any:
    """Whether values print like the target: (value, decimals) or (value, decimals, reach)."""
    reach = target[2] if len(target) > 2 else 0.5 * 10.0 ** -target[1]
    return np.abs(value - target[0]) <= reach + SLACK


def _layout(folds, p, n) -> list[Any] | None:
    """Fold sizes (positive, negative) in every order scikit-learn may deal them, or None."""
    if folds is None:
        return None
    if _given(folds):
        return [[tuple(map(int, f)) for f in folds]]
    layouts = []
    for first in (p, n):  # the class that comes first in the data gets the first records dealt
        # Dealt as StratifiedKFold deals sorted labels.
        labels = np.arange(p + n) < first
        sizes = [
            (int(labels[i::folds].sum()), int((~labels[i::folds]).sum())) for i in range(folds)
        ]
        layouts.append(sizes if first == p else [(b, a) for a, b in sizes])
    return layouts


def _fitting_folds(layouts, printed, keep=None) -> pd.DataFrame:
    """Totals over folds of equal size whose mean scores print as given."""
    fitting = []
    for sizes in layouts:
        # Folds of equal size are exchangeable: only the sum of their hits matters.
        kinds, repeats = np.unique(sizes, axis=0, return_counts=True)
        p, n = kinds.T
        k = repeats.sum()
        tp = _sums([np.arange(r * size + 1) for r, size in zip(repeats, p)])
        tn = _sums([np.arange(r * size + 1) for r, size in zip(repeats, n)])
        sens, spec = (tp / p).sum(1) / k, (tn / n).sum(1) / k
        for name, values in (("sensitivity", sens), ("specificity", spec)):
            if name in printed:
                ok = _close(values, printed[name])
                if name == "sensitivity":
                    tp, sens = tp[ok], sens[ok]
                else:
                    tn, spec = tn[ok], spec[ok]
        if len(tp) * len(tn) > GRID_LIMIT:
            raise ValueError(
                f"audit_scores: {len(tp)} x {len(tn)} results over folds are too many to try; "
                "give the sensitivity and the specificity too."
            )
        total = p + n
        accuracy = ((tp / total).sum(1)[:, None] + (tn / total).sum(1)[None]) / k
        grid = {
            "accuracy": accuracy,
            "balanced_accuracy": (sens[:, None] + spec[None]) / 2,
            "sensitivity": np.broadcast_to(sens[:, None], accuracy.shape),
            "specificity": np.broadcast_to(spec[None], accuracy.shape),
        }
        ok = np.ones(accuracy.shape, dtype=bool)
        for name, target in printed.items():
            ok &= _close(grid[name], target)
        i, j = np.nonzero(ok)
        a, d = tp[i].sum(1), tn[j].sum(1)
        rows = pd.DataFrame(
            {"tp": a, "fn": (p * repeats).sum() - a, "fp": (n * repeats).sum() - d, "tn": d}
        )
        fitting.append(rows.assign(**{keep: grid[keep][ok]}) if keep else rows)
    # Two ways of dealing folds often lead to one total.
    return pd.concat(fitting).drop_duplicates(ignore_index=True)


def _sums(choices) -> np.ndarray:
    """All combinations of one entry of each array, (n_combinations, n_arrays)."""
    grids = np.meshgrid(*choices, indexing="ij")
    return np.stack([g.ravel() for g in grids], axis=1)


def _given(folds) -> bool:
    return folds is not None and not isinstance(folds, Integral)


def _read_scores(scores, decimals, folds) -> dict[str, tuple[float, int]]:
    """{full name: (value, decimals)}, or an error that says which score is at fault."""
    printed = {}
    for given, value in scores.items():
        name = ALIASES.get(given, given)
        if name not in SCORES:
            raise ValueError(
                f"audit_scores knows {list(SCORES)}, got {given!r} (an area under a curve does "
                "not follow from one confusion matrix)."
            )
        if name in printed:
            raise ValueError(f"audit_scores: {name} was given twice.")
        if folds is not None and name not in LINEAR:
            raise ValueError(f"audit_scores: the mean of {name} over folds cannot be checked.")
        # As text a score keeps its trailing zeros: "0.80" is to two decimals.
        digits = len(value.partition(".")[2]) if isinstance(value, str) else decimals
        if isinstance(digits, bool) or not isinstance(digits, Integral) or digits < 0:
            raise ValueError(f"audit_scores needs decimals as an integer >= 0, got {digits!r}.")
        number = float(value)
        if not 0 <= number <= 1:
            raise ValueError(
                f"audit_scores needs fractions between 0 and 1, got {given}={value!r}: give 56.5 % "
                "as 0.565, with decimals=3; leave out what is undefined."
            )
        if abs(round(number, int(digits)) - number) > 1e-9:
            warnings.warn(
                f"audit_scores: {given}={value!r} has more digits than decimals={digits}.",
                UserWarning,
                stacklevel=3,
            )
        printed[name] = (number, int(digits))
    if not printed:
        raise ValueError(f"audit_scores needs at least one score of {list(SCORES)}.")
    return printed


def _check_counts(n_positive, n_negative, folds) -> None:
    for name, value in (("n_positive", n_positive), ("n_negative", n_negative)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"audit_scores needs {name} as an integer >= 1, got {value!r}.")
    if _given(folds):
        sums = np.sum([tuple(f) for f in folds], axis=0)
        if tuple(sums) != (n_positive, n_negative) or np.min(list(folds)) < 1:
            raise ValueError(
                f"audit_scores: folds {list(folds)} do not add up to {n_positive} positive and "
                f"{n_negative} negative, at least one of each in a fold."
            )
    elif folds is not None and not 2 <= folds <= min(n_positive, n_negative):
        raise ValueError(
            f"audit_scores needs folds between 2 and {min(n_positive, n_negative)}, the records of "
            f"the rarer class, got {folds!r}."
        )


def score_of_counts(name, *counts) -> Any:
    """A score of tp, fn, fp and tn; of arrays of them, element by element."""
    if name == "balanced_accuracy":
        return sum(score_of_counts(half, *counts) for half in ("sensitivity", "specificity")) / 2
    numerator, denominator = SHARES[name](*counts)
    return numerator / denominator

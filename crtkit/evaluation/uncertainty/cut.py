"""How answers at one half move when another cohort, of another share of responders, trains."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logit

from crtkit.evaluation.scoring import Part, figures, mean_over_seeds
from crtkit.evaluation.uncertainty.intervals import ANSWERS, patient_weights


class Steps(NamedTuple):
    """How far the logit of every risk moves in each draw of patients, and the risks it moves."""

    steps: np.ndarray
    risks: list[np.ndarray]

    @property
    def size(self) -> float:
        """Standard deviation of the step."""
        return float(self.steps.std())


def steps_of_cut(
    parts: list[Part],
    patients: np.ndarray,
    ratio: float | None,
    share: float,
    random_state: int,
    n_bootstrap: int,
    n_patients: int | None = None,
) -> Steps | None:
    """Step on the logit scale that a model's risks take with the patients who would train it.

    Parameters
    ----------
    parts : list of Part
        One model's.
    patients : ndarray
        Every patient that was drawn, sorted.
    ratio : float or None
        Tested over training patients; None where training patients are not those tested.
    share : float
        From :func:`~crtkit.evaluation.uncertainty.variance.fits_share`; 0 for a rule, which
        moves with nobody.
    random_state, n_bootstrap : int
        Those of the replicates that are to be moved: the same draws.
    n_patients : int, optional
        Of the cohort that is split, where ``parts`` are a subgroup's.

    Returns
    -------
    Steps or None
        None where nothing moves: the answers are not those of risks at 0.5.

    Notes
    -----
    Stratified splits hold the share of responders still, so that no spread between splits shows
    what another share does: risks that are right on average move by the same step on the logit
    scale. By the likelihood's equation for an intercept that step is sum w (y - p) / sum w p (1 -
    p) over the draw w, with risks p out of sample; it counts the share of responders, and
    that a patient who is tested luckily has moved the cut against the others like him. A model
    that weights its classes equal follows the share less, and its interval is then too long.
    """
    if ratio is None or not share > 0 or not at_one_half(parts):
        return None
    where = [np.searchsorted(patients, part.group.astype(str)) for part in parts]
    at = np.concatenate(where)
    times = np.bincount(at, minlength=len(patients)).astype(np.float64)
    tested = times > 0
    # Risks of 0 and 1 have no logit: as far as so many patients could tell.
    end = 0.5 / len(patients)
    risks = [np.clip(part.y_score, end, 1 - end) for part in parts]
    risk = np.bincount(at, np.concatenate(risks), len(patients))[tested] / times[tested]
    truth = np.concatenate([part.y_true for part in parts])
    rest = np.bincount(at, truth, len(patients))[tested] / times[tested] - risk
    rest -= rest.mean()
    blocks = patient_weights(len(patients), n_bootstrap, random_state)
    steps = np.concatenate(
        [w[:, tested] @ rest / np.maximum(w[:, tested] @ (risk * (1 - risk)), end) for w in blocks]
    )
    # Whoever was not tested trained too, so that the step varies less than those tested say.
    everybody = n_patients or np.mean([len(np.unique(w)) for w in where]) * (1 + 1 / ratio)
    steps *= min(1.0, np.sqrt(tested.sum() / everybody))
    found = Steps(steps, risks)
    return found if found.size > 0 else None


def with_moved_cut(
    drawn: dict[str, np.ndarray], parts: list[Part], found: Steps | None
) -> dict[str, np.ndarray]:
    """Replicates of a model whose risks move with the patients drawn, as its training would.

    The change of a figure is its step times the slope of the figure in a common shift of the
    logits.

    Parameters
    ----------
    drawn : dict of ndarray of shape (n_bootstrap,)
        From :func:`crtkit.evaluation.scoring.replicate`, fits held fixed.
    parts : list of Part
        One model's.
    found : Steps or None
        From :func:`steps_of_cut`, of the same draws.

    Returns
    -------
    dict
        ``drawn``, where nothing moves.
    """
    if found is None:
        return drawn
    names = [name for name in drawn if name in ANSWERS]
    high, low = (_shifted(parts, found.risks, names, by * found.size) for by in (1, -1))
    slopes = {name: (high[name] - low[name]) / (2 * found.size) for name in names}
    moves = {name: slope * found.steps for name, slope in slopes.items() if np.isfinite(slope)}
    return {**drawn, **{name: drawn[name] + move for name, move in moves.items()}}


def reach_of_cut(
    names: Iterable[str], parts: list[Part], found: Steps | None, *, times: float = 1.96
) -> dict[str, tuple[float, float]]:
    """Lowest and highest figures where every risk moves by so many times its step's SD.

    The slope that :func:`with_moved_cut` takes knows of no ends: a specificity of 0.98 that falls
    to 0.92 at most, whatever the cut, would get an interval from 0 to 1 on the logit scale.

    Parameters
    ----------
    names : iterable of str
        Metrics; those that are not of answers are left out.
    parts : list of Part
        One model's.
    found : Steps or None
        From :func:`steps_of_cut`.
    times : float, default=1.96
        Standard deviations of the step.

    Returns
    -------
    dict of str to tuple of float
        Of the mean over seeds, that without a step among them; empty where nothing moves.
    """
    if found is None:
        return {}
    own = [name for name in names if name in ANSWERS]
    ends = [_shifted(parts, found.risks, own, by * times * found.size) for by in (-1, 0, 1)]
    return {
        name: (min(end[name] for end in ends), max(end[name] for end in ends))
        for name in own
        if all(np.isfinite(end[name]) for end in ends)
    }


def at_one_half(parts: list[Part]) -> bool:
    """Whether a model's answers are its risks above one half, ties apart."""
    return all(
        part.kind == "probability" and np.array_equal((part.y_score > 0.5)[off], part.y_pred[off])
        for part in parts
        for off in [part.y_score != 0.5]
    )


def _shifted(
    parts: list[Part], risks: list[np.ndarray], names: list[str], shift: float
) -> dict[str, float]:
    """Means over seeds of the figures where every logit is higher by a shift."""
    moved = [
        part._replace(y_pred=expit(logit(risk) + shift) > 0.5) for part, risk in zip(parts, risks)
    ]
    rows = [figures(part, dict.fromkeys(names)) for part in moved]
    seeds = np.array([part.seed for part in parts])
    return {
        name: float(mean_over_seeds(np.array([[row[name]] for row in rows]), seeds)[0])
        for name in names
    }

"""lvsd2026: pairs of an ECG with LBBB and an echocardiogram, several a patient, three hospitals.

Figures from Table 1 and the Methods of the paper; its prevalences are of pairs. A pair's LVEF
comes from a normal score; what the ECG shows is normal given that score, so the probability of
LVEF < 40 % given the ECG has a closed form.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from crtkit.datasets.simulation.latents import apportion
from crtkit.datasets.simulation.margins import (
    Bounded,
    Mixture,
    Moments,
    Score,
    draw_exactly,
)
from crtkit.statistics.delong import auc_with_error

CUT = 40.0  # per cent: LVSD is LVEF below it


@dataclass(frozen=True)
class Subset:
    """One row group of Table 1."""

    name: str
    hospital: str
    patients: int
    pairs: int
    females: int  # pairs
    positives: int  # pairs with LVEF < 40 %
    age: tuple  # mean, SD
    lvef: tuple  # mean, SD
    years: tuple


# An SD that our text of Table 1 lacks is that of the nearest set that has one: 10.8 and 14.8.
SUBSETS = (
    Subset("train", "CNUH", 602, 1500, 738, 680, (72.6, 10.8), (41.4, 14.8), (2010, 2023)),
    Subset("internal", "CNUH", 89, 194, 88, 68, (76.7, 9.9), (46.0, 14.8), (2024, 2024)),
    Subset("external1", "JNUH", 115, 115, 81, 45, (71.8, 10.8), (43.3, 14.8), (2008, 2021)),
    Subset("external2", "CNUSH", 86, 222, 121, 80, (75.5, 10.8), (46.2, 14.8), (2022, 2024)),
)
N_PATIENTS, N_PAIRS = 892, 2031
N_TUNING = 300
SHARED_PATIENTS, SHARED_PAIRS = 5, 37  # also seen at CNUSH; counted with CNUH in Table 1

# Standard deviations of the LVEF score that men lie below women, and how far it stays with a
# patient from one pair to the next.
SEX_SHIFT, STABILITY = -0.30, 0.75
# Correlation of what the ECG shows with the LVEF score, given sex.
ECG_LATENTS = {"qrs_duration_ms": -0.35, "voltage": -0.50, "repolarisation": 0.55, "scar": -0.40}
ECG_STABILITY = 0.70
ECG_MARGINS = {
    "qrs_duration_ms": Bounded(120, 230, -0.55, 0.50),
    "voltage": Score(),
    "repolarisation": Score(),
    "scar": Bounded(0, 60, -1.2, 0.9),
}
ECG_DECIMALS = {"qrs_duration_ms": 0, "voltage": 6, "repolarisation": 6, "scar": 1}
AF_SHARE = 0.12

COVARIATES = ("age", "male", "lbbb", "qrs_duration_ms", "af")
DESIGN = ("hospital", "set", "year")
SEEN = {"table": ("qrs_duration_ms",), "signal": tuple(ECG_LATENTS)}
FLOW = {
    "pairs at CNUH": 1657,
    "pairs at CNUSH": 259,
    "pairs at JNUH": 115,
    "patients": 892,
    "patients seen at two hospitals": 5,
    "train": 1200,
    "tuning": 300,
    "internal": 194,
    "external1": 115,
    "external2": 222,
}
ASSUMED = (
    "SD of age in training and at JNUH (10.8) and of LVEF everywhere but in internal validation "
    "(14.8): our text of Table 1 lacks them",
    "45 pairs of JNUH have LVEF < 40 %, as Table 1 prints; every row of Table 2 needs 46",
    "the five patients of two hospitals have their 37 pairs of CNUSH in the training set, where "
    "Table 1 counts them",
    "pairs per patient: one, and a share of the rest in proportion to a gamma variable",
    "training and tuning part by patient, not by pair",
    "QRS duration (about 160 ms), scar, QRS voltage and T wave size: each correlates with LVEF "
    "(0.35 to 0.55: longer, more scar, larger QRS, smaller T with a low LVEF), and stays with a "
    "patient (0.70) as LVEF does (0.75)",
    "men's LVEF is 0.3 standard deviations lower; age says nothing of LVEF within a set",
    "atrial fibrillation: 12 % of patients, related to nothing; nobody is paced",
    "age and sex do not show in the ECG",
    "years: CNUH from 2010",
    "the best AUCs know what a modality shows and, for the table, age and sex, but not the columns "
    "of the design (hospital, set, year): prevalence differs between sets, so a model that reads "
    "those columns may come out above",
)


class LvefMargin:
    """LVEF of one set: a beta with the printed mean and SD, cut so that P(< 40 %) is printed."""

    def __init__(self, subset):
        male = 1.0 - subset.females / subset.pairs
        self.scores = Mixture(np.array([1.0 - male, male]), np.array([0.0, SEX_SHIFT]))
        self.prevalence = subset.positives / subset.pairs
        self.cut = float(self.scores.unflatten(ndtri(self.prevalence)))
        self._base = Moments(*subset.lvef, 8.0, 80.0)
        self._base_prevalence = ndtr(self._base.score(np.array(CUT)))

    def value(self, z):
        """LVEF in per cent; below 40 where ``z`` is below ``cut``."""
        u = ndtr(self.scores.flatten(z))
        p, base = self.prevalence, self._base_prevalence
        u = np.where(u < p, u * base / p, base + (u - p) * (1.0 - base) / (1.0 - p))
        return self._base.value(ndtri(u))


MARGINS = {subset.name: LvefMargin(subset) for subset in SUBSETS}


def draw_lvsd(n_patients, rng):
    """Pairs of ``n_patients`` patients.

    Parameters
    ----------
    n_patients : int
    rng : numpy.random.Generator

    Returns
    -------
    latents : DataFrame
        One row per pair: ``patient`` (number), ``label``, design, covariates and ECG latents.
    outcome : DataFrame
        ``lvef``, whose cut is the label: never a predictor.
    """
    scale = n_patients / N_PATIENTS
    parts, first = [], 0
    for subset, n in zip(SUBSETS, apportion([s.patients for s in SUBSETS], n_patients)):
        if n:
            # A whole cohort has the paper's pairs; a smaller one as many a patient.
            pairs = max(n, round(n * subset.pairs / subset.patients))
            parts.append(_draw_subset(subset, n, pairs, scale, rng).assign(first=first))
            first += n
    table = pd.concat(parts, ignore_index=True)
    table["patient"] += table.pop("first")
    outcome = table[["lvef"]].copy()
    table["label"] = (outcome["lvef"] < CUT).astype(int)
    return table.drop(columns="lvef"), outcome


def _draw_subset(subset, n, pairs, scale, rng):
    """Pairs of one set, training and tuning together; the number of positives is exact."""
    counts, shared = _count_pairs(n, pairs, scale if subset.name == "train" else 0.0, rng)
    patient = np.repeat(np.arange(n), counts)
    order = np.arange(pairs) - np.repeat(np.cumsum(counts) - counts, counts)
    elsewhere = order >= (counts - shared)[patient]
    year = np.where(
        elsewhere,
        rng.integers(min(2022, subset.years[1]), subset.years[1] + 1, pairs),
        rng.integers(subset.years[0], subset.years[1] + 1, pairs),
    )
    male = ~_choose_patients(counts, round(pairs * subset.females / subset.pairs), rng)[patient]
    mean_year = (np.bincount(patient, year) / counts)[patient]
    age = Moments(*subset.age, 25.0, 100.0).value(rng.standard_normal(n))[patient]
    n_af = round(n * AF_SHARE)
    table = pd.DataFrame(
        {
            "patient": patient,
            "hospital": np.where(elsewhere, "CNUSH", subset.hospital),
            "set": subset.name,
            "year": year,
            "age": np.round(age + year - mean_year),
            "male": male.astype(int),
            "af": draw_exactly(np.full(n, n_af / n), n_af, rng)[patient],
            "lbbb": 1,
            "morphology": "lbbb",
            "ischaemic": 0,
        }
    )
    if subset.name == "train":
        tuning = _choose_patients(counts, round(pairs * N_TUNING / subset.pairs), rng)
        table.loc[tuning[patient], "set"] = "tuning"
    margin = MARGINS[subset.name]
    own = _repeated(STABILITY, patient, rng)
    score = SEX_SHIFT * male + own
    positives = round(pairs * margin.prevalence)
    if pairs > 1:  # a set of two pairs or more has both labels
        positives = min(max(positives, 1), pairs - 1)
        # One step for all moves no more than sampling would, and makes the count exact.
        ranked = np.sort(score)
        own += margin.cut - 0.5 * (ranked[positives - 1] + ranked[positives])
    lvef = margin.value(SEX_SHIFT * male + own)
    # Rounding must not carry a pair over the cut that is its label.
    table["lvef"] = np.where(lvef < CUT, np.minimum(lvef.round(1), CUT - 0.1), lvef.round(1))
    for name, r in ECG_LATENTS.items():
        value = r * own + np.sqrt(1.0 - r**2) * _repeated(ECG_STABILITY, patient, rng)
        table[name] = ECG_MARGINS[name].value(value).round(ECG_DECIMALS[name])
    return table.sort_values(["patient", "year"], kind="stable")


def _count_pairs(n, pairs, scale, rng):
    """Pairs of each patient, and how many of them were made at the second hospital."""
    shared = np.zeros(n, int)
    k = min(round(SHARED_PATIENTS * scale), n)
    if k:
        shared[:k] = apportion(np.ones(k), round(SHARED_PAIRS * scale))
    share = rng.gamma(0.6, size=n)
    # Ten years hold only so many echocardiograms of one patient.
    share = np.minimum(share, 6.0 * share.mean())
    rest = pairs - n - shared.sum()
    return 1 + rng.multinomial(rest, share / share.sum()) + shared, shared


def _choose_patients(counts, total, rng):
    """Mask of patients who together have ``total`` pairs, as near as whole patients allow."""
    chosen = np.zeros(len(counts), bool)
    for i in rng.permutation(len(counts)):
        if counts[i] <= total:
            chosen[i] = True
            total -= counts[i]
    return chosen


def _repeated(stability, patient, rng):
    """Unit normals of pairs, correlated by ``stability`` within a patient."""
    between = rng.standard_normal(patient[-1] + 1)[patient]
    within = rng.standard_normal(len(patient))
    return np.sqrt(stability) * between + np.sqrt(1.0 - stability) * within


def posterior_score(latents, reliability=None):
    """Mean and SD of a pair's own LVEF score given ECG latents as standard normal scores.

    ``reliability`` is the R2 with which a latent is read; 1 where it says nothing.
    """
    precision, weighted = 1.0, 0.0
    for name, value in latents.items():
        r = ECG_LATENTS[name] * np.sqrt((reliability or {}).get(name, 1.0))
        precision += r**2 / (1.0 - r**2)
        weighted = weighted + r / (1.0 - r**2) * value
    return weighted / precision, precision**-0.5


def best_auc(random_state=0, n=40_000, reliability=None):
    """AUC of the exact likelihood ratio of what reaches each modality, over pairs of all sets.

    Parameters
    ----------
    random_state, n : int
        Of the Monte Carlo draws, and their number.
    reliability : dict of str to float, optional
        R2 with which latents are read from the ECG; 1, without error, where it says nothing.

    Returns
    -------
    dict of str to dict
        ``auc`` and ``se`` (Monte Carlo standard error) by modality.
    """
    rng = np.random.default_rng(random_state)
    weights = np.array([s.pairs for s in SUBSETS]) / N_PAIRS
    males = np.array([1.0 - s.females / s.pairs for s in SUBSETS])
    cuts = np.array([MARGINS[s.name].cut for s in SUBSETS])
    ages = [Moments(*s.age, 25.0, 100.0) for s in SUBSETS]
    k = rng.choice(len(SUBSETS), size=n, p=weights)
    male = (rng.random(n) < males[k]).astype(int)
    own, w = rng.standard_normal(n), rng.standard_normal(n)
    age = np.choose(k, [margin.value(w) for margin in ages])
    shown = {}
    for name, r in ECG_LATENTS.items():
        r = r * np.sqrt((reliability or {}).get(name, 1.0))
        shown[name] = r * own + np.sqrt(1.0 - r**2) * rng.standard_normal(n)
    y = (SEX_SHIFT * male + own < cuts[k]).astype(int)

    def evidence(names, prior):
        """Log odds from P(label, seen) summed over sets and sexes that ``prior`` weighs."""
        mean, sd = posterior_score({name: shown[name] for name in names}, reliability)
        low = high = 0.0
        for j, by_sex in enumerate(prior):
            for sex, weight in enumerate(by_sex):
                gap = (cuts[j] - SEX_SHIFT * sex - mean) / sd
                low, high = low + weight * ndtr(gap), high + weight * ndtr(-gap)
        return np.log(low) - np.log(high)

    unseen = [(weights[j] * (1 - males[j]), weights[j] * males[j]) for j in range(len(SUBSETS))]
    seen = []
    for j, margin in enumerate(ages):
        density = np.exp(margin.log_slope(age) - 0.5 * margin.score(age) ** 2)
        seen.append([p * density * (male == sex) for sex, p in enumerate(unseen[j])])
    out = {}
    for modality, prior in (("table", seen), ("signal", unseen)):
        auc, error = auc_with_error(evidence(SEEN[modality], prior), y)
        out[modality] = {"auc": auc, "se": error}
    return out

"""The two studies of CRT response: what their baseline tables print, and what is assumed.

mori2025: Mori et al. 2025, Table 1. he2023: He et al. 2023, Table 1. Pairs are
(non-responders, responders). Bounds of printed quantities, effects between variables and
everything marked so in ``ASSUMED`` are choices of this simulation.
"""

import numpy as np
import pandas as pd

from crtkit.datasets.simulation.latents import Binary, Continuous, ResponseModel
from crtkit.datasets.simulation.margins import Bounded, Moments, Quartiles, Score

_QRS_BY_MORPHOLOGY = {
    "lbbb": Bounded(120, 230, -0.40, 0.55),
    "paced": Bounded(130, 250, -0.50, 0.55),
    "rbbb": Bounded(120, 200, -0.40, 0.60),
    "ivcd": Bounded(120, 190, -0.80, 0.70),
    "narrow": Bounded(80, 119.4, 0.30, 0.80),
}

# 125 patients have neither LBBB nor a pacemaker; the split of those 125 is not printed.
_OTHER = {"rbbb": 0.25, "ivcd": 0.55, "narrow": 0.20}

MORI2025 = ResponseModel(
    n=(103, 182),
    morphology={
        "lbbb": (19, 86),
        "paced": (25, 30),
        **{name: (59 * share, 66 * share) for name, share in _OTHER.items()},
    },
    binaries=(
        Binary("male", (74, 124), {"lbbb": -0.3}),
        Binary("ischaemic", (22, 40), {"male": 0.9, "lbbb": -0.4}),
        Binary("af", (18, 24), {"paced": 0.8, "male": 0.3}),
        Binary("crtd", (77, 147), {"male": 0.5, "ischaemic": 0.7}),
    ),
    extras=(),
    continuous=(
        Continuous(
            "age",
            (Quartiles(70, 62, 76, 20, 96), Quartiles(68, 61, 75, 20, 96)),
            {"af": 0.4, "paced": 0.4, "crtd": -0.4},
            decimals=0,
        ),
        Continuous(
            "lvef", (Quartiles(27.0, 21.3, 34.0, 5, 50), Quartiles(25.0, 20.0, 33.0, 5, 50))
        ),
        Continuous(
            "lvesv",
            (Quartiles(108.0, 78.6, 157.8, 15, 600), Quartiles(124.4, 91.7, 170.4, 15, 600)),
            {"male": 0.5, "lbbb": 0.2},
        ),
        Continuous("qrs_duration_ms", _QRS_BY_MORPHOLOGY, response=0.25, decimals=0),
        Continuous("scar", Bounded(0, 60, -1.3, 0.8), {"ischaemic": 1.6}, response=-0.2),
        Continuous("voltage", Score(), response=0.10, decimals=6),
    ),
    correlations={
        ("lvef", "lvesv"): -0.55,
        ("age", "lvesv"): -0.15,
        ("lvesv", "qrs_duration_ms"): 0.25,
        ("lvef", "qrs_duration_ms"): -0.15,
        ("lvef", "scar"): -0.15,
        ("lvesv", "scar"): 0.15,
        ("lvesv", "voltage"): 0.40,
    },
    seen={
        "table": (
            *("age", "male", "ischaemic", "lbbb", "paced", "crtd", "af", "lvef", "lvesv"),
            *("qrs_duration_ms", "scar"),
        ),
        "signal": ("morphology", "af", "ischaemic", "qrs_duration_ms", "scar", "voltage"),
    },
)

HE2023 = ResponseModel(
    n=(25, 46),
    morphology={"lbbb": (13, 44), "rbbb": (4, 1), "ivcd": (8, 1)},
    binaries=(
        Binary("male", (22, 34), {"lbbb": -0.3}),
        Binary("af", (2, 4), {"male": 0.3}),
    ),
    extras=(
        Binary("acei_arb", (22, 36)),
        Binary("ckd", (3, 2)),
        Binary("diabetes", (9, 6)),
        Binary("hypertension", (11, 22)),
        Binary("smoking", (10, 20)),
        Binary("beta_blocker", (24, 40)),
        Binary("spironolactone", (23, 38)),
        Binary("digoxin", (6, 8)),
        Binary("diuretic", (21, 40)),
    ),
    continuous=(
        Continuous(
            "age", (Moments(63.2, 11.7, 18, 95), Moments(61.0, 13.1, 18, 95)), {"af": 0.4},
            decimals=0,
        ),
        Continuous(
            "height_cm", (Moments(167.4, 8.0, 140, 195), Moments(167.0, 6.7, 140, 195)),
            {"male": 1.3}, decimals=0,
        ),
        Continuous(
            "weight_kg", (Moments(69.4, 16.8, 35, 140), Moments(67.0, 13.6, 35, 140)),
            {"male": 0.6},
        ),
        Continuous(
            "qrs_duration_ms", (Moments(158.4, 23.7, 120, 240), Moments(179.4, 19.8, 120, 240)),
            {"lbbb": 1.0}, decimals=0,
        ),
        Continuous("lvef", (Moments(25.2, 4.7, 8, 35.4), Moments(27.8, 5.1, 8, 35.4))),
        Continuous("lvedv", (Moments(310.4, 78.9, 110, 800), Moments(272.9, 86.4, 110, 800))),
        Continuous("scar", (Moments(32.0, 11.8, 0, 70), Moments(23.2, 11.2, 0, 70))),
        Continuous("voltage", Score(), response=-0.10, decimals=6),
    ),
    correlations={
        ("height_cm", "weight_kg"): 0.40,
        ("height_cm", "lvedv"): 0.20,
        ("lvef", "lvedv"): -0.65,
        ("qrs_duration_ms", "lvedv"): 0.20,
        ("lvef", "scar"): -0.15,
        ("lvedv", "voltage"): 0.40,
    },
    seen={
        "table": (
            *("acei_arb", "age", "male", "height_cm", "weight_kg", "ckd", "diabetes"),
            *("hypertension", "smoking", "beta_blocker", "spironolactone", "digoxin"),
            *("diuretic", "qrs_duration_ms", "lbbb", "lvef", "lvedv", "scar", "af"),
        ),
        "signal": ("morphology", "af", "qrs_duration_ms", "scar", "voltage"),
    },
)  # fmt: skip

MODELS = {"mori2025": MORI2025, "he2023": HE2023}

# Columns of the table, in the paper's order; those behind the bar are assumed.
COVARIATES = {
    "mori2025": (
        *("age", "male", "ischaemic", "lbbb", "paced", "crtd", "af", "lvef", "lvesv"),
        *("qrs_duration_ms", "nyha", "scar"),
    ),
    "he2023": (
        *("acei_arb", "age", "male", "height_cm", "weight_kg", "ckd", "diabetes", "hypertension"),
        *("smoking", "beta_blocker", "spironolactone", "digoxin", "diuretic"),
        *("qrs_duration_ms", "lbbb", "lvef", "lvedv", "lvesv", "scar"),
        *("af", "nyha"),
    ),
}

NYHA = {2: 0.25, 3: 0.60, 4: 0.15}
# Reduction of LVESV in per cent: mori2025, Table 1; response begins at 15.
_CHANGE = (Quartiles(-10.5, -27.1, 4.1, -120, 15), Quartiles(37.0, 24.9, 57.0, 15, 95))
_LVEF_AFTER = (Quartiles(26.0, 20.0, 34.0, 5, 75), Quartiles(39.5, 28.0, 47.8, 5, 75))

_SHARED_ASSUMPTIONS = (
    "relations between variables beyond their margins given response (log odds ratios of a chain "
    "of logistic models, correlations of normal scores), and the bounds and tails of every "
    "quantity",
    "NYHA class: II 25 %, III 60 %, IV 15 % in both groups, related to nothing",
    "QRS voltage: moderately larger with the ventricle (correlation 0.4), a tenth of a standard "
    "deviation apart between groups",
    "age, sex, LVEF and volumes do not show in the ECG except through rhythm, QRS morphology and "
    "duration, scar and voltage",
)
ASSUMED = {
    "mori2025": (
        "QRS duration: not printed; normal on a bounded scale by morphology (LBBB about 166 ms, "
        "paced 177, RBBB 154, IVCD 144, narrow 103), a quarter of a standard deviation longer in "
        "responders",
        "QRS morphology of the 125 patients with neither LBBB nor an upgrade: RBBB 25 %, IVCD "
        "55 %, narrow 20 % in both groups; upgraded patients are paced from the right ventricle",
        "scar: not printed; about 14 % of the ventricle without and 30 % with ischaemic "
        "cardiomyopathy, a fifth of a standard deviation less in responders",
        *_SHARED_ASSUMPTIONS,
        "the 61 enrolled patients without follow-up or ECG are counted in the flow, not simulated",
    ),
    "he2023": (
        "men are the 34 and 22 of the row that the paper calls gender",
        "the scar of all patients is printed as 26.3 ± 2.1; the two groups' own figures are used",
        "LVESV is LVEDV x (1 - LVEF); its printed figures then follow within sampling error",
        "QRS morphology without LBBB: a third RBBB, two thirds IVCD; nobody is paced",
        "atrial fibrillation: 8.5 %, unrelated to response",
        *_SHARED_ASSUMPTIONS,
        "the reduction of LVESV and LVEF after six months follow mori2025's table",
    ),
}
FLOW = {
    "mori2025": {
        "enrolled": 346,
        "without six-month follow-up": -50,
        "without ECG": -11,
        "analysed": 285,
    },
    "he2023": {"enrolled": 71, "analysed": 71},
}


def draw_response(study, n_patients, rng):
    """Patients of a study of response, in random order, with the paper's share of responders.

    Parameters
    ----------
    study : {"mori2025", "he2023"}
    n_patients : int
    rng : numpy.random.Generator

    Returns
    -------
    latents : DataFrame
        All that is known of each patient, at the table's resolution.
    outcome : DataFrame
        What was measured after implantation: the label's definition, never predictors.
    """
    model = MODELS[study]

    def finish(table):
        table["nyha"] = rng.choice(list(NYHA), size=len(table), p=list(NYHA.values()))
        table["repolarisation"] = rng.standard_normal(len(table))
        for c in model.continuous:
            table[c.name] = table[c.name].round(c.decimals)
        if study == "he2023":
            table["lvesv"] = (table["lvedv"] * (1.0 - table["lvef"] / 100.0)).round(1)
            table["ischaemic"] = 0

    return draw_patients(model, n_patients, rng, finish)


def draw_patients(model, n_patients, rng, finish):
    """Patients of a model in random order, with its share of responders, and their outcome.

    Parameters
    ----------
    model : ResponseModel
    n_patients : int
    rng : numpy.random.Generator
    finish : callable
        ``finish(table)`` adds to the table, in place, what the model does not draw. It is called
        before the outcome is drawn, so that it may draw from ``rng`` too.

    Returns
    -------
    latents, outcome : DataFrame
        As :func:`draw_response` gives them.
    """
    responders = round(n_patients * model.n[1] / sum(model.n))
    table = model.draw((n_patients - responders, responders), rng)
    finish(table)
    outcome = _six_months(table, rng)
    order = rng.permutation(len(table))
    table = table.rename(columns={"response": "label"})
    table["patient"] = np.argsort(order)
    return table.iloc[order].reset_index(drop=True), outcome.iloc[order].reset_index(drop=True)


def _six_months(table, rng):
    """LVESV and LVEF after six months, given response and the LVEF before."""
    response = table["response"].to_numpy()
    w_change = rng.standard_normal(len(table))
    w_lvef = 0.4 * table["lvef_score"] + 0.55 * w_change
    w_lvef += np.sqrt(1.0 - 0.4**2 - 0.55**2) * rng.standard_normal(len(table))
    change = np.where(response == 1, _CHANGE[1].value(w_change), _CHANGE[0].value(w_change))
    after = np.where(response == 1, _LVEF_AFTER[1].value(w_lvef), _LVEF_AFTER[0].value(w_lvef))
    return pd.DataFrame(
        {
            "lvesv_reduction_pct": change.round(1),
            "lvesv_6_months": (table["lvesv"] * (1.0 - change / 100.0)).round(1),
            "lvef_6_months": after.round(1),
        }
    )

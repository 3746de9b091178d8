"""One virtual patient, every modality: the heart behind the table, the ECG, its page and the SPECT.

The four studies looked at different patients through different windows, so their figures cannot be
set side by side. Here one draw of latents gives the clinical table, the ECG and the gated SPECT of
the same patient, and every model of every study can be asked the same question. Pairs are
(non-responders, responders).
"""

from functools import lru_cache

import numpy as np

from crtkit.datasets.simulation.ecg import stream
from crtkit.datasets.simulation.heart import Anatomy
from crtkit.datasets.simulation.latents import Continuous, ResponseModel
from crtkit.datasets.simulation.margins import Moments
from crtkit.datasets.simulation.response import MORI2025, NYHA, draw_patients

_CLINICAL = ("age", "male", "ischaemic", "lbbb", "paced", "crtd", "af", "lvef", "lvesv")
_ECG = ("morphology", "af", "ischaemic", "qrs_duration_ms", "scar", "voltage")
_MAP = ("morphology", "qrs_duration_ms", "scar", "psd_deg")

#: LVEDV follows from LVEF and LVESV; scar and dyssynchrony are what the SPECT is for, so the
#: table, which a clinic has before any imaging, does not show them.
COVARIATES = (*_CLINICAL[:8], "lvedv", "lvesv", "qrs_duration_ms", "nyha")

# Margins by class come from mori2025's Table 1, the largest of the three tables of response; what
# that table lacks (scar, phase SD) from he2021's, whose patients had the SPECT.
_FROM_MORI = {c.name: c for c in MORI2025.continuous}
_FROM_MORI["scar"] = Continuous(
    "scar", (Moments(28.6, 11.9, 0, 70), Moments(24.5, 9.8, 0, 70)), {"ischaemic": 1.0}
)
_FROM_MORI["psd_deg"] = Continuous(
    "psd_deg",
    (Moments(57.7, 19.0, 8, 103), Moments(58.6, 18.3, 8, 103)),
    {"lbbb": 0.3, "paced": 0.3},
)

CRT = ResponseModel(
    n=MORI2025.n,
    morphology=MORI2025.morphology,
    binaries=MORI2025.binaries,
    extras=(),
    continuous=tuple(_FROM_MORI.values()),
    correlations={
        **MORI2025.correlations,
        ("qrs_duration_ms", "psd_deg"): 0.15,
        ("lvef", "psd_deg"): -0.3,
        ("scar", "psd_deg"): 0.3,
    },
    seen={
        "table": (*_CLINICAL, "qrs_duration_ms"),
        "signal": _ECG,
        "map": _MAP,
        "all": tuple(dict.fromkeys((*_CLINICAL, *_ECG, *_MAP))),
    },
)

ASSUMED = (
    "one table of patients who are in none of the papers: counts, age, LVEF and LVESV given "
    "response follow mori2025's Table 1, scar and phase SD he2021's",
    "QRS duration: not printed there; normal on a bounded scale by morphology (LBBB about 166 ms, "
    "paced 177, RBBB 154, IVCD 144, narrow 103), a quarter of a standard deviation longer in "
    "responders",
    "QRS morphology of patients with neither LBBB nor an upgrade: RBBB 25 %, IVCD 55 %, narrow "
    "20 % in both groups; upgraded patients are paced from the right ventricle",
    "right ventricular pacing delays the lateral wall as LBBB does",
    "the scar lies in one wall, the same in the ECG and in the SPECT",
    "gated SPECT in atrial fibrillation is as good as in sinus rhythm, which it is not",
    "relations between variables beyond their margins given response (log odds ratios of a chain "
    "of logistic models, correlations of normal scores), and the bounds and tails of every "
    "quantity",
    "LVEDV is LVESV / (1 - LVEF)",
    "NYHA class: II 25 %, III 60 %, IV 15 % in both groups, related to nothing",
    "QRS voltage: moderately larger with the ventricle (correlation 0.4), a tenth of a standard "
    "deviation apart between groups",
)

# Largest volume that the simulated camera's field of view takes; a few ventricles are above it.
_LARGEST_LVEDV_ML = 800.0


def draw_crt(n_patients, rng):
    """Patients in random order with mori2025's share of responders, and their outcome.

    Parameters
    ----------
    n_patients : int
    rng : numpy.random.Generator

    Returns
    -------
    latents, outcome : DataFrame
        As :func:`crtkit.datasets.simulation.response.draw_response` gives them.
    """

    def finish(table):
        table["nyha"] = rng.choice(list(NYHA), size=len(table), p=list(NYHA.values()))
        table["repolarisation"] = rng.standard_normal(len(table))
        for c in CRT.continuous:
            table[c.name] = table[c.name].round(c.decimals)
        volume = table["lvesv"] / (1.0 - table["lvef"] / 100.0)
        table["lvedv"] = volume.clip(upper=_LARGEST_LVEDV_ML).round(1)

    return draw_patients(CRT, n_patients, rng, finish)


def scar_walls(latents, entropy):
    """Wall of each patient's scar, as the ECG of that patient draws it.

    Parameters
    ----------
    latents : DataFrame
        With ``patient``.
    entropy : int or list of int
        Of the cohort; the ECG's anatomy comes from the same stream of the same patient.

    Returns
    -------
    list of {"inferior", "anterior", "lateral"}
    """
    return [Anatomy.draw(stream(entropy, 1, int(p), 0)).scar_wall for p in latents["patient"]]


def as_seen_by_spect(latents):
    """Latents with ``lbbb`` set wherever the lateral wall is late: in LBBB and under pacing."""
    late = np.maximum(latents["lbbb"].to_numpy(), latents["paced"].to_numpy())
    return latents.assign(lbbb=late)


best_auc = lru_cache(CRT.best_auc)

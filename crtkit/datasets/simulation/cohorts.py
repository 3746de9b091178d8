"""Simulated cohorts: patients of the published studies who never lived, and their ECGs.

One latent patient drives the clinical table and the ECG. Margins given the label follow each
paper's baseline table; what a table does not give is assumed and listed.
"""

from __future__ import annotations

import hashlib
import numbers
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from crtkit._leads import LEADS_12
from crtkit.cohort import Cohort
from crtkit.cohort.cells import store_arrays
from crtkit.cohort.temporary import temporary_folder
from crtkit.datasets.simulation import crt, lvsd2026, response, spect
from crtkit.datasets.simulation.ecg import check_number, draw_entropy, simulate_ecg, stream
from crtkit.datasets.simulation.pages import render_cohort

LICENCE = "BSD-3-Clause: simulated by crtkit, no patients"


@dataclass(frozen=True)
class _Study:
    """What :func:`make_cohort` needs to know of a study.

    ``draw(n_patients, rng)`` gives a table with ``patient``, ``label``, covariates, design and
    heart parameters, and an outcome table beside it.
    """

    n_patients: int
    label: str
    covariates: tuple
    design: tuple
    assumed: tuple
    flow: dict
    mains_hz: float
    draw: Callable
    best_auc: Callable
    modalities: tuple = ("signal", "image", "table")


_STUDIES = {
    "mori2025": _Study(
        n_patients=285,
        label="responder",
        covariates=response.COVARIATES["mori2025"],
        design=(),
        assumed=response.ASSUMED["mori2025"],
        flow=response.FLOW["mori2025"],
        mains_hz=50.0,
        draw=partial(response.draw_response, "mori2025"),
        best_auc=lru_cache(response.MORI2025.best_auc),
    ),
    "he2023": _Study(
        n_patients=71,
        label="responder",
        covariates=response.COVARIATES["he2023"],
        design=(),
        assumed=response.ASSUMED["he2023"],
        flow=response.FLOW["he2023"],
        mains_hz=50.0,
        draw=partial(response.draw_response, "he2023"),
        best_auc=lru_cache(response.HE2023.best_auc),
    ),
    "he2021": _Study(
        n_patients=sum(spect.HE2021.n),
        label="responder",
        covariates=spect.COVARIATES,
        design=(),
        assumed=spect.ASSUMED,
        flow=spect.FLOW,
        mains_hz=50.0,
        draw=spect.draw_he2021,
        best_auc=lru_cache(spect.best_auc),
        modalities=("map", "counts", "table"),
    ),
    "lvsd2026": _Study(
        n_patients=lvsd2026.N_PATIENTS,
        label="LVEF < 40 %",
        covariates=lvsd2026.COVARIATES,
        design=lvsd2026.DESIGN,
        assumed=lvsd2026.ASSUMED,
        flow=lvsd2026.FLOW,
        mains_hz=60.0,
        draw=lvsd2026.draw_lvsd,
        best_auc=lru_cache(lvsd2026.best_auc),
    ),
    "crt": _Study(
        n_patients=sum(crt.CRT.n),
        label="responder",
        covariates=crt.COVARIATES,
        design=(),
        assumed=crt.ASSUMED,
        flow={"simulated": sum(crt.CRT.n)},
        mains_hz=50.0,
        draw=crt.draw_crt,
        best_auc=crt.best_auc,
        modalities=("all", "signal", "image", "map", "table"),
    ),
}


def make_cohort(
    study,
    n_patients=None,
    modality=None,
    random_state=None,
    sampling_rate=500,
    *,
    noise=1.0,
    n_frames=8,
    cache_dir=None,
):
    """Simulate the cohort of a study, with margins as in the paper's baseline table.

    Parameters
    ----------
    study : {"mori2025", "he2023", "he2021", "lvsd2026", "crt"}
        CRT response in 285, 71 and (from gated SPECT) 102 patients; LVEF < 40 % in 2,031
        ECG-echocardiogram pairs of 892 patients with LBBB in three hospitals. ``"crt"`` is no
        paper's: 285 patients of whom every modality is simulated from one heart, so that models of
        all four studies can be compared on the same patients.
    n_patients : int, optional
        At least 4; the paper's number by default. Shares of the label, of binary variables and of
        subsets are kept, rounded.
    modality : {"signal", "image", "table", "map", "counts", "all"}, optional
        ``"signal"`` (the default) gives the table and a 12-lead ECG of 10 s per record; ``"image"``
        also prints that ECG on a JPEG page, in column ``image``; ``"table"`` leaves the ECG out
        and is fast. he2021 has ``"map"`` (its default: a phase polar map of 12 rings x 24 sectors a
        patient), ``"counts"`` (with the gated counts of the wall) and ``"table"``. crt has
        ``"all"`` (its default: ECG, page and map of each patient), and each of these by itself.
    random_state : int, RandomState, Generator or None
        The same seed gives the same bits. What is not in the table (anatomy, rhythm, noise) comes
        from a stream of its own for each patient.
    sampling_rate : float
        In Hz, at least 250; 500 or 1000 as a rule.
    noise : float
        Factor on baseline wander, muscle noise and mains; 0 gives clean ECGs. For maps at most 1:
        the part of the counting noise.
    n_frames : int
        Frames of a cardiac cycle, maps only; 8 in the paper, 16 as a rule elsewhere.
    cache_dir : path-like, optional
        Where ECGs of more than about 100 MB are kept as one ``.npy`` file; by default a temporary
        folder, removed when the process ends.

    Returns
    -------
    Cohort
        ``X`` has one row per record. ``info["covariates"]`` names the columns that may predict,
        ``info["design"]`` those that describe the sampling (hospital, set, year), and
        ``info["truth"]`` those that only a simulation knows (``true_…``: QRS onsets, offsets and R
        peaks in seconds, morphology, …). ``signal`` cells are arrays (12, n_samples), float32 in
        millivolt, leads in the order of ``LEADS_12``, or ``file.npy#row``. ``y`` is 1 for
        responders, or for LVEF < 40 %. ``map`` cells are onset phases in degrees, float32,
        ``counts`` cells (n_frames, 12, 24); ``psd_deg`` and ``pbw_deg`` are then those of the map
        (of the printed margins in ``"table"``), and ``info["left_out"]`` has the maps of the two
        enrolled patients who were not analysed.

        ``info["outcome"]`` is a DataFrame over the same index with what defines the label (LVEF
        and LVESV after six months, or the LVEF itself): never a predictor.
        ``info["best_auc"]`` has, for each modality, the AUC of the exact likelihood ratio of the
        latents that reach it and its Monte Carlo error ``se``: no model can be expected to exceed
        it on new patients. ``info["assumed"]`` lists what the paper does not give.

    Raises
    ------
    ValueError
        Unknown study or modality, too few patients, a sampling rate below 250 Hz.

    Notes
    -----
    Patients given response (mori2025, he2023) are discrete strata (QRS morphology, sex, rhythm,
    …) times a Gaussian copula whose margins have the printed quartiles, or mean and SD; counts of
    binary variables given response are exactly the printed ones at the paper's size. In lvsd2026
    LVEF of a pair comes from a normal score that stays with its patient in part, so that a patient
    may cross 40 %; the ECG is normal given the score, and the number of positive pairs of each set
    is exactly the printed one.

    The best AUC draws 40,000 cases from the population (not from the cohort) and ranks them by
    the exact log likelihood ratio, summed over what the modality does not show. For ``"signal"`` it
    is an upper bound: it takes the latents as read from the ECG without error.

    References
    ----------
    mori2025: H. Mori et al., "Deep Learning-Based Prediction Model for Cardiac Resynchronization
    Therapy Responders Using Electrocardiogram Data", 2025, Table 1. he2023: Z. He et al., "A new
    method using deep transfer learning on ECG to predict the response to cardiac
    resynchronization therapy", 2023, Table 1. lvsd2026: the ECG-FM study of LVSD in LBBB,
    Scientific Reports, doi:10.1038/s41598-025-34911-6, Table 1. he2021: Z. He et al., "A method
    using deep learning to discover new predictors of CRT response from mechanical dyssynchrony on
    gated SPECT MPI", 2021, Table 1.

    Examples
    --------
    >>> from crtkit.datasets import make_cohort
    >>> cohort = make_cohort("mori2025", modality="table", random_state=0)
    >>> len(cohort), int(cohort.y.sum())
    (285, 182)
    >>> cohort.X["lbbb"].groupby(cohort.y).sum().to_list()
    [19, 86]
    >>> X, y, groups = make_cohort("he2023", n_patients=4, random_state=0)
    >>> X["signal"].iloc[0].shape
    (12, 5000)
    """
    spec = _check_study(study)
    modality = _check_modality(study, spec, modality)
    n_patients = _check_patients(spec.n_patients if n_patients is None else n_patients)
    check_number("make_cohort", "sampling_rate", sampling_rate, 250, 100_000)
    check_number("make_cohort", "noise", noise, 0, 100)
    entropy = draw_entropy(random_state)
    # The table has a stream of its own: the same patients, whatever is rendered of them.
    latents, outcome = spec.draw(n_patients, stream(entropy, 0))
    # Zero-padded, so that sorting identifiers as text keeps their order.
    width = max(4, len(str(n_patients)))
    groups = np.array([f"P{k + 1:0{width}d}" for k in latents["patient"]], dtype=object)
    visit = latents.groupby("patient", sort=False).cumcount().to_numpy()
    several = bool(visit.any())
    names = [f"{g}-{v + 1:02d}" if several else g for g, v in zip(groups, visit)]
    index = pd.Index(names, name="record")
    X = latents[[*spec.covariates, *spec.design]].set_axis(index)
    truth = []
    stem = f"{study}-{n_patients}-{_key(entropy, noise, sampling_rate)}"
    ecg = modality in ("signal", "image", "all")
    if ecg:
        signals, known = _signals(
            latents, visit, entropy, sampling_rate, noise, spec.mains_hz, cache_dir,
            f"{stem}-signals",
        )  # fmt: skip
        X = pd.concat([X, _column("signal", signals, index), known.set_axis(index)], axis=1)
        truth = list(known)
    covariates, left_out = list(spec.covariates), {}
    if modality in ("map", "counts", "all"):
        X, more = _add_maps(study, X, latents, entropy, n_frames, noise, modality)
        truth = list(dict.fromkeys([*truth, *more]))
        covariates = list(dict.fromkeys([*covariates, "psd_deg", "pbw_deg"]))
        if study == "he2021":
            left_out = {"left_out": spect.left_out_maps(entropy, n_frames, noise)}
    best = spec.best_auc()
    if modality in ("image", "all"):  # a page shows what the signal shows, and no more
        best = {**best, "image": best["signal"]}
    shown = _shown(study, modality, best)
    info = {
        "name": study,
        "source": "simulated",
        "licence": LICENCE,
        "sampling_rate": sampling_rate if ecg else None,
        "lead_names": list(LEADS_12) if ecg else None,
        "label": spec.label,
        "assumed": list(spec.assumed),
        # The paper's exclusions only describe a cohort of the paper's size.
        "flow": dict(spec.flow) if n_patients == spec.n_patients else {"simulated": n_patients},
        "best_auc": {name: dict(best[name]) for name in shown},
        "covariates": covariates,
        "design": list(spec.design),
        "truth": truth,
        "outcome": outcome.set_axis(index),
        **left_out,
    }
    cohort = Cohort(X, latents["label"].to_numpy(), groups, info)
    if modality not in ("image", "all"):
        return cohort
    folder = Path(cache_dir) if cache_dir is not None else temporary_folder()
    return render_cohort(cohort, folder / f"{stem}-pages")


_HEART = ("morphology", "qrs_duration_ms", "af", "scar", "ischaemic", "voltage", "repolarisation")
_TRUE_ARRAYS = ("qrs_onsets_s", "qrs_offsets_s", "r_peaks_s")
_TRUE_VALUES = ("qrs_duration_ms", "heart_rate_bpm", "pr_ms")


def _signals(latents, visit, entropy, fs, noise, mains_hz, cache_dir, name):
    """Cells of the signal column, and the truth columns beside it."""
    truths = []

    def records():
        hearts = latents[list(_HEART)].to_dict("records")
        for heart, patient, v in zip(hearts, latents["patient"], visit):
            signal, truth = simulate_ecg(
                **heart,
                sampling_rate=fs,
                noise=noise,
                mains_hz=mains_hz,
                # The anatomy belongs to the patient and is the same at every visit; noise and
                # rhythm are not.
                anatomy=stream(entropy, 1, int(patient), 0),
                random_state=stream(entropy, 1, int(patient), 1 + int(v)),
            )
            truths.append(truth)
            yield signal

    cells = store_arrays(records(), cache_dir, name)
    columns = {"true_morphology": latents["morphology"].to_numpy()}
    for key in ("scar", "voltage", "repolarisation"):
        columns[f"true_{key}"] = latents[key].to_numpy()
    for key in _TRUE_VALUES:
        columns[f"true_{key}"] = np.array([truth[key] for truth in truths])
    known = pd.DataFrame(columns)
    for key in _TRUE_ARRAYS:
        known[f"true_{key}"] = _column(key, [truth[key] for truth in truths], known.index)
    return cells, known


def _add_maps(study, X, latents, entropy, n_frames, noise, modality):
    """Table with maps (and counts), their own dyssynchrony figures, and the truth columns."""
    one_heart = study == "crt"
    walls = crt.scar_walls(latents, entropy) if one_heart else None
    # One heart: its electrical delay and scar decide the map too.
    wanted = crt.as_seen_by_spect(latents) if one_heart else latents
    counts, maps, figures, known = spect.simulate_maps(wanted, entropy, n_frames, noise, walls)
    if one_heart:
        known = known.assign(true_scar=latents["scar"].to_numpy(), true_scar_wall=walls)
    X = X.assign(**{name: figures[name].to_numpy() for name in figures})
    shown = {"map": maps, "counts": counts} if modality == "counts" else {"map": maps}
    columns = [_column(name, cells, X.index) for name, cells in shown.items()]
    # What the ECG has told already (the morphology) is not told twice.
    fresh = known.set_axis(X.index).drop(columns=[c for c in known if c in X])
    return pd.concat([X, *columns, fresh], axis=1), list(known)


def _key(*parts):
    """What tells the files of one cohort from another's in a shared ``cache_dir``."""
    # Another seed, noise or rate must not read these signals.
    return hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:12]


def _shown(study, modality, best):
    """Modalities whose ceiling a cohort states: those that it holds."""
    if modality == "table":
        return ("table",)
    if study == "crt" and modality != "all":
        return ("table", *(("signal",) if modality == "image" else ()), modality)
    return tuple(best)


def _column(name, cells, index):
    """Series of cells that may be arrays of one length."""
    # np.array of equal arrays would make one array of them, not a column of cells.
    values = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        values[i] = cell
    return pd.Series(values, index=index, name=name)


def _check_study(study):
    if not isinstance(study, str) or study not in _STUDIES:
        raise ValueError(f"make_cohort expects study to be one of {list(_STUDIES)}, got {study!r}.")
    return _STUDIES[study]


def _check_modality(study, spec, modality):
    modality = spec.modalities[0] if modality is None else modality
    if modality not in spec.modalities:
        raise ValueError(
            f"make_cohort({study!r}) expects modality to be one of {list(spec.modalities)}, "
            f"got {modality!r}."
        )
    return modality


def _check_patients(n_patients):
    if not isinstance(n_patients, numbers.Integral) or n_patients < 4:
        raise ValueError(f"make_cohort expects n_patients as an integer >= 4, got {n_patients!r}.")
    return int(n_patients)

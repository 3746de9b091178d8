"""Simulated gated SPECT, and the patients of he2021 (He et al. 2021, Table 1).

The wall contracts with a delay that LBBB, QRS duration and scar drive; counts follow its thickness,
are blurred by the camera and drawn from a Poisson law. Pairs are (non-responders, responders).
"""

from functools import partial

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

from crtkit.datasets.simulation.ecg import check_number, draw_entropy, stream
from crtkit.datasets.simulation.latents import Binary, Continuous, ResponseModel, apportion
from crtkit.datasets.simulation.margins import Moments
from crtkit.datasets.simulation.response import draw_patients
from crtkit.spect import (
    Ventricle,
    phase_and_amplitude,
    phase_bandwidth,
    phase_moments,
    sample_polar_maps,
)
from crtkit.statistics.delong import auc_with_error

RINGS, SECTORS = 12, 24
SPACING = (6.4, 6.4, 6.4)
# Middle of the three coronary territories in degrees, anticlockwise from the lateral wall.
SCAR_ANGLES = {"anterior": 120.0, "inferior": 270.0, "lateral": 330.0}

_TABLE = (
    *("acei_arb", "age", "cad", "ckd", "qrs_duration_ms", "lvedv", "lvesv", "lvef", "male"),
    *("ischaemic", "nyha", "scar", "pbw_deg", "psd_deg", "smoking"),
)
COVARIATES = (*_TABLE, "lbbb", "af")
NYHA = {2: (15, 16), 3: (35, 21), 4: (7, 8)}

HE2021 = ResponseModel(
    n=(57, 45),
    morphology={"lbbb": (34, 37), "ivcd": (23, 8)},
    binaries=(
        Binary("male", (37, 37), {"lbbb": -0.3}),
        Binary("cad", (15, 10), {"male": 0.6}),
        Binary("ischaemic", (15, 9), {"cad": 4.0}),
    ),
    extras=(
        Binary("acei_arb", (51, 37)),
        Binary("ckd", (2, 3)),
        Binary("smoking", (18, 19)),
    ),
    continuous=(
        Continuous("age", (Moments(60.8, 13.5, 18, 95), Moments(62.0, 12.4, 18, 95)), decimals=0),
        Continuous(
            "qrs_duration_ms",
            (Moments(150.9, 23.7, 119.5, 240), Moments(165.4, 16.2, 119.5, 240)),
            {"lbbb": 0.8},
            decimals=0,
        ),
        Continuous("lvef", (Moments(28.8, 6.8, 5, 35.4), Moments(29.9, 6.7, 5, 35.4))),
        Continuous(
            "lvedv",
            (Moments(307.5, 90.0, 110, 800), Moments(270.5, 81.8, 110, 800)),
            {"male": 0.4},
        ),
        Continuous(
            "scar", (Moments(28.6, 11.9, 0, 70), Moments(24.5, 9.8, 0, 70)), {"ischaemic": 1.0}
        ),
        Continuous("psd_deg", (Moments(57.7, 19.0, 8, 103), Moments(58.6, 18.3, 8, 103))),
        Continuous("pbw_deg", (Moments(194.1, 78.2, 20, 352), Moments(197.1, 72.8, 20, 352))),
    ),
    correlations={
        ("lvef", "lvedv"): -0.5,
        ("qrs_duration_ms", "lvedv"): 0.2,
        ("lvef", "scar"): -0.15,
        ("qrs_duration_ms", "psd_deg"): 0.15,
        ("qrs_duration_ms", "pbw_deg"): 0.15,
        ("lvef", "psd_deg"): -0.3,
        ("lvef", "pbw_deg"): -0.3,
        ("scar", "psd_deg"): 0.3,
        ("scar", "pbw_deg"): 0.3,
        ("psd_deg", "pbw_deg"): 0.9,
    },
    seen={
        "table": tuple(name for name in COVARIATES if name not in ("lvesv", "nyha", "af")),
        "map": ("morphology", "qrs_duration_ms", "scar", "psd_deg"),
    },
)

ASSUMED = (
    "LBBB: not printed; 37 of 45 responders and 34 of 57 non-responders, all others have an "
    "unspecific delay; by the inclusion criteria no RBBB and no atrial fibrillation",
    "relations between variables beyond their margins given response (log odds ratios of a chain "
    "of logistic models, correlations of normal scores), and the bounds and tails of every "
    "quantity",
    "LVESV is LVEDV x (1 - LVEF); LVEF stays within the inclusion criterion of 35 %",
    "the delay of contraction is a sum of a pattern from septum to lateral wall (LBBB, QRS "
    "duration), a patch (scar) and a smooth random field, scaled so that its phase SD is the drawn "
    "one; the maps' own PSD and bandwidth, which the table shows beside the maps, add the camera's "
    "blur and counting noise, and so follow the printed margins only nearly",
    "size of the ventricle, camera, counts: a hemisphere on a cylinder, pixels and slices of 6.4 "
    "mm, blur of 1 pixel SD, about 100 counts in a hot voxel and frame, no background",
    "the reduction of LVESV and LVEF after six months follow mori2025's table",
    "the two enrolled patients who were left out are drawn as non-responders; one has an LVESV of "
    "16 mL, as in the paper",
)
FLOW = {
    "enrolled": 104,
    "left out, not explained in print": -1,
    "LVESV of 16 mL": -1,
    "analysed": 102,
}


def simulate_gated_spect(
    *,
    lbbb=1,
    qrs_duration_ms=160.0,
    scar=25.0,
    psd_deg=55.0,
    lvedv=290.0,
    scar_wall=None,
    n_frames=8,
    counts=100.0,
    noise=1.0,
    random_state=None,
):
    """Simulate a gated short-axis stack of a left ventricle whose contraction is delayed.

    Parameters
    ----------
    lbbb : {0, 1}, default=1
        Delay from septum to lateral wall.
    qrs_duration_ms : float, default=160.0
        Weight of that delay.
    scar : float, default=25.0
        Part of the wall in per cent with few counts and a late, weak contraction.
    psd_deg : float, default=55.0
        Phase SD of the true onsets in degrees; 103 at most.
    lvedv : float, default=290.0
        Size of the ventricle in mL.
    scar_wall : {"anterior", "inferior", "lateral"}, optional
        Where the scar lies; drawn where not given.
    n_frames : int, default=8
        8 or 16 as a rule; at least 3.
    counts : float, default=100.0
        Expected counts of a hot voxel in one frame of eight.
    noise : float, default=1.0
        1 draws Poisson counts, 0 gives expected counts, between them a mixture.
    random_state : int, RandomState, Generator or None

    Returns
    -------
    stack : ndarray of float32 of shape (n_frames, 18, 32, 32)
        Apex first; anterior wall up, septum left.
    truth : dict
        ``onset_deg`` (true onset of contraction, 12 rings x 24 sectors), ``scar`` (0 to 1, same
        shape), ``ventricle`` (a `crtkit.spect.Ventricle`), ``spacing`` in mm.

    Raises
    ------
    ValueError
        A number outside its range, or an unknown wall.

    Examples
    --------
    >>> from crtkit.datasets import simulate_gated_spect
    >>> stack, truth = simulate_gated_spect(n_frames=16, random_state=0)
    >>> stack.shape, truth["onset_deg"].shape
    ((16, 18, 32, 32), (12, 24))
    """
    who = partial(check_number, "simulate_gated_spect")
    who("qrs_duration_ms", qrs_duration_ms, 60, 300)
    who("scar", scar, 0, 100)
    who("psd_deg", psd_deg, 0, 103)
    who("lvedv", lvedv, 30, 1500)
    who("n_frames", n_frames, 3, 64)
    who("counts", counts, 0.1, 1e6)
    who("noise", noise, 0, 1)
    if scar_wall is not None and scar_wall not in SCAR_ANGLES:
        raise ValueError(
            f"simulate_gated_spect expects scar_wall in {list(SCAR_ANGLES)} or None, "
            f"got {scar_wall!r}."
        )
    rng = stream(draw_entropy(random_state), 0)
    patch = _scar_patch(scar, rng, scar_wall)
    onset = _onset(lbbb, qrs_duration_ms, scar, psd_deg, patch, rng)
    # A radius of 6.5 pixels for 290 mL: volumes grow with its third power.
    radius = float(np.clip(6.5 * (lvedv / 290.0) ** (1 / 3), 3.0, 9.0))
    ventricle = Ventricle((15.5, 15.5), radius, 2.0, float(min(15.0, 2.0 + 1.9 * radius)))
    theta = 2 * np.pi * np.arange(n_frames) / n_frames
    swing = 0.32 * (1.0 - 0.6 * patch)
    thickness = 1.0 + swing * np.cos(theta[:, None, None] - np.deg2rad(onset + 90.0))
    level = (1.0 - 0.65 * patch) * thickness
    cell, weight = _wall(ventricle, (18, 32, 32))
    activity = level.reshape(n_frames, -1)[:, cell] * weight
    blurred = gaussian_filter(activity, (0, 1.0, 1.0, 1.0))
    expected = blurred * (counts * 8.0 / n_frames / np.quantile(blurred, 0.999))
    if noise:
        expected = (1.0 - noise) * expected + noise * rng.poisson(expected)
    truth = {"onset_deg": onset, "scar": patch, "ventricle": ventricle, "spacing": SPACING}
    return expected.astype(np.float32), truth


def _scar_patch(scar, rng, wall=None):
    """Scar of every cell, 0 to 1, whose mean is about the wanted share; one territory."""
    height = (np.arange(RINGS)[:, None] + 0.5) / RINGS
    angle = np.deg2rad((np.arange(SECTORS) + 0.5) * 360.0 / SECTORS)
    at_height, drawn = rng.uniform(0.0, 0.7), rng.choice(list(SCAR_ANGLES.values()))
    # Drawn even where it is given, so that the rest of the patient stays the same.
    at_angle = np.deg2rad(drawn if wall is None else SCAR_ANGLES[wall])
    across = 2.0 * np.sin(0.5 * (angle - at_angle)) * np.minimum(1.0, 0.3 + height)
    distance = np.hypot(1.6 * (height - at_height), across)
    if scar <= 0:
        return np.zeros((RINGS, SECTORS))
    edge = np.quantile(distance, min(scar / 100.0, 1.0))
    return 1.0 / (1.0 + np.exp((distance - edge) / 0.12))


def _onset(lbbb, qrs, scar, psd, patch, rng):
    """True onset of contraction of every cell, in degrees; its phase SD is ``psd``."""
    height = (np.arange(RINGS)[:, None] + 0.5) / RINGS
    angle = np.deg2rad((np.arange(SECTORS) + 0.5) * 360.0 / SECTORS)
    # From the septum, earliest, to the basal inferolateral wall, latest.
    across = np.cos(angle - np.deg2rad(340.0)) * np.minimum(1.0, 0.4 + height) + 0.4 * height
    field = rng.standard_normal((RINGS, SECTORS))
    field = gaussian_filter(field, (1.5, 2.5), mode=("nearest", "wrap"))
    field /= field.std()
    delay = lbbb * (0.5 + (qrs - 120.0) / 45.0) * across + (scar / 20.0) * patch + 0.9 * field
    delay -= delay.mean()
    delay /= delay.std()

    def excess(scale):
        return phase_moments((scale * delay).ravel())[1] - psd

    # Wrapping keeps the SD from growing without end with the scale.
    scales = np.arange(psd, 4.0 * psd + 10.0, 5.0)
    reached = np.flatnonzero([excess(scale) >= 0 for scale in scales])
    top = scales[reached[0]] if len(reached) else scales[-1]
    scale = brentq(excess, 0.0, top) if len(reached) and psd > 0 else (top if psd > 0 else 0.0)
    return np.mod(scale * delay + 110.0 + 8.0 * rng.standard_normal(), 360.0)


def _wall(ventricle, shape):
    """Cell of the polar map that every voxel belongs to, and how much wall it holds."""
    z, y, x = np.indices(shape).astype(float)
    y, x = ventricle.center[0] - y, x - ventricle.center[1]
    radius, length = ventricle.radius, ventricle.base - ventricle.apex
    up = z - ventricle.apex - radius  # above the centre of the cap
    polar = np.where(up < 0, np.arctan2(np.hypot(x, y), -up), np.pi / 2)
    along = radius * polar + np.maximum(up, 0.0)
    from_axis = np.where(up < 0, np.sqrt(x**2 + y**2 + up**2), np.hypot(x, y))
    meridian = radius * np.pi / 2 + length - radius
    ring = np.clip((along / meridian * RINGS).astype(int), 0, RINGS - 1)
    sector = (np.mod(np.arctan2(y, x), 2 * np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    weight = np.exp(-0.5 * ((from_axis - radius) / 0.75) ** 2)
    return ring * SECTORS + sector, np.where(z <= ventricle.base + 0.5, weight, 0.0)


def draw_he2021(n_patients, rng):
    """Patients in random order with the paper's share of responders, and their outcome."""

    def finish(table):
        responders = int(table["response"].sum())
        nyha = [
            rng.permutation(np.repeat(list(NYHA), apportion([c[y] for c in NYHA.values()], n)))
            for y, n in ((0, len(table) - responders), (1, responders))
        ]
        table["nyha"] = np.concatenate(nyha)
        for c in HE2021.continuous:
            table[c.name] = table[c.name].round(c.decimals)
        table["af"] = 0
        table["lvesv"] = (table["lvedv"] * (1.0 - table["lvef"] / 100.0)).round(1)

    return draw_patients(HE2021, n_patients, rng, finish)


def best_auc(random_state=0, n=20_000):
    """AUC of the exact likelihood ratio of the table, NYHA class included, and of the map."""
    rng = np.random.default_rng(random_state)
    table = HE2021.draw((n, n), rng, exact=False)
    y = table["response"].to_numpy()
    shares = np.array([[c[k] for c in NYHA.values()] for k in (0, 1)], dtype=float)
    shares /= shares.sum(axis=1, keepdims=True)
    nyha = np.concatenate([rng.choice(len(NYHA), size=n, p=shares[k]) for k in (0, 1)])
    extra = {"table": np.log(shares[1] / shares[0])[nyha], "map": 0.0}
    out = {}
    for modality, seen in HE2021.seen.items():
        auc, error = auc_with_error(HE2021.log_likelihood_ratio(table, seen) + extra[modality], y)
        out[modality] = {"auc": auc, "se": error}
    return out


def simulate_maps(latents, entropy, n_frames, noise, scar_walls=None):
    """Counts of the wall, phase maps and truth of every patient, each from a stream of its own.

    Parameters
    ----------
    latents : DataFrame
        With ``patient``, ``lbbb``, ``qrs_duration_ms``, ``scar``, ``psd_deg`` and ``lvedv``.
    entropy : int or list of int
    n_frames : int
    noise : float
    scar_walls : sequence of str, optional
        One per patient; drawn where not given.

    Returns
    -------
    counts : list of ndarray of shape (n_frames, 12, 24)
    maps : list of ndarray of shape (12, 24)
        Onset phases in degrees, float32.
    figures : DataFrame
        ``psd_deg``, ``pbw_deg`` of the maps.
    truth : DataFrame
        ``true_onset_deg`` (maps), ``true_psd_deg`` (drawn), ``true_morphology``.
    """
    counts, maps, onsets = [], [], []
    walls = [None] * len(latents) if scar_walls is None else scar_walls
    for row, wall in zip(latents.to_dict("records"), walls):
        stack, truth = simulate_gated_spect(
            **{k: row[k] for k in ("lbbb", "qrs_duration_ms", "scar", "psd_deg", "lvedv")},
            scar_wall=wall,
            n_frames=n_frames,
            noise=noise,
            random_state=stream(entropy, 2, int(row["patient"])),
        )
        sampled = sample_polar_maps(
            stack, truth["ventricle"], n_rings=RINGS, n_sectors=SECTORS, spacing=SPACING
        )
        phase = phase_and_amplitude(sampled, axis=0)[0].astype(np.float32)
        counts.append(sampled)
        maps.append(np.where(phase >= 360, np.float32(0), phase))
        onsets.append(truth["onset_deg"].astype(np.float32))
    flat = np.array(maps).reshape(len(maps), -1)
    figures = pd.DataFrame(
        {
            "psd_deg": phase_moments(flat)[1].round(1),
            "pbw_deg": phase_bandwidth(flat)[0].round(1),
        }
    )
    truth = pd.DataFrame(
        {
            "true_onset_deg": pd.Series(onsets, dtype=object),
            "true_psd_deg": latents["psd_deg"].to_numpy(),
            "true_morphology": latents["morphology"].to_numpy(),
        }
    )
    return counts, maps, figures, truth


def left_out_maps(entropy, n_frames, noise):
    """The two enrolled patients who were not analysed: they only taught the autoencoder."""
    latents = HE2021.draw((2, 1), stream(entropy, 3)).iloc[:2].copy()
    latents["patient"] = [10_000_000, 10_000_001]
    for c in HE2021.continuous:
        latents[c.name] = latents[c.name].round(c.decimals)
    # 16 mL of LVESV: a ventricle that the camera hardly resolves.
    latents.loc[1, "lvedv"] = 48.0
    _, maps, _, _ = simulate_maps(latents, entropy, n_frames, noise)
    reasons = list(FLOW)[1:3]
    return pd.DataFrame({"map": pd.Series(maps, dtype=object), "reason": reasons})

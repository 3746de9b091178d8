"""The heart vector of one beat: P, QRS and T as sums of Gaussians in Frank space.

Axes X left, Y inferior, Z posterior, in millivolt. A wave is a set of Gaussians, each with a
vector, a centre and a width; leads are its projection by Dower's matrix. Shapes are schematic:
they carry the features that cardiologists name, not the statistics of any database.
"""

from dataclasses import dataclass

import numpy as np

from crtkit._leads import LIMB_FROM_I_II

# Rows I, II, V1-V6 (Dower, Machado & Osborne 1980).
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],
        [0.235, 1.066, -0.132],
        [-0.515, 0.157, -0.917],
        [0.044, 0.164, -1.387],
        [0.882, 0.098, -1.277],
        [1.213, 0.127, -0.601],
        [1.125, 0.127, -0.086],
        [0.831, 0.076, 0.230],
    ]
)

TO_TWELVE = np.zeros((12, 8))
TO_TWELVE[:6, :2] = list(LIMB_FROM_I_II.values())
TO_TWELVE[np.arange(6, 12), np.arange(2, 8)] = 1

PROJECTION = TO_TWELVE @ DOWER
QRS_THRESHOLD_MV = 0.020
MORPHOLOGIES = ("narrow", "lbbb", "rbbb", "ivcd", "paced")

# (x, y, z) in mV, centre and width in fractions of a nominal QRS; the true time scale is solved.
_QRS = {
    # Septal vector to the right and front, main vector left, down and back.
    "narrow": [
        (-0.14, -0.03, -0.24, 0.15, 0.090),
        (1.00, 0.70, 0.15, 0.48, 0.120),
        (0.35, 0.10, 0.75, 0.62, 0.110),
        (-0.05, -0.15, 0.25, 0.82, 0.090),
    ],
    # No septal q; two lateral peaks with a posterior vector between them: notched R in I, aVL,
    # V5, V6 over QS or rS in V1 (Strauss et al. 2011).
    "lbbb": [
        (0.22, 0.08, -0.08, 0.10, 0.050),
        (0.80, 0.25, 0.68, 0.30, 0.100),
        (0.30, 0.00, 0.95, 0.53, 0.140),
        (0.80, -0.02, 0.60, 0.74, 0.100),
        (0.25, -0.05, 0.30, 0.92, 0.055),
    ],
    # Normal start, then a slow vector to the right and front: rSR' in V1, broad S in I and V6.
    "rbbb": [
        (-0.15, 0.05, -0.28, 0.11, 0.050),
        (1.10, 0.60, 0.30, 0.29, 0.065),
        (0.30, 0.10, 0.50, 0.41, 0.060),
        (-0.45, 0.05, -0.65, 0.68, 0.120),
        (-0.20, 0.05, -0.25, 0.90, 0.070),
    ],
    # Septal q kept, slow throughout, terminal vector to the right: neither bundle's pattern.
    "ivcd": [
        (-0.12, 0.00, -0.20, 0.08, 0.050),
        (0.85, 0.35, 0.30, 0.30, 0.110),
        (0.45, 0.00, 0.60, 0.52, 0.120),
        (0.15, -0.15, 0.35, 0.75, 0.110),
        (-0.25, -0.10, 0.15, 0.92, 0.060),
    ],
    # From the right ventricular apex: slow start, upwards and back, negative in II, III, aVF.
    "paced": [
        (0.12, -0.25, 0.25, 0.15, 0.090),
        (0.35, -0.75, 0.60, 0.40, 0.140),
        (0.25, -0.70, 0.80, 0.62, 0.130),
        (0.12, -0.35, 0.40, 0.85, 0.090),
    ],
}
# Share of the T wave that opposes the QRS area (secondary repolarisation).
_DISCORDANCE = {"narrow": 0.0, "lbbb": 0.9, "rbbb": 0.25, "ivcd": 0.55, "paced": 0.95}
# Directions that infarcts take forces away from: inferior, anterior, lateral wall.
_SCAR_AWAY = {
    "inferior": (0.0, -1.0, 0.1),
    "anterior": (0.1, 0.0, 1.0),
    "lateral": (-1.0, 0.0, -0.2),
}


@dataclass(frozen=True)
class Wave:
    """Gaussians of a wave: vectors (n, 3) in mV, centres (n,) and widths (n,)."""

    vectors: np.ndarray
    centres: np.ndarray
    widths: np.ndarray

    def gaussians(self, t):
        """Values of the unit Gaussians at ``t``, shape (n, *t.shape)."""
        shape = (-1, *(1,) * np.ndim(t))
        return np.exp(-0.5 * ((t - self.centres.reshape(shape)) / self.widths.reshape(shape)) ** 2)


@dataclass(frozen=True)
class Anatomy:
    """What differs between hearts of one diagnosis, and stays with a patient."""

    turn: np.ndarray  # rotation (3, 3) of the heart in the chest
    gain: float
    jitter: np.ndarray  # (n, 5): of vectors, centres and widths of the QRS Gaussians
    notch: float  # 0 slurred, 1 notched lateral R
    apical: float  # left-right position of the pacing lead
    scar_wall: str
    fragments: np.ndarray  # (n, 5) directions, centres, signs of fractionated activity
    t_blend: float
    p_gain: float
    qtc: float  # s, of a narrow QRS

    @classmethod
    def draw(cls, rng):
        """Another heart."""
        roll = np.radians(rng.normal(0.0, [7.0, 8.0, 14.0]))
        return cls(
            turn=rotation(*np.clip(roll, -0.6, 0.6)),
            gain=float(np.exp(rng.normal(0.0, 0.10))),
            jitter=np.clip(rng.standard_normal((8, 5)), -2.0, 2.0),
            notch=float(rng.uniform(0.0, 1.0)),
            apical=float(rng.uniform(-0.25, 0.25)),
            scar_wall=str(rng.choice(list(_SCAR_AWAY))),
            fragments=rng.standard_normal((4, 5)),
            t_blend=float(np.clip(rng.normal(0.0, 1.0), -2.0, 2.0)),
            p_gain=float(np.exp(rng.normal(0.0, 0.2))),
            qtc=float(np.clip(rng.normal(0.410, 0.018), 0.36, 0.46)),
        )


def rotation(x, y, z):
    """Rotation matrix by angles (rad) about X, Y and Z; arrays of angles give (..., 3, 3)."""
    x, y, z = np.broadcast_arrays(np.asarray(x, float), y, z)
    out = None
    for angle, (i, j) in ((x, (1, 2)), (y, (0, 2)), (z, (0, 1))):
        step = np.broadcast_to(np.eye(3), (*angle.shape, 3, 3)).copy()
        step[..., i, i] = step[..., j, j] = np.cos(angle)
        step[..., i, j], step[..., j, i] = -np.sin(angle), np.sin(angle)
        out = step if out is None else step @ out
    return out


def qrs_wave(morphology, anatomy, *, voltage=0.0, scar=0.0, ischaemic=False):
    """QRS of one patient on a nominal time axis.

    Parameters
    ----------
    morphology : {"narrow", "lbbb", "rbbb", "ivcd", "paced"}
    anatomy : Anatomy
    voltage : float
        Size of the QRS in standard deviations; one is 18 %.
    scar : float
        Scar, per cent of the left ventricle: lower, fractionated QRS.
    ischaemic : bool
        The scar takes its wall's forces away from the start (Q waves).

    Returns
    -------
    Wave
    """
    table = np.array(_QRS[morphology])
    if morphology == "lbbb":
        # A middle vector further to the left fills the notch up to a slur.
        table[2, 0] += 0.40 * (0.5 - anatomy.notch)
    elif morphology == "paced":
        table[:, 0] += anatomy.apical * np.array([0.3, 1.0, 1.0, 0.4])
    jitter = anatomy.jitter[: len(table)]
    vectors = table[:, :3] * (1.0 + 0.10 * jitter[:, :3])
    centres = table[:, 3] + 0.012 * jitter[:, 3]
    widths = table[:, 4] * np.exp(0.06 * jitter[:, 4])
    burden = np.clip(scar, 0.0, 60.0) / 60.0
    size = anatomy.gain * np.exp(0.18 * voltage) * (1.0 - 0.35 * burden)
    vectors = size * vectors @ anatomy.turn.T
    if burden > 0:
        fragments = 0.10 * burden * anatomy.fragments[:, :3]
        vectors = np.concatenate([vectors, fragments])
        places = 0.30 + 0.45 / (1.0 + np.exp(-anatomy.fragments[:, 3]))
        centres = np.concatenate([centres, places])
        widths = np.concatenate([widths, np.full(len(places), 0.035)])
    if ischaemic and burden > 0:
        away = np.array(_SCAR_AWAY[anatomy.scar_wall])
        vectors = np.concatenate([vectors, [0.65 * burden * size * away]])
        centres, widths = np.append(centres, 0.17), np.append(widths, 0.07)
    return Wave(vectors, centres, widths)


def qrs_limits(wave, turns, threshold=QRS_THRESHOLD_MV):
    """First and last nominal time at which any of the 12 leads exceeds the threshold.

    Parameters
    ----------
    wave : Wave
    turns : ndarray of shape (n_beats, 3, 3)
        What respiration and chance make of the heart vector in each beat.
    threshold : float
        Millivolt.

    Returns
    -------
    onsets, offsets, peaks : ndarray of shape (n_beats,)
        ``peaks`` is where the eight independent leads are largest together.
    """
    grid = np.linspace(-0.5, 1.6, 421)
    leads = PROJECTION @ turns @ (wave.vectors.T @ wave.gaussians(grid))
    np.abs(leads, out=leads)
    envelope = leads.max(axis=1)
    above = envelope > threshold
    if not above.any(axis=1).all() or above[:, [0, -1]].any():
        raise ValueError("the QRS does not cross its threshold inside the nominal time axis")
    first = above.argmax(axis=1)
    last = len(grid) - 1 - above[:, ::-1].argmax(axis=1)
    onsets = _crossing(wave, turns, grid[first - 1], grid[first], threshold)
    offsets = _crossing(wave, turns, grid[last + 1], grid[last], threshold)
    size = np.square(leads[:, [0, 1, 6, 7, 8, 9, 10, 11]]).sum(axis=1)
    return onsets, offsets, grid[size.argmax(axis=1)]


def _crossing(wave, turns, below, above, threshold):
    """Where the largest lead passes the threshold, between a time below and one above it."""
    for _ in range(2):
        t = below[:, None] + (above - below)[:, None] * np.linspace(0.0, 1.0, 17)
        vector = np.einsum("nd,nbt->bdt", wave.vectors, wave.gaussians(t))
        envelope = np.abs(PROJECTION @ turns @ vector).max(axis=1)
        step = np.maximum((envelope > threshold).argmax(axis=1), 1)
        beats = np.arange(len(turns))
        below, above = t[beats, step - 1], t[beats, step]
        low, high = envelope[beats, step - 1], envelope[beats, step]
    return below + (above - below) * np.clip((threshold - low) / (high - low), 0.0, 1.0)


def p_wave(anatomy):
    """P wave, seconds from its onset: right atrium, then left."""
    vectors = anatomy.p_gain * np.array([(0.05, 0.10, -0.03), (0.08, 0.05, 0.05)])
    return Wave(vectors, np.array([0.040, 0.080]), np.array([0.018, 0.020]))


def t_wave(morphology, anatomy, qrs, qrs_duration, qt, repolarisation=0.0):
    """T wave and ST segment, seconds from QRS onset.

    Parameters
    ----------
    morphology : str
    anatomy : Anatomy
    qrs : Wave
        Its area sets the direction of secondary repolarisation.
    qrs_duration, qt : float
        Seconds.
    repolarisation : float
        Size of the T wave in standard deviations; one is 25 %.
    """
    area = (qrs.vectors * qrs.widths[:, None]).sum(axis=0)
    opposite = -area / np.linalg.norm(area)
    primary = anatomy.turn @ np.array([0.72, 0.55, -0.42])
    if morphology == "narrow":
        # Failing hearts have flat or inverted lateral T waves as often as upright ones.
        primary = primary + anatomy.t_blend * np.array([-0.45, -0.25, 0.0])
    elif morphology == "rbbb":
        primary = anatomy.turn @ np.array([0.85, 0.45, 0.30])
    share = np.clip(_DISCORDANCE[morphology] + 0.08 * anatomy.t_blend, 0.0, 1.0)
    direction = share * opposite + (1.0 - share) * primary
    size = np.exp(0.25 * repolarisation) * anatomy.gain
    peak = qt - 0.080
    height = size * (0.28 + 0.32 * share) * direction
    vectors = np.array([0.16 * height, 0.55 * height, 0.60 * height])
    st = qrs_duration + 0.35 * max(peak - qrs_duration, 0.05)
    return Wave(
        vectors, np.array([st, peak - 0.040, peak + 0.010]), np.array([0.055, 0.055, 0.036])
    )

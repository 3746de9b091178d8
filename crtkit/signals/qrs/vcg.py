"""The vectorcardiogram from eight leads, its area and its angles."""

import numpy as np

from crtkit._leads import LEADS_12, limb_weights

#: Leads that are measured; the other four are sums of I and II.
INDEPENDENT_LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

#: Kors' regression from :data:`INDEPENDENT_LEADS` to X (left), Y (inferior), Z (posterior).
KORS = np.array(
    [
        [0.38, -0.07, -0.13, 0.05, -0.01, 0.14, 0.06, 0.54],
        [-0.07, 0.93, 0.06, -0.02, -0.05, 0.06, -0.17, 0.13],
        [0.11, -0.23, -0.43, -0.06, -0.14, -0.20, -0.11, 0.31],
    ]
)


def complete_limb_leads(signals, lead_names) -> np.ndarray:
    """Limb leads from those that are there: any two give all six.

    Parameters
    ----------
    signals : ndarray of shape (n_leads, n_samples)
        A lead that is missing may be absent, or NaN throughout.
    lead_names : sequence of str

    Returns
    -------
    ndarray of shape (12, n_samples)
        In the order of ``LEADS_12``; NaN where a lead is missing and cannot be had from others.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.vcg import complete_limb_leads
    >>> complete_limb_leads(np.array([[1.0], [3.0]]), ["II", "III"])[:6, 0]
    array([-2. ,  1. ,  3. ,  0.5, -2.5,  2. ])
    """
    out = np.full((12, signals.shape[1]), np.nan)
    for name, lead in zip(lead_names, signals):
        if name in LEADS_12:
            out[LEADS_12.index(name)] = lead
    there = np.isfinite(out[:6]).any(axis=1)
    if 2 <= there.sum() < 6:
        known = [LEADS_12[i] for i in np.flatnonzero(there)]
        wanted = [LEADS_12[i] for i in np.flatnonzero(~there)]
        out[:6][~there] = limb_weights(wanted, known) @ out[:6][there]
    return out


def kors_vcg(signals, lead_names=LEADS_12) -> np.ndarray:
    """Vectorcardiogram by Kors' regression.

    Parameters
    ----------
    signals : ndarray of shape (..., n_leads, n_samples)
        Millivolt.
    lead_names : sequence of str, default=LEADS_12
        Must hold I, II and V1 to V6.

    Returns
    -------
    ndarray of shape (..., 3, n_samples)
        X (to the left), Y (down), Z (to the back), in millivolt. NaN where a lead is NaN.

    Raises
    ------
    ValueError
        A lead that is needed is missing.

    References
    ----------
    Kors et al., "Reconstruction of the Frank vectorcardiogram from standard electrocardiographic
    leads: diagnostic comparison of different methods", European Heart Journal 11, 1990.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import kors_vcg
    >>> kors_vcg(np.ones((12, 1)))[:, 0].round(2)
    array([ 0.96,  0.87, -0.75])
    """
    signals = np.asarray(signals, dtype=float)
    names = list(lead_names)
    absent = [name for name in INDEPENDENT_LEADS if name not in names]
    if absent:
        raise ValueError(
            f"kors_vcg needs the leads {', '.join(INDEPENDENT_LEADS)}; "
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing from {names}."
        )
    order = [names.index(name) for name in INDEPENDENT_LEADS]
    return KORS @ signals[..., order, :]


def wave_area(signals, fs, start, stop) -> np.ndarray:
    """Integral of signals between two instants, which may lie between samples.

    Parameters
    ----------
    signals : ndarray of shape (..., n_samples)
        Millivolt.
    fs : float
        Sampling rate in hertz.
    start, stop : float
        In samples.

    Returns
    -------
    ndarray of shape (...)
        Trapezoid integral in microvolt-seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals.qrs.vcg import wave_area
    >>> round(float(wave_area(np.ones(100), 500, 10.5, 60.5)), 6)
    100.0
    """
    signals = np.asarray(signals, dtype=float)
    # The ends stay between samples: rounded, they would change the area with the sampling rate.
    inner = np.arange(int(np.floor(start)) + 1, int(np.ceil(stop)))
    times = np.concatenate([[start], inner, [stop]])
    # An end on the last sample has no right neighbour; it takes the last pair with weight one.
    low = np.clip(np.floor(times).astype(int), 0, signals.shape[-1] - 2)
    weight = times - low
    values = signals[..., low] * (1.0 - weight) + signals[..., low + 1] * weight
    return np.trapezoid(values, times / fs, axis=-1) * 1000.0


def qrs_area(vcg, fs, onset, offset) -> float:
    """QRS area: the length of the vector of the three areas.

    Parameters
    ----------
    vcg : ndarray of shape (3, n_samples)
        Millivolt, zero before the complex.
    fs : float
        Sampling rate in hertz.
    onset, offset : float
        In samples.

    Returns
    -------
    float
        ``sqrt(Ax**2 + Ay**2 + Az**2)`` in microvolt-seconds.

    References
    ----------
    van Deursen et al., "Vectorcardiography as a tool for easy optimization of cardiac
    resynchronization therapy in canine left bundle branch block hearts", Circulation: Arrhythmia
    and Electrophysiology 5, 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import qrs_area
    >>> round(qrs_area(np.ones((3, 100)), fs=500, onset=10, offset=60), 2)
    173.21
    """
    return float(np.linalg.norm(wave_area(vcg, fs, onset, offset)))


def vector_angle(a, b) -> float:
    """Angle between two vectors in degrees, 0 to 180; NaN where one has no length.

    Parameters
    ----------
    a, b : array-like of shape (n_axes,)

    Returns
    -------
    float

    Examples
    --------
    >>> from crtkit.signals.qrs.vcg import vector_angle
    >>> vector_angle([1, 0, 0], [0, 2, 0])
    90.0
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    size = np.linalg.norm(a) * np.linalg.norm(b)
    if not size > 0:
        return float("nan")
    return float(np.degrees(np.arccos(np.clip(a @ b / size, -1.0, 1.0))))


def frontal_axis(area_i, area_avf) -> float:
    """Frontal QRS axis in degrees, -180 to 180, from net areas (or amplitudes) in I and aVF.

    aVF is an augmented lead, recorded at ``sqrt(3) / 2`` of the scale of lead I, and is put back
    to it.

    Parameters
    ----------
    area_i, area_avf : float
        In any one unit.

    Returns
    -------
    float
        NaN where both are 0 or one is NaN.

    Examples
    --------
    >>> from crtkit.signals.qrs.vcg import frontal_axis
    >>> round(frontal_axis(1.0, 0.0)), round(frontal_axis(0.0, -1.0))
    (0, -90)
    """
    if not (np.isfinite(area_i) and np.isfinite(area_avf)) or (area_i == 0 and area_avf == 0):
        return float("nan")
    return float(np.degrees(np.arctan2(area_avf * 2.0 / np.sqrt(3.0), area_i)))

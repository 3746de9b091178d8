"""Ten seconds of twelve leads from one heart: rhythm, respiration and noise around the beats.

Everything additive is made in the eight independent leads (noise at the nine electrodes), so
that Einthoven's and Goldberger's identities hold in what comes out.
"""

import numbers
from dataclasses import dataclass

import numpy as np

from crtkit.datasets.simulation.heart import (
    DOWER,
    MORPHOLOGIES,
    TO_TWELVE,
    Anatomy,
    p_wave,
    qrs_limits,
    qrs_wave,
    rotation,
    t_wave,
)

WAVES = ("P", "QRS", "T", "spikes")

# Electrodes RA, LA, LL, V1-V6 to leads I, II, V1-V6.
_ELECTRODES = np.zeros((8, 9))
_ELECTRODES[0, [0, 1]] = -1, 1
_ELECTRODES[1, [0, 2]] = -1, 1
_ELECTRODES[2:, :3] = -1 / 3
_ELECTRODES[np.arange(2, 8), np.arange(3, 9)] = 1


@dataclass(frozen=True)
class Beats:
    """Rhythm of a record: times in seconds, one entry per beat, the first and last out of sight."""

    onsets: np.ndarray  # of the QRS
    rr: np.ndarray  # to the beat before
    turns: np.ndarray  # (n_beats, 3, 3) respiration and chance on the heart vector


def draw_beats(rng, *, mean_rr, af, paced, duration):
    """QRS onsets and what respiration does to each beat.

    Sinus rhythm follows respiration, atrial fibrillation is irregular without memory, and a paced
    ventricle is regular.
    """
    n = int(np.ceil((duration + 4.0) / (0.4 * mean_rr))) + 4
    breath, phase = rng.uniform(0.18, 0.33), rng.uniform(0, 2 * np.pi)
    if paced:
        rr = mean_rr * (1.0 + 0.002 * rng.standard_normal(n))
    elif af:
        rr = np.maximum(mean_rr * np.exp(0.20 * rng.standard_normal(n) - 0.02), 0.34)
    else:
        # Breath depends on time, time on the intervals: the mean interval is near enough.
        sway = np.sin(2 * np.pi * breath * mean_rr * np.arange(n) + phase)
        rr = mean_rr * (1.0 + 0.020 * sway + 0.010 * rng.standard_normal(n))
    onsets = np.cumsum(rr) - rr[0] - mean_rr * rng.uniform(1.0, 2.0)
    keep = onsets < duration + 1.5
    onsets, rr = onsets[keep], rr[keep]
    sway = np.sin(2 * np.pi * breath * onsets + phase)
    tilt = np.radians(rng.uniform(1.5, 5.0))
    chance = np.radians(0.6) * rng.standard_normal((3, len(onsets)))
    turns = rotation(0.3 * tilt * sway + chance[0], chance[1], tilt * sway + chance[2])
    gains = 1.0 + rng.uniform(0.01, 0.05) * sway + 0.012 * rng.standard_normal(len(onsets))
    return Beats(onsets, rr, turns * gains[:, None, None])


def add_wave(vector, fs, wave, starts, scales, turns, reach):
    """Add a wave at each start to the heart vector ``(3, n_samples)``.

    ``reach`` is the window in units of the wave's own time axis; outside it the wave has died out.
    """
    n_samples = vector.shape[1]
    first = np.ceil((starts + reach[0] * scales) * fs).astype(int)
    length = int(np.ceil((reach[1] - reach[0]) * scales.max() * fs)) + 1
    index = first[:, None] + np.arange(length)
    own = (index / fs - starts[:, None]) / scales[:, None]
    values = (turns @ wave.vectors.T) @ np.moveaxis(wave.gaussians(own), 0, 1)
    inside = (index >= 0) & (index < n_samples)
    for beat in range(len(starts)):
        where = inside[beat]
        vector[:, index[beat, where]] += values[beat][:, where]


def add_fibrillation(vector, fs, rng):
    """Add f waves to the heart vector: irregular, 4 to 9 Hz, largest in V1."""
    t = np.arange(vector.shape[1]) / fs
    rate = rng.uniform(5.0, 7.5)
    drift = 0.6 * np.sin(2 * np.pi * rng.uniform(0.15, 0.5) * t + rng.uniform(0, 6.28))
    phase = 2 * np.pi * np.cumsum(rate + drift) / fs + rng.uniform(0, 6.28)
    size = rng.uniform(0.5, 1.2) * (
        1.0 + 0.35 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * t + rng.uniform(0, 6.28))
    )
    direction = np.array([0.008, 0.030, -0.055]) + 0.006 * rng.standard_normal(3)
    for k in (1, 2, 3):
        lag = rng.uniform(-0.5, 0.5, 3)[:, None] if k > 1 else 0.0
        vector += direction[:, None] * size * np.sin(k * phase + lag) / k**1.3


def electrode_noise(rng, n_samples, fs, mains_hz):
    """Wander, muscle and mains at the electrodes, as the eight independent leads in mV."""
    # A longer stretch is made and cut, so that the record does not close on itself.
    n = int(1.15 * n_samples)
    freqs = np.fft.rfftfreq(n, 1.0 / fs)
    slow = (freqs > 0.04) & (freqs < 0.9)
    wander = np.zeros((9, len(freqs)), complex)
    shape = 1.0 / freqs[slow]
    wander[:, slow] = shape * _complex(rng, (9, slow.sum()))
    wander *= n / np.sqrt(2.0 * np.square(shape).sum())
    wander *= 0.035 * np.exp(rng.normal(0.0, 0.5)) * np.exp(0.3 * rng.standard_normal((9, 1)))

    muscle = np.sqrt(freqs**2 / (freqs**2 + 25.0**2) / (1.0 + (freqs / 150.0) ** 4))
    muscle *= n / np.sqrt(2.0 * np.square(muscle).sum())
    muscle = muscle * _complex(rng, (9, len(freqs)))
    muscle *= 0.006 * np.exp(rng.normal(0.0, 0.5)) * np.exp(0.4 * rng.standard_normal((9, 1)))

    noise = np.fft.irfft(wander + muscle, n, axis=1)[:, :n_samples]
    t = np.arange(n_samples) / fs
    mains = 0.003 * np.exp(rng.normal(0.0, 0.7)) * np.exp(0.4 * rng.standard_normal((9, 1)))
    phase = 2 * np.pi * mains_hz * t + rng.uniform(0, 2 * np.pi, (9, 1))
    noise += mains * np.sin(phase)
    if 3 * mains_hz < fs / 2:
        noise += 0.15 * mains * np.sin(3 * phase)
    return _ELECTRODES @ noise


def _complex(rng, shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2.0)


def pacing_spikes(n_samples, fs, times, vector):
    """One-sample spikes in the eight independent leads, before each paced QRS."""
    out = np.zeros((8, n_samples))
    index = np.round(times * fs).astype(int)
    index = index[(index >= 0) & (index < n_samples)]
    out[:, index] = (DOWER @ vector)[:, None]
    return out


def render(parameters, *, fs, n_samples, noise, mains_hz, waves, anatomy_rng, rng):
    """Twelve leads and their truth for checked parameters; see :func:`simulate_ecg`."""
    anatomy = Anatomy.draw(anatomy_rng)
    morphology, af = parameters["morphology"], parameters["af"]
    duration = parameters["qrs_duration_ms"] / 1000.0
    paced = morphology == "paced"
    mean_rr = 60.0 / parameters["heart_rate_bpm"]
    beats = draw_beats(rng, mean_rr=mean_rr, af=af, paced=paced, duration=n_samples / fs)
    qrs = qrs_wave(
        morphology,
        anatomy,
        voltage=parameters["voltage"],
        scar=parameters["scar"],
        ischaemic=parameters["ischaemic"],
    )
    first, last, top = qrs_limits(qrs, beats.turns)
    # The time scale of every beat is solved, so that each lasts exactly the stated duration.
    scales = duration / (last - first)
    vector = np.zeros((3, n_samples))
    if "QRS" in waves:
        starts = beats.onsets - first * scales
        add_wave(vector, fs, qrs, starts, scales, beats.turns, reach=(-0.7, 1.8))
    rate = np.cbrt(0.5 * (beats.rr + mean_rr))
    qt = (anatomy.qtc + 0.6 * max(duration - 0.09, 0.0)) * rate.mean()
    if "T" in waves:
        wave = t_wave(morphology, anatomy, qrs, duration, qt, parameters["repolarisation"])
        stretch = rate / rate.mean()
        add_wave(vector, fs, wave, beats.onsets, stretch, beats.turns, reach=(-0.2, qt + 0.2))
    if "P" in waves and not af:
        starts = beats.onsets - parameters["pr_ms"] / 1000.0
        add_wave(
            vector, fs, p_wave(anatomy), starts, np.ones(len(starts)), beats.turns, (-0.1, 0.25)
        )
    elif "P" in waves:
        add_fibrillation(vector, fs, rng)
    leads = DOWER @ vector
    spikes = beats.onsets - 0.006 if paced else np.empty(0)
    if paced and "spikes" in waves:
        unit = np.array([0.5, -0.9, 0.3]) * anatomy_rng.uniform(0.6, 2.0)
        leads += pacing_spikes(n_samples, fs, spikes, unit)
    if noise > 0:
        leads += noise * electrode_noise(rng, n_samples, fs, mains_hz)
    seen = (beats.onsets >= 0) & (beats.onsets + duration <= n_samples / fs)
    truth = {
        "qrs_onsets_s": beats.onsets[seen],
        "qrs_offsets_s": (beats.onsets + duration)[seen],
        "r_peaks_s": (beats.onsets + (top - first) * scales)[seen],
        "spikes_s": spikes[seen] if paced else spikes,
    }
    return (TO_TWELVE @ leads).astype(np.float32), truth


def simulate_ecg(
    morphology="lbbb",
    qrs_duration_ms=160.0,
    *,
    af=False,
    scar=0.0,
    ischaemic=False,
    voltage=0.0,
    repolarisation=0.0,
    heart_rate_bpm=None,
    pr_ms=None,
    sampling_rate=500,
    duration_s=10.0,
    noise=1.0,
    mains_hz=50.0,
    waves=WAVES,
    anatomy=None,
    random_state=None,
):
    """Simulate a 12-lead ECG whose QRS onsets, offsets and duration are known.

    Parameters
    ----------
    morphology : {"narrow", "lbbb", "rbbb", "ivcd", "paced"}
        ``"paced"`` is right ventricular apical pacing, with spikes 6 ms before the QRS.
    qrs_duration_ms : float
        Global duration of every QRS, 60 to 280.
    af : bool
        Atrial fibrillation: no P wave, f waves, irregular unless paced.
    scar : float
        Per cent of the left ventricle, 0 to 100: lower, fractionated QRS.
    ischaemic : bool
        With scar, Q waves over one wall.
    voltage, repolarisation : float
        Size of the QRS (18 % each) and of the T wave (25 % each) in standard deviations.
    heart_rate_bpm, pr_ms : float, optional
        30 to 180, 80 to 400; drawn where not given.
    sampling_rate : float
        Hz, at least 250.
    duration_s : float
        Seconds, at least 1.
    noise : float
        Factor on baseline wander, muscle noise and mains; 0 for none.
    mains_hz : float
    waves : sequence of {"P", "QRS", "T", "spikes"}
        What is drawn; ``("QRS",)`` with ``noise=0`` is what the truth is defined on.
    anatomy : int, Generator or SeedSequence, optional
        Seed of what stays with a patient (position of the heart, shapes of waves); by default it
        comes from ``random_state``.
    random_state : int, RandomState, Generator, SeedSequence or None
        Seed of what changes from record to record.

    Returns
    -------
    signal : ndarray of shape (12, n_samples), float32
        Millivolt, in the order of ``LEADS_12``.
    truth : dict
        ``qrs_onsets_s``, ``qrs_offsets_s``, ``r_peaks_s`` (where the eight independent leads are
        largest together) and ``spikes_s`` of all beats whose QRS lies inside the record;
        ``qrs_duration_ms``, ``heart_rate_bpm`` and ``pr_ms`` (NaN in fibrillation).

    Raises
    ------
    ValueError
        A parameter is out of its range.

    Notes
    -----
    P, QRS and T are sums of Gaussians of a heart vector in Frank's axes, as in [1]_, projected by
    Dower's matrix [2]_. Onset and offset are the first and the last instant at which any of the
    twelve noise-free QRS-only leads exceeds 20 µV; the time scale of each beat is solved so that
    they are exactly ``qrs_duration_ms`` apart. Noise arises at the nine electrodes, so that
    Einthoven's and Goldberger's identities hold. Left bundle branch block has the notched or
    slurred lateral R of [3]_.

    References
    ----------
    .. [1] P. E. McSharry et al., "A dynamical model for generating synthetic electrocardiogram
       signals", IEEE Transactions on Biomedical Engineering 50(3), 2003.
    .. [2] G. E. Dower, H. B. Machado, J. A. Osborne, "On deriving the electrocardiogram from
       vectorcardiographic leads", Clinical Cardiology 3, 1980.
    .. [3] D. G. Strauss, R. H. Selvester, G. S. Wagner, "Defining left bundle branch block in the
       era of cardiac resynchronization therapy", American Journal of Cardiology 107, 2011.

    Examples
    --------
    >>> from crtkit.datasets import simulate_ecg
    >>> signal, truth = simulate_ecg("lbbb", 164, random_state=0)
    >>> signal.shape, signal.dtype
    ((12, 5000), dtype('float32'))
    >>> beats = truth["qrs_offsets_s"] - truth["qrs_onsets_s"]
    >>> round(float(beats.min()), 3), round(float(beats.max()), 3)
    (0.164, 0.164)
    """
    who = "simulate_ecg"
    if morphology not in MORPHOLOGIES:
        raise ValueError(f"{who} expects morphology in {list(MORPHOLOGIES)}, got {morphology!r}.")
    wrong = [wave for wave in waves if wave not in WAVES]
    if isinstance(waves, str) or wrong:
        raise ValueError(f"{who} expects waves as a sequence of {list(WAVES)}, got {waves!r}.")
    check_number(who, "qrs_duration_ms", qrs_duration_ms, 60, 280)
    check_number(who, "scar", scar, 0, 100)
    check_number(who, "voltage", voltage, -6, 6)
    check_number(who, "repolarisation", repolarisation, -6, 6)
    check_number(who, "sampling_rate", sampling_rate, 250, 100_000)
    check_number(who, "duration_s", duration_s, 1, 3600)
    check_number(who, "noise", noise, 0, 100)
    check_number(who, "mains_hz", mains_hz, 1, 1000)
    rng = _generator(random_state)
    anatomy_seed = np.random.SeedSequence([int(v) for v in rng.integers(0, 2**32, size=4)])
    paced = morphology == "paced"
    mean, spread = (65.0, 5.0) if paced else (84.0, 13.0) if af else (72.0, 10.0)
    drawn_rate = np.clip(rng.normal(mean, spread), 48.0, 120.0)
    drawn_pr = np.clip(rng.normal(182.0, 24.0), 120.0, 260.0)
    heart_rate_bpm = float(drawn_rate if heart_rate_bpm is None else heart_rate_bpm)
    pr_ms = float(drawn_pr if pr_ms is None else pr_ms)
    check_number(who, "heart_rate_bpm", heart_rate_bpm, 30, 180)
    check_number(who, "pr_ms", pr_ms, 80, 400)
    parameters = {
        "morphology": morphology,
        "qrs_duration_ms": float(qrs_duration_ms),
        "af": bool(af),
        "scar": float(scar),
        "ischaemic": bool(ischaemic),
        "voltage": float(voltage),
        "repolarisation": float(repolarisation),
        "heart_rate_bpm": heart_rate_bpm,
        "pr_ms": pr_ms,
    }
    signal, truth = render(
        parameters,
        fs=float(sampling_rate),
        n_samples=round(duration_s * sampling_rate),
        noise=float(noise),
        mains_hz=float(mains_hz),
        waves=tuple(waves),
        anatomy_rng=_generator(anatomy_seed if anatomy is None else anatomy),
        rng=rng,
    )
    truth["qrs_duration_ms"] = float(qrs_duration_ms)
    truth["heart_rate_bpm"] = heart_rate_bpm
    truth["pr_ms"] = np.nan if af else pr_ms
    return signal, truth


def draw_entropy(random_state):
    """What seeds every stream of a cohort."""
    if random_state is None:
        return np.random.SeedSequence().entropy
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool):
        if random_state < 0:
            raise ValueError(f"random_state expects an integer >= 0, got {random_state}.")
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return [int(v) for v in random_state.integers(0, 2**32, size=4)]
    if isinstance(random_state, np.random.RandomState):
        return [int(v) for v in random_state.randint(0, 2**32, size=4, dtype=np.uint64)]
    raise ValueError(
        "random_state expects an int, a numpy Generator or RandomState, or None, "
        f"got {random_state!r}."
    )


def stream(entropy, *key):
    return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=key))


def _generator(random_state):
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.SeedSequence):
        return np.random.default_rng(random_state)
    return np.random.default_rng(draw_entropy(random_state))


def check_number(who, name, value, low, high):
    if not isinstance(value, numbers.Real) or not low <= value <= high:
        raise ValueError(f"{who} expects {name} as a number from {low} to {high}, got {value!r}.")

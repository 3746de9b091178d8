"""Phase and amplitude of count curves over the cardiac cycle, by their first harmonics.

Wall thickening raises the counts of a sample (partial volume), so the curve peaks when the wall is
thickest. Frame k of N stands at 360 k / N degrees of the R-R interval.
"""

import numpy as np

from crtkit.spect.circular import circle_degrees

MEASURES = ("onset", "peak", "relaxation")


def harmonic_coefficients(counts, n_harmonics=1, axis=-1):
    """Mean and complex coefficients of the first harmonics.

    ``counts[k] ~ mean + sum_h Re(c_h exp(i h theta_k))`` with ``theta_k = 2 pi k / n_frames``.

    Parameters
    ----------
    counts : array-like
        Count curves along ``axis``.
    n_harmonics : int, default=1
    axis : int, default=-1

    Returns
    -------
    mean : ndarray
        Of shape (...) without ``axis``.
    coefficients : ndarray of complex of shape (n_harmonics, ...)

    Raises
    ------
    ValueError
        Too few frames for the harmonics.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.spect import harmonic_coefficients
    >>> mean, c = harmonic_coefficients(10 + np.cos(np.deg2rad(45 * np.arange(8) - 90)))
    >>> round(float(mean), 6), round(float(np.rad2deg(-np.angle(c[0]))), 6)
    (10.0, 90.0)
    """
    counts = np.asarray(counts, dtype=np.float64)
    n_frames = counts.shape[axis]
    if not 1 <= n_harmonics < n_frames / 2:
        raise ValueError(
            f"A curve of {n_frames} frame(s) has no {n_harmonics} harmonic(s) below its Nyquist "
            f"frequency: at least {2 * n_harmonics + 1} frames are needed."
        )
    angles = 2.0 * np.pi * np.outer(np.arange(1, n_harmonics + 1), np.arange(n_frames)) / n_frames
    curves = np.moveaxis(counts, axis, -1)
    # Two products instead of an FFT: of 8 to 32 frames only the first few harmonics are wanted.
    real, imaginary = (curves @ f(angles).T for f in (np.cos, np.sin))
    coefficients = np.moveaxis(real - 1j * imaginary, -1, 0) * (2.0 / n_frames)
    return curves.mean(axis=-1), coefficients


def phase_and_amplitude(counts, *, measure="onset", n_harmonics=1, axis=-1):
    """Phase of mechanical contraction of count curves, and the amplitude of their first harmonic.

    Parameters
    ----------
    counts : array-like
        Count curves along ``axis``.
    measure : {"onset", "peak", "relaxation"}, default="onset"
        Where the fitted curve crosses its mean upward (onset of contraction), is highest (end of
        systole), or crosses its mean downward (onset of relaxation). With one harmonic they are 90
        degrees apart.
    n_harmonics : int, default=1
        1 is the systolic phase of the papers; 3 the diastolic one, with ``"relaxation"``. Of
        several crossings the one next to the first harmonic's is taken.
    axis : int, default=-1

    Returns
    -------
    phase : ndarray
        In degrees, [0, 360); NaN where the curve is flat, as its phase is then rounding.
    amplitude : ndarray
        Of the first harmonic, in counts.

    Raises
    ------
    ValueError
        Unknown measure, too few frames.

    Notes
    -----
    Scaling or offsetting a curve leaves its phase as it is. With one harmonic the phase is exact;
    with more the crossing is bisected to below 1e-9 degrees.

    References
    ----------
    Chen J et al., Onset of left ventricular mechanical contraction as determined by phase analysis
    of ECG-gated myocardial perfusion SPECT imaging, J Nucl Cardiol 2005;12:687-695. Chen J et al.,
    J Nucl Cardiol 2011;18:299-308 (several harmonics).

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.spect import phase_and_amplitude
    >>> curve = 100 + 20 * np.cos(np.deg2rad(45 * np.arange(8) - 150))
    >>> phase, amplitude = phase_and_amplitude(curve)
    >>> round(float(phase), 6), round(float(amplitude), 6)
    (60.0, 20.0)
    """
    if measure not in MEASURES:
        raise ValueError(f"measure must be one of {', '.join(MEASURES)}, got {measure!r}.")
    rounding = np.finfo(getattr(counts, "dtype", np.float64)).eps if _floating(counts) else 1e-15
    mean, coefficients = harmonic_coefficients(counts, n_harmonics, axis)
    first = coefficients[0]
    amplitude = np.abs(first)
    peak = -np.angle(first)
    shift = {"onset": -0.5, "peak": 0.0, "relaxation": 0.5}[measure] * np.pi
    radians = peak + shift
    if n_harmonics > 1:
        radians = _refine(coefficients, radians, measure)
    phase = circle_degrees(np.rad2deg(radians))
    # Relative to the mean, as rounding is; counts that came in float32 round sooner.
    flat = amplitude <= 16 * rounding * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    return np.where(flat, np.nan, phase), amplitude


def _floating(counts):
    return getattr(getattr(counts, "dtype", None), "kind", "") == "f"


def _refine(coefficients, start, measure):
    """The crossing (or the highest point) of the fitted curve next to ``start``, in radians."""
    order = np.arange(1, len(coefficients) + 1).reshape(-1, *(1,) * start.ndim)

    def curve(theta):
        value = (coefficients * np.exp(1j * order * theta)).real.sum(axis=0)
        slope = (1j * order * coefficients * np.exp(1j * order * theta)).real.sum(axis=0)
        return value, slope

    # One degree is far finer than the narrowest bump of a few harmonics, so no crossing is missed.
    steps = np.deg2rad(np.arange(-180.0, 180.0, 1.0))
    values, slopes = (np.array(x) for x in zip(*(curve(start + step) for step in steps)))
    # What falls through zero: the slope at the peak, the curve itself at relaxation.
    falling = {"peak": slopes, "relaxation": values, "onset": -values}[measure]
    following = np.roll(falling, -1, axis=0)
    crosses = (falling > 0) & (following <= 0)
    away = np.abs(steps + np.deg2rad(0.5)).reshape(-1, *(1,) * start.ndim)
    cost = np.where(crosses, -values if measure == "peak" else away, np.inf)
    best = cost.argmin(axis=0)
    low = start + steps[best]
    high = low + np.deg2rad(1.0)
    # 36 halvings of a degree end below 1e-10.
    for _ in range(36):
        middle = 0.5 * (low + high)
        value, slope = curve(middle)
        positive = {"peak": slope, "relaxation": value, "onset": -value}[measure] > 0
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return 0.5 * (low + high)

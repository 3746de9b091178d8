"""Another sampling rate for arrays: the one resampler of manifests, transformers and readers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from crtkit._columns import native


def resample_leads(signals, fs_in: float, fs_out: float, *, method: str = "polyphase"):
    """Resample along the last axis to the times ``k / fs_out`` that lie inside the record.

    Parameters
    ----------
    signals : ndarray of shape (..., n_samples)
        NaN is a missing sample: output samples beside one are NaN, and no others.
    fs_in, fs_out : float
        Hz; rates are taken to 1/1000 Hz.
    method : {"polyphase", "linear"}
        ``"polyphase"``: a Kaiser low-pass (scipy's ``resample_poly``) about the straight line
        from the first to the last sample, so that an offset makes no step at the edges.
        ``"linear"``: interpolation between neighbours without a low-pass, as lvsd2026 did from
        99-221 Hz to 500 Hz; after the last sample its value is held.

    Returns
    -------
    ndarray of shape (..., ceil(n_samples * fs_out / fs_in))

    Raises
    ------
    ValueError
        An unknown method, or rates that are not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.signals import resample_leads
    >>> resample_leads(np.zeros((12, 5000)), 500, 360).shape
    (12, 3600)
    """
    signals = native(np.asarray(signals))
    if signals.dtype != np.float32:
        signals = signals.astype(np.float64, copy=False)
    if not (0 < fs_in < np.inf and 0 < fs_out < np.inf):
        raise ValueError(f"resample_leads expects rates above 0 Hz, got {fs_in!r} and {fs_out!r}.")
    # Polyphase filters need a ratio of whole numbers; decimals of a hertz are kept, noise is not.
    ratio = rational_rate(fs_out) / rational_rate(fs_in)
    if method not in ("polyphase", "linear"):
        raise ValueError(f"method must be 'polyphase' or 'linear', got {method!r}.")
    if method == "linear":
        return _linear(signals, ratio)
    if ratio == 1:
        return signals.copy()
    missing = np.isnan(signals)
    if not missing.any():
        return _polyphase(signals, ratio.numerator, ratio.denominator)
    # The low-pass would spread NaN over its whole length: bridge the gaps, and cut them out again.
    out = _polyphase(_bridged(signals, missing), ratio.numerator, ratio.denominator)
    out[_linear(missing.astype(np.float64), ratio) > 0] = np.nan
    return out


def rational_rate(rate: float) -> Fraction:
    """A rate to 1/1000 Hz: recorders write 499.99996 for 500."""
    return Fraction(float(rate)).limit_denominator(1000)


def _linear(signals: np.ndarray, ratio: Fraction) -> np.ndarray:
    n_samples = signals.shape[-1]
    n_out = -(-n_samples * ratio.numerator // ratio.denominator)
    position = np.arange(n_out) * (ratio.denominator / ratio.numerator)
    left = np.minimum(position.astype(np.intp), n_samples - 1)
    right = np.minimum(left + 1, n_samples - 1)
    weight = (position - left).astype(signals.dtype)
    return signals[..., left] * (1 - weight) + signals[..., right] * weight


def _polyphase(signals: np.ndarray, up: int, down: int) -> np.ndarray:
    from scipy.signal import resample_poly

    # resample_poly takes what lies outside as 0: only a record that begins and ends there keeps its
    # edges. About the line through both ends every record does.
    n_samples = signals.shape[-1]
    first, last = signals[..., :1], signals[..., -1:]
    slope = (last - first) / max(n_samples - 1, 1)
    line = first + slope * np.arange(n_samples, dtype=signals.dtype)
    out = resample_poly(signals - line, up, down, axis=-1)
    position = np.arange(out.shape[-1]) * (down / up)
    return out + (first + slope * position.astype(signals.dtype))


def _bridged(signals: np.ndarray, missing: np.ndarray) -> np.ndarray:
    """Signals with straight lines over their gaps; leads without any sample become 0."""
    out = signals.copy()
    times = np.arange(signals.shape[-1])
    for lead in np.ndindex(signals.shape[:-1]):
        gap = missing[lead]
        if gap.all():
            out[lead] = 0.0
        elif gap.any():
            out[lead][gap] = np.interp(times[gap], times[~gap], signals[lead][~gap])
    return out

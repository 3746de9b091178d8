"""What a record of a pool is recognised by, at another rate, gain or data type too."""

import numpy as np

from crtkit.images.pool import Fingerprints, fingerprints

_POINTS = 4096  # as many as the thumbnail of a page has
_BLOCK = 64


def signal_fingerprints(X):
    """Fingerprints of signals.

    Parameters
    ----------
    X : ndarray or Rows of shape (n_records, n_leads, n_samples) or (n_records, n_samples)

    Returns
    -------
    Fingerprints
        ``exact`` is a sha256 of the samples; ``perceptual`` the z-scores of each lead, averaged
        over equal parts of the record and cut at 4 standard deviations, as 4,096 bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.neural.ecgfm.pool import signal_fingerprints
    >>> signal_fingerprints(np.random.default_rng(0).normal(size=(3, 12, 1000))).perceptual.shape
    (3, 4096)
    """
    prints, _, _ = fingerprints(X)
    looks = [_looks(X[start : start + _BLOCK]) for start in range(0, len(X), _BLOCK)]
    return Fingerprints(prints.exact, np.concatenate(looks), kind="record")


def _looks(block):
    x = np.asarray(block, dtype=np.float64)
    x = x[:, None] if x.ndim == 2 else x
    n_leads = x.shape[1]
    n_parts = max(1, _POINTS // n_leads)
    edges = np.linspace(0, x.shape[2], n_parts + 1)
    total = np.concatenate([np.zeros((*x.shape[:2], 1)), x.cumsum(-1)], axis=-1)
    # The running sum between samples is a straight line: parts need not be whole samples.
    low = np.minimum(edges.astype(int), x.shape[2] - 1)
    at = total[..., low] + (edges - low) * x[..., low]
    parts = np.diff(at, axis=-1)
    # Sums are rounded: what that leaves of a constant lead would be all that it is known by.
    flat = (x == x[..., :1]).all(-1)
    parts -= parts.mean(-1, keepdims=True)
    parts[flat] = 0.0
    sd = parts.std(-1, keepdims=True)
    z = np.clip(parts / np.where(sd > 0, sd, 1.0), -4, 4).reshape(len(x), -1)
    out = np.full((len(x), _POINTS), 128, dtype=np.uint8)
    out[:, : z.shape[1]] = np.round((z[:, :_POINTS] + 4) * (255 / 8))
    return out

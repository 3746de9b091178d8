"""STFTTransformer against scipy.signal.spectrogram on records of 12 x 5000 samples, one core.

Goals
-----
``STFTTransformer.transform`` (Hann window of 512, hop 32, magnitude, frames inside the record,
validation included) at least 1.5 times as fast as ``scipy.signal.spectrogram`` called record by
record with the same window and hop, ``mode="magnitude"`` and scipy's other defaults; the same
values within 1e-5 of the largest. scipy's default also takes the mean off each frame, so the same
call with ``detrend=False``, which is what the values are compared with, is timed beside it.

Non-goals
---------
Records per second on any machine; the decibel scaling; several cores.
"""

import numpy as np
from scipy.signal import spectrogram
from threadpoolctl import threadpool_limits

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.signals import STFTTransformer

GOAL = 1.5
FS = 500
OPTIONS = {"window": "hann", "nperseg": 512, "noverlap": 480, "mode": "magnitude"}


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Four records and three rounds.

    Returns
    -------
    dict
        ``goals``; ``data``: shape, seconds, ratios, and how far the values are apart.
    """
    X = np.random.default_rng(0).standard_normal((4 if quick else 32, 12, 5000), dtype=np.float32)
    model = STFTTransformer(fs=FS, padding=None, scaling="magnitude").fit(X)
    with threadpool_limits(1):
        seconds, ratios, rounds = interleaved(
            {
                "scipy": lambda: scipy_magnitude(X),
                "scipy, detrend=False": lambda: scipy_magnitude(X, detrend=False),
                "transform": lambda: model.transform(X),
            },
            repeats=3 if quick else 15,
        )
    ours, theirs = model.transform(X), scipy_magnitude(X, detrend=False)
    # scipy's magnitude is divided by the sum of the window.
    apart = np.abs(ours / ours.max() - theirs / theirs.max()).max()
    plain = np.median(np.divide(rounds["scipy, detrend=False"], rounds["transform"]))
    return {
        "goals": {"transform": against_goal(ratios["transform"], GOAL)},
        "data": {
            "source": "Gaussian noise",
            "shape": X.shape,
            "dtype": str(X.dtype),
            "largest_relative_difference": float(apart),
            "seconds": seconds,
            "ratios": {**ratios, "transform against detrend=False": float(plain)},
            "rounds": rounds,
        },
        "seed": 0,
    }


def scipy_magnitude(X, **options):
    """The peer, record by record: a batch of all would spend its time on page faults."""
    out = None
    for i, record in enumerate(X):
        values = spectrogram(record, FS, **OPTIONS, **options)[2]
        if out is None:
            out = np.empty((len(X), *values.shape), dtype=values.dtype)
        out[i] = values
    return out

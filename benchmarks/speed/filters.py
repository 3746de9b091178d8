"""LeadFilter against two sosfiltfilt passes on records of 12 x 5000 samples, one core.

Goals
-----
High-pass 0.5 Hz and 50 Hz notch, zero phase, three seconds of padding: ``LeadFilter.transform``
(one pass of stacked sections, validation included) at least 1.8 times as fast as
``scipy.signal.sosfiltfilt`` called once for each, with the same padding. Both orders are measured:
4, as in the figure the goal comes from, and 5, the default (NeuroKit's).

Non-goals
---------
Records per second on any machine; float32 arithmetic (the recursion needs float64); several cores
(the recursion holds the interpreter lock).
"""

import numpy as np
from scipy.signal import butter, iirnotch, sosfiltfilt, tf2sos
from threadpoolctl import threadpool_limits

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.signals import LeadFilter

GOAL = 1.8
FS = 500
PADLEN = 3 * FS


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Four records and three rounds.

    Returns
    -------
    dict
        ``goals`` and ``data``, by order of the high-pass.
    """
    X = np.random.default_rng(0).standard_normal((4 if quick else 24, 12, 5000), dtype=np.float32)
    goals, data = {}, {}
    for order in (4, 5):
        model = LeadFilter(fs=FS, order=order, mains=50).fit(X)
        with threadpool_limits(1):
            seconds, ratios, rounds = interleaved(
                {
                    "two passes": lambda order=order: two_passes(X, order),
                    "transform": lambda model=model: model.transform(X),
                },
                repeats=3 if quick else 41,
            )
        apart = np.abs(model.transform(X) - two_passes(X, order))[..., FS:-FS].max()
        goals[f"order {order}"] = against_goal(ratios["transform"], GOAL)
        data[f"order {order}"] = {
            "source": "Gaussian noise",
            "shape": X.shape,
            "dtype": str(X.dtype),
            "largest_difference_inside": float(apart),
            "seconds": seconds,
            "ratios": ratios,
            "rounds": rounds,
        }
    return {"goals": goals, "data": data, "seed": 0}


def two_passes(X, order):
    """The peer."""
    highpass = butter(order, 0.5, "highpass", fs=FS, output="sos")
    notch = tf2sos(*iirnotch(50, 30, fs=FS))
    return sosfiltfilt(notch, sosfiltfilt(highpass, X, padlen=PADLEN), padlen=PADLEN)

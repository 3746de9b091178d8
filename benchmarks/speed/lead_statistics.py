"""LeadStatistics against five plain numpy calls on (400, 12, 10000) float32, one core.

Goals
-----
``LeadStatistics.transform``, validation included, at least 5 times as fast on Gaussian noise and 3
times on ECG, with the same bits. ``numpy.median`` is most of the cost and is itself faster on ECG
(ties, order), so both are measured.

Non-goals
---------
Records per second on any machine; several cores (a fit of a study has one); ``fit``, which
validates X once more, is reported without a goal.
"""

import os

import numpy as np
from scipy.signal import resample_poly
from threadpoolctl import threadpool_limits

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved

GOALS = {"noise": 5.0, "ecg": 3.0}
SHAPE = (400, 12, 10000)


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        40 records and three rounds.

    Returns
    -------
    dict
        ``goals``: per data set the goal, the ratio, whether it was met; ``data``: what was timed,
        seconds, ratios, and whether the bits were equal.
    """
    shape = (40 if quick else SHAPE[0], *SHAPE[1:])
    goals, data = {}, {}
    with threadpool_limits(1):
        for name, make in {"noise": _noise, "ecg": _ecg}.items():
            X, source = make(shape)
            seconds, ratios, rounds = interleaved(_contestants(X), repeats=3 if quick else 9)
            goals[name] = against_goal(ratios["transform"], GOALS[name])
            data[name] = {
                "source": source,
                "shape": X.shape,
                "dtype": str(X.dtype),
                "bit_equal": np.array_equal(
                    five_numpy_calls(X).view(np.uint32),
                    ck.LeadStatistics().fit_transform(X).view(np.uint32),
                ),
                "seconds": seconds,
                "ratios": ratios,
                "rounds": rounds,
            }
    return {"goals": goals, "data": data, "seed": 0}


def _contestants(X):
    fitted = ck.LeadStatistics().fit(X[:1])
    return {
        "numpy": lambda: five_numpy_calls(X),
        "transform": lambda: fitted.transform(X),
        "fit_transform": lambda: ck.LeadStatistics().fit_transform(X),
    }


def five_numpy_calls(X):
    """The peer."""
    calls = (np.mean, np.std, np.min, np.max, np.median)
    return np.stack([call(X, axis=-1) for call in calls], axis=-1).reshape(len(X), -1)


def _noise(shape):
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32), "Gaussian noise"


def _ecg(shape):
    """ECG at twice 500 Hz, repeated to the wanted number of records."""
    if os.environ.get("CRTKIT_DATA"):
        cohort = ck.datasets.load_physionet(label="sinus rhythm", duration=10.0, fs=500.0)
        source = "PhysioNet Challenge 2021 records"
    else:
        cohort = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=0)
        source = "simulated (mori2025)"
    signals = np.asarray(ck.Select("signal").fit_transform(cohort.X[:100]), dtype=np.float64)
    signals = resample_poly(signals[..., :5000], 2, 1, axis=-1).astype(np.float32)
    X = np.resize(signals, shape)  # repeats whole records, in order
    return X, f"{source}: {len(signals)}, upsampled from 500 to 1000 Hz, repeated"

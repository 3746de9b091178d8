"""Phase analysis of 100 patients in one call against a scipy fit a pixel.

Goals
-----
``PhaseAnalysis.transform`` on (100, 8, 12, 24) counts, validation included, at least 20 times as
fast as ``scipy.optimize.curve_fit`` of mean, amplitude and phase on every curve, with the same
phases.

Non-goals
---------
Patients per second on any machine; reading files; sampling the wall.
"""

import numpy as np
from scipy.optimize import curve_fit
from threadpoolctl import threadpool_limits

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.spect import wrap_degrees

GOAL = 20.0
FITTED = 200


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Fewer rounds.

    Returns
    -------
    dict
        ``goals``, ``seconds``, ``ratios``, ``rounds``, ``largest_gap_deg``. The peer fits 200 of
        the 28,800 curves; its time is given for all of them.
    """
    rng = np.random.default_rng(0)
    theta = 2 * np.pi * np.arange(8) / 8
    peak = rng.normal(3.5, 0.6, (100, 1, 12, 24))
    counts = 100 + 30 * np.cos(theta.reshape(1, 8, 1, 1) - peak) + rng.normal(0, 3, peak.shape)
    counts = counts.astype(np.float32)
    curves = np.moveaxis(counts, 1, -1).reshape(-1, 8).astype(np.float64)
    some = curves[:: len(curves) // FITTED][:FITTED]
    model = ck.PhaseAnalysis(measure="peak").fit(counts)
    with threadpool_limits(1):
        seconds, ratios, rounds = interleaved(
            {"scipy": lambda: fit_each(some, theta), "transform": lambda: model.transform(counts)},
            repeats=3 if quick else 9,
        )
    factor = len(curves) / len(some)
    mine = model.transform(counts).reshape(-1)[:: len(curves) // FITTED][:FITTED]
    return {
        "goals": {"transform": against_goal(factor * ratios["transform"], GOAL)},
        "seconds": {"scipy": factor * seconds["scipy"], "transform": seconds["transform"]},
        "rounds": rounds,
        "n_curves": len(curves),
        "n_curves_fitted_by_peer": len(some),
        "largest_gap_deg": float(np.abs(wrap_degrees(mine - fit_each(some, theta))).max()),
        "seed": 0,
    }


def fit_each(curves, theta):
    """The peer: phase of the peak in degrees, one least-squares fit a curve."""

    def wave(t, mean, a, b):
        return mean + a * np.cos(t) + b * np.sin(t)

    out = np.empty(len(curves))
    for i, curve in enumerate(curves):
        (_, a, b), _ = curve_fit(wave, theta, curve, p0=(curve.mean(), 1.0, 1.0))
        out[i] = np.rad2deg(np.arctan2(b, a)) % 360
    return out

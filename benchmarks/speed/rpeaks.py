"""R peaks of half an hour of one lead at 360 Hz, against sleepecg and NeuroKit, one core.

Goals
-----
``detect_r_peaks(method="shannon")`` takes at most twice as long as sleepecg's compiled detector (a
ratio of at least 1/2). How well each finds the peaks: ``benchmarks/rpeaks_mitbih.py``.

Non-goals
---------
Seconds per record on any machine; short recordings; several cores.
"""

import os

import numpy as np
from threadpoolctl import threadpool_limits

import crtkit as ck
from benchmarks.speed._timing import against_goal, interleaved
from crtkit.signals import detect_r_peaks

GOAL = 1 / 2
FS = 360


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        One lead and three rounds.

    Returns
    -------
    dict
        ``goals``; ``data``: source, seconds, ratios, and how many peaks each found.
    """
    leads, source = _leads(1 if quick else 6)
    detectors = {
        "sleepecg": lambda x: detect_r_peaks(x, FS, "sleepecg"),
        "shannon": lambda x: detect_r_peaks(x, FS),
        **_neurokit(),
    }
    contestants = {
        name: lambda detect=detect: [detect(x) for x in leads] for name, detect in detectors.items()
    }
    with threadpool_limits(1):
        seconds, ratios, rounds = interleaved(contestants, repeats=3 if quick else 9)
    return {
        "goals": {"shannon against sleepecg": against_goal(ratios["shannon"], GOAL)},
        "data": {
            "source": source,
            "leads": len(leads),
            "n_samples": [len(x) for x in leads],
            "n_peaks": {
                name: [len(detect(x)) for x in leads] for name, detect in detectors.items()
            },
            "seconds": seconds,
            "ratios": ratios,
            "rounds": rounds,
        },
        "seed": 0,
    }


def _neurokit():
    try:
        from neurokit2 import ecg_clean, ecg_peaks
    except ImportError:
        return {}
    return {
        "neurokit": lambda x: ecg_peaks(ecg_clean(x, sampling_rate=FS), sampling_rate=FS)[1][
            "ECG_R_Peaks"
        ]
    }


def _leads(n_leads):
    """Half-hour leads of MIT-BIH, or simulated ones where it is not given."""
    if os.environ.get("CRTKIT_DATA"):
        names = ("100", "106", "119", "201", "203", "208")[:n_leads]
        cohort = ck.datasets.load_mitbih(subset=names, lead="first")
        return [cell[0].astype(float) for cell in cohort.X["signal"]], f"MIT-BIH {', '.join(names)}"
    cohort = ck.datasets.make_cohort("he2023", n_patients=n_leads + 10, random_state=0)
    signals = np.asarray(ck.Select("signal").fit_transform(cohort.X[:n_leads]))
    fs = cohort.info["sampling_rate"]
    leads = ck.Resampler(fs_in=fs, fs_out=FS).fit_transform(signals[:, 1].astype(float))
    return [np.resize(lead, FS * 1800) for lead in leads], "simulated (he2023), lead II, repeated"

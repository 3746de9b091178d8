"""QRSMeasurements of 12 leads against NeuroKit's delineation of one, on one core.

Goals
-----
Every measurement of a ten-second record of 12 leads at 500 Hz in a fifth of the time that
NeuroKit takes to clean, find the R peaks of and delineate (``method="dwt"``, its default) one
lead of it; and at least 100 records a second.

Non-goals
---------
That what NeuroKit gives is the same: it has a lead's wave onsets beat by beat, no global QRS
duration, no median beat, no area and no criteria.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.speed._timing import against_goal, interleaved
from crtkit import QRSMeasurements
from crtkit.datasets import simulate_ecg

GOALS = {"against_neurokit_one_lead": 5.0, "records_a_second": 100.0}
FS = 500
KINDS = ("narrow", "lbbb", "rbbb", "ivcd", "paced")


def run(quick=False):
    """Measure.

    Parameters
    ----------
    quick : bool, default=False
        Five records and two rounds.

    Returns
    -------
    dict
        ``goals``: the goal, the ratio, whether it was met; ``seconds``, ``rounds``: what was
        timed, for all records; ``n_records``.

    Raises
    ------
    ImportError
        NeuroKit is not installed.
    """
    try:
        import neurokit2
    except ImportError as error:
        raise ImportError("The peer is missing: pip install neurokit2.") from error
    n_records = 5 if quick else 20
    X = np.stack(
        [
            simulate_ecg(KINDS[i % 5], 100 if i % 5 == 0 else 160, random_state=i)[0]
            for i in range(n_records)
        ]
    )
    model = QRSMeasurements(fs=FS).fit(X)

    def neurokit():
        for record in X:
            clean = neurokit2.ecg_clean(record[1].astype(float), sampling_rate=FS)
            _, peaks = neurokit2.ecg_peaks(clean, sampling_rate=FS)
            neurokit2.ecg_delineate(clean, peaks["ECG_R_Peaks"], sampling_rate=FS, method="dwt")

    with threadpool_limits(1):
        seconds, ratios, rounds = interleaved(
            {
                "neurokit, one lead": neurokit,
                "QRSMeasurements, 12 leads": lambda: model.transform(X),
            },
            repeats=2 if quick else 7,
        )
        started = time.process_time()
        model.transform(X)
        busy = time.process_time() - started
    name = "QRSMeasurements, 12 leads"
    return {
        "goals": {
            "against_neurokit_one_lead": against_goal(
                ratios[name], GOALS["against_neurokit_one_lead"]
            ),
            "records_a_second": against_goal(
                n_records / min(rounds[name]), GOALS["records_a_second"]
            ),
        },
        "n_records": n_records,
        "seconds": seconds,
        "rounds": rounds,
        "cpu_seconds": busy,
        "peer": f"neurokit2 {neurokit2.__version__}",
        "seed": 0,
    }

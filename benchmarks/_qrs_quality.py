"""Signal quality against the readers of the PhysioNet/CinC Challenge 2011."""

import numpy as np
from sklearn.metrics import roc_curve

from benchmarks._real_ecgs import read_shards
from crtkit.metrics import roc_auc
from crtkit.signals import quality_score, signal_quality, usable_records

SPECIFICITY = 0.95


def quality_against_readers(folder):
    """AUC of the score, and sensitivity of the gate, for unacceptable records.

    Parameters
    ----------
    folder : path-like
        Set A, ``cinc2011_seta``.

    Returns
    -------
    dict
    """
    signals, labels = read_shards(folder, 200)
    known = labels["quality"].isin(["acceptable", "unacceptable"]).to_numpy()
    bad = (labels["quality"] == "unacceptable").to_numpy()[known]
    table = signal_quality(signals[known], 500)
    score = quality_score(table).to_numpy()
    false_rate, sensitivity, thresholds = roc_curve(bad, -score)
    # The last cut that still passes so many acceptable records.
    at = int(np.flatnonzero(false_rate <= 1.0 - SPECIFICITY)[-1])
    flagged = ~usable_records(table)
    return {
        "n_acceptable": int((~bad).sum()),
        "n_unacceptable": int(bad.sum()),
        "auc": roc_auc(bad, -score, pos_label=True),
        "sensitivity_at_95": float(sensitivity[at]),
        "score_at_95": float(-thresholds[at]),
        "flags_sensitivity": float(flagged[bad].mean()),
        "flags_specificity": float(1.0 - flagged[~bad].mean()),
    }

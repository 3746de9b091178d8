"""Signal networks against sktime's own classifiers.

Goals
-----
An epoch of FCN and of InceptionTime at least as fast as sktime's classifier of the same network,
sizes, batch and threads, with the estimator's checks and its validation of data.

Non-goals
---------
Accuracy; other networks, which differ from FCN by their modules only.
"""

import numpy as np
import torch

from benchmarks.speed._timing import against_goal, interleaved
from crtkit.neural import FCNClassifier, InceptionTimeClassifier


def run(quick=False):
    """Measure on the CPU.

    Parameters
    ----------
    quick : bool, default=False
        Fewer and shorter records, two rounds.

    Returns
    -------
    dict
        ``goals``; ``training`` with seconds, ratios and rounds.
    """
    training = _training(*((16, 250) if quick else (64, 1000)), repeats=2 if quick else 5)
    return {
        "goals": {name: against_goal(row["ratios"]["ours"], 1.0) for name, row in training.items()},
        "threads": torch.get_num_threads(),
        "training": training,
        "seed": 0,
    }


def _training(n, n_samples, repeats):
    """Seconds of one epoch of sktime's classifiers and of ours."""
    from sktime.classification.deep_learning.fcn import FCNClassifierTorch
    from sktime.classification.deep_learning.inceptiontime import InceptionTimeClassifierTorch

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 4, n_samples)).astype("f4"), np.arange(n) % 2
    common = {"num_epochs": 1, "batch_size": 16, "random_state": 0}
    ours = {"max_epochs": 1, "batch_size": 16, "random_state": 0}
    pairs = {
        "FCN epoch": (FCNClassifierTorch, FCNClassifier),
        "InceptionTime epoch": (InceptionTimeClassifierTorch, InceptionTimeClassifier),
    }
    out = {}
    for name, (theirs, mine) in pairs.items():
        functions = {
            "sktime": lambda cls=theirs: cls(**common).fit(X, y),
            "ours": lambda cls=mine: cls(**ours).fit(X, y),
        }
        seconds, ratios, rounds = interleaved(functions, repeats)
        out[name] = {
            "shape": list(X.shape),
            "seconds": seconds,
            "ratios": ratios,
            "rounds": rounds,
        }
    return out

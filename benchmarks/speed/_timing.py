"""Times that can be compared: interleaved repeats in one process, and the ratio of each round."""

import gc
import statistics
import time


def interleaved(functions, repeats=7):
    """Time functions in turns, so that a busy machine slows all of them.

    Parameters
    ----------
    functions : dict of callable
        Name -> function without arguments; the first is the peer.
    repeats : int, default=7
        Rounds; one more runs first and is not counted.

    Returns
    -------
    seconds : dict
        Median time of each.
    ratios : dict
        Median over rounds of the peer's time divided by each other one's.
    rounds : dict
        Every time, in order.
    """
    rounds = {name: [] for name in functions}
    gc.collect()
    gc.disable()
    try:
        for counted in [False] + [True] * repeats:
            for name, function in functions.items():
                start = time.perf_counter()
                function()
                if counted:
                    rounds[name].append(time.perf_counter() - start)
    finally:
        gc.enable()
    peer, *others = rounds
    ratios = {
        name: statistics.median(a / b for a, b in zip(rounds[peer], rounds[name]))
        for name in others
    }
    return {name: statistics.median(times) for name, times in rounds.items()}, ratios, rounds


def against_goal(ratio, goal):
    """A measured ratio beside its goal."""
    return {"goal": goal, "ratio": round(ratio, 2), "met": ratio >= goal}

"""Parameters that every network has: what they may be, and how constructors keep them."""

import inspect
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

TRAINING_PARAMETERS = {
    "lr": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "schedule": [StrOptions({"cosine", "onecycle", "warmup"}), None],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    # BatchNorm cannot train on a batch of one.
    "batch_size": [Interval(Integral, 2, None, closed="left")],
    "accumulate": [Interval(Integral, 1, None, closed="left")],
    "device": [str],
    "precision": [StrOptions({"float32", "bf16", "float64"})],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def check_class_weight(class_weight, name):
    values = class_weight.values() if isinstance(class_weight, dict) else ()
    if not all(isinstance(value, Real) and 0 < value < np.inf for value in values):
        raise ValueError(
            f"{name} expects class_weight above 0 and finite, got {class_weight}. To leave a class "
            "out, leave its records out."
        )


# numpy's RandomState is what scikit-learn passes around; torch wants a number.
def draw_seed(rng):
    """A seed for torch from numpy's RandomState."""
    return int(rng.randint(np.iinfo(np.int32).max))


def store_parameters(estimator, values):
    """Keep the arguments of ``__init__`` under their names, and do nothing else.

    scikit-learn reads them from the signature, so that has to be spelled out; the twenty
    assignments below it need not be.

    Parameters
    ----------
    estimator : estimator
    values : dict
        ``locals()`` of its ``__init__``.
    """
    skipped = ("self", "__class__")
    vars(estimator).update({name: v for name, v in values.items() if name not in skipped})


def miss_groups(name, *, stacklevel) -> None:
    """Warn of early stopping without groups; refuse it where a search kept them to itself."""
    problem = (
        f"{name} got early_stopping=True but no groups: records of one patient may stand on both "
        "sides of the inner split. Pass fit(X, y, groups=patient_ids). In a search or "
        "cross_validate, groups go to the splitter alone unless two lines say more:\n"
        "    sklearn.set_config(enable_metadata_routing=True)\n"
        "    search.fit(X, y, groups=patient_ids)"
    )
    if _splitter_has_groups():
        raise ValueError(problem)
    warnings.warn(problem, UserWarning, stacklevel=stacklevel)


def _splitter_has_groups() -> bool:
    """Whether this fit runs inside a search or cross-validation that was given groups.

    Without metadata routing scikit-learn keeps them to its splitter, and a fit has no other way to
    know that there are patients. What runs in a worker process cannot be seen from there.
    """
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("sklearn.model_selection"):
            named = [frame.f_locals.get("groups")]
            params = frame.f_locals.get("params")  # a search takes groups among its **params
            if frame.f_code.co_name in ("fit", "cross_validate") and isinstance(params, dict):
                named.append(params.get("groups"))
            if any(groups is not None for groups in named):
                return True
        frame = frame.f_back
    return False

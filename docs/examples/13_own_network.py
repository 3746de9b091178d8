"""
A network of your own
=====================

Two ways to bring a torch module into the same searches, folds and tables as the published models:
one call, or a class of your own when it has parameters to search over or a loss of its own.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, GroupKFold
from torch import nn

import crtkit as ck
from crtkit.neural import TorchClassifier, wrap_module

cohort = ck.datasets.make_cohort("lvsd2026", n_patients=40, random_state=0)
signals = ck.Select("signal").fit_transform(cohort.X)
X = np.asarray(ck.Resampler(fs_in=500, fs_out=50).fit_transform(signals))

# %%
# In one call
# -----------
# A function (or class) is called in ``fit`` with the sizes that it names, under the seed of the
# estimator. Records arrive as (n_records, n_leads, n_samples) in millivolt; logits come back.


def small_network(n_leads, n_outputs, n_filters=8):
    return nn.Sequential(
        nn.Conv1d(n_leads, n_filters, kernel_size=7, padding=3),
        nn.BatchNorm1d(n_filters),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(n_filters, n_outputs),
    )


model = wrap_module(small_network, lr=1e-2, max_epochs=12, random_state=0)
model.fit(X, cohort.y, groups=cohort.groups)
print(model.predict_proba(X[:2]).round(2))

# %%
# How it learned: every network keeps its history.

loss = [row["train_loss"] for row in model.history_]
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(range(1, len(loss) + 1), loss, "o-", color="#0072B2")
ax.set(xlabel="epoch", ylabel="training loss", title="small_network (SIMULATED patients)")

# %%
# In thirty lines
# ---------------
# A subclass of ``TorchClassifier`` names its parameters in ``__init__``, as scikit-learn asks, and
# says how its module is made; training, labels, weights, patients, seeds and devices are inherited.


class SmallClassifier(TorchClassifier):
    _kind, _ndim = "signals", (2, 3)

    def __init__(
        self,
        *,
        n_filters=8,
        lr=1e-2,
        weight_decay=1e-3,
        schedule="onecycle",
        max_epochs=5,
        batch_size=32,
        accumulate=1,
        class_weight="balanced",
        early_stopping=False,
        patience=5,
        validation_fraction=0.2,
        device="cpu",
        precision="float32",
        random_state=None,
        verbose=0,
    ):
        values = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        vars(self).update(values)

    def _make_module(self, n_outputs, shape_in):
        return small_network(1 if len(shape_in) == 1 else shape_in[0], n_outputs, self.n_filters)

    def _to_input(self, batch):
        return batch[:, None] if batch.ndim == 2 else batch


search = GridSearchCV(
    SmallClassifier(random_state=0), {"n_filters": [4, 8]}, cv=GroupKFold(2), scoring="roc_auc"
)
search.fit(X, cohort.y, groups=cohort.groups)
print(search.best_params_)

# %%
# Does it keep the contract?
# --------------------------
# ``sklearn.utils.estimator_checks.parametrize_with_checks`` and
# ``crtkit.testing.parametrize_with_nd_checks`` run scikit-learn's and our checks as tests; the
# docstring of ``TorchClassifier`` lists the check that every network with BatchNorm fails, and why
# the others want ``precision="float64"``.
#
# What the network looked at is one more call. DeepLIFT sees modules only: had the network called
# ``torch.relu(x)`` instead of an ``nn.ReLU()``, the result would say so.

result = ck.explain.attribute(search.best_estimator_, X[:2], method="deeplift")
print(result.relative_error.max() < 0.01)

"""
An estimator of your own
========================

Thirty lines that keep the contract: any scikit-learn pipeline, search or fold by patient takes
them, and two decorators make sure that it stays so.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

import crtkit as ck
from crtkit.testing import nd_checks

# %%
# What is asked of it: ``__init__`` only stores; ``fit`` looks at the data and remembers the shape
# of one record; everything later is compared with it. Rows of a file that is larger than memory
# arrive here as an array. A 2-D array is one lead, and more axes than signals have are refused.
# What comes out has names (``get_feature_names_out``), so that ``set_output`` makes a table of it.


class LeadRange(TransformerMixin, BaseEstimator):
    """Height of each lead in mV, between two percentiles: signals -> (n_records, n_leads)."""

    def __init__(self, *, tail=1.0):
        self.tail = tail

    def fit(self, X, y=None):
        if not 0 <= self.tail < 50:
            raise ValueError(f"tail is a percentage below 50, got {self.tail!r}.")
        self.shape_in_ = self._checked(X, reset=True).shape[1:]
        return self

    def transform(self, X):
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        if X.shape[1:] != self.shape_in_:
            raise ValueError(f"Fitted on records of shape {self.shape_in_}, got {X.shape[1:]}.")
        low, high = np.percentile(X, [self.tail, 100 - self.tail], axis=-1)
        return (high - low).reshape(len(X), -1).astype(X.dtype)

    def _checked(self, X, reset):
        X = validate_data(self, X, reset=reset, allow_nd=True, dtype=[np.float64, np.float32])
        if X.ndim > 3:
            raise ValueError(f"Expected signals of two or three axes, got shape {X.shape}.")
        return X

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        n_leads = self.shape_in_[0] if len(self.shape_in_) == 2 else 1
        return np.array([f"range_{i}" for i in range(n_leads)], dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


# %%
# Does it keep the contract?
# --------------------------
# scikit-learn's checks send tables; ours send signals (or images, maps, spectrograms). In a test
# suite they are the decorators ``parametrize_with_checks`` and ``parametrize_with_nd_checks``.

check_estimator(LeadRange(), on_skip=None)
for estimator, check in nd_checks(LeadRange(), "signals"):
    check(estimator)

# %%
# Then it is one among ours
# -------------------------

cohort = ck.datasets.make_cohort("lvsd2026", n_patients=60, random_state=0)
model = make_pipeline(
    ck.Select("signal"), LeadRange(), StandardScaler(), LogisticRegression(max_iter=500)
)
search = GridSearchCV(
    model,
    {"leadrange__tail": [0.0, 1.0, 5.0]},
    cv=GroupKFold(3),
    scoring=ck.metrics.SCORERS,
    refit="roc_auc",
)
search.fit(cohort.X, cohort.y, groups=cohort.groups)
print(search.best_params_, round(search.best_score_, 2))

heights = search.best_estimator_[:2].transform(cohort.X)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.boxplot(heights, tick_labels=ck.signals.LEADS_12)
ax.set(ylabel="height (mV)", title="LeadRange (SIMULATED patients)")

# %%
# A file of it is loaded where both sides trust it:
# ``ck.save(model, path, trusted=["mypackage.LeadRange"])``.

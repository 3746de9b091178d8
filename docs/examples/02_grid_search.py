"""
A search over a pipeline, by patient
====================================

A pipeline is the configuration: ``GridSearchCV`` searches it, ``GroupKFold`` keeps a patient's
records together, and ``SCORERS`` holds the metrics of a clinical paper.
"""

# %%
import matplotlib.pyplot as plt
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

import crtkit as ck

cohort = ck.datasets.make_cohort("mori2025", n_patients=80, random_state=0)
model = make_pipeline(
    ck.Select("signal"),
    ck.LeadStatistics(),
    LGBMClassifier(n_estimators=30, min_child_samples=5, verbosity=-1, random_state=0),
)
search = GridSearchCV(
    model,
    {
        "leadstatistics__statistics": [("mean", "std", "min", "max", "median"), ("min", "max")],
        "lgbmclassifier__num_leaves": [3, 7],
    },
    cv=GroupKFold(5),
    scoring=ck.metrics.SCORERS,
    refit="roc_auc",
)
search.fit(cohort.X, cohort.y, groups=cohort.groups)

# %%
# Every metric of every candidate.

columns = ["params", "mean_test_roc_auc", "mean_test_sensitivity", "mean_test_specificity"]
found = pd.DataFrame(search.cv_results_)
found[columns].round(3)

# %%
# Each candidate's five folds, so that nobody takes the best of four for a discovery: the folds of
# one candidate are farther apart than the candidates are.

folds = found[[f"split{k}_test_roc_auc" for k in range(5)]].to_numpy()
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(folds.T, range(5), "o", alpha=0.0)  # the limits of the axis
for row, (values, mean) in enumerate(zip(folds, found["mean_test_roc_auc"])):
    ax.plot(values, [row] * 5, "o", color="#56B4E9", label="a fold" if row == 0 else None)
    ax.plot(mean, row, "|", color="black", markersize=18, label="mean" if row == 0 else None)
names = [
    f"{len(p['leadstatistics__statistics'])} statistics, {p['lgbmclassifier__num_leaves']} leaves"
    for p in found["params"]
]
ax.set(ylim=(-0.6, 3.6), xlabel="AUC of inner folds (SIMULATED patients)")
ax.set_yticks(range(4), names)
ax.legend(frameon=False)

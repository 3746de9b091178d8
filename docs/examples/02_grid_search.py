"""
A search over a pipeline, by patient
====================================

A pipeline is the configuration: ``GridSearchCV`` searches it, ``GroupKFold`` keeps a patient's
records together, and ``SCORERS`` holds the metrics of a clinical paper.
"""

# %%
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
pd.DataFrame(search.cv_results_)[columns]

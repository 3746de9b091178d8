import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from crtkit import Cohort, Select


@pytest.fixture
def make_table_cohort():
    """Factory: a cohort with two covariates, some patients with several records."""

    def make(n_patients=60, records=2, seed=0, labels=("no", "yes"), effect=20.0, **info):
        rng = np.random.default_rng(seed)
        truth = np.arange(n_patients) % 3 == 0
        n_records = rng.integers(1, records + 1, n_patients)
        patient = np.repeat(np.arange(n_patients), n_records)
        y = np.array(labels, dtype=object if isinstance(labels[0], str) else None)
        X = pd.DataFrame(
            {
                "qrs_duration_ms": 140 + effect * truth[patient] + rng.normal(0, 15, len(patient)),
                "lvef": rng.normal(28, 6, len(patient)),
                "male": rng.integers(0, 2, n_patients)[patient],
            }
        )
        groups = np.array([f"p{i:03d}" for i in patient], dtype=object)
        info = {"name": "toy", "source": "simulated", "best_auc": 0.83, **info}
        return Cohort(X, y[truth[patient].astype(int)], groups, info)

    return make


@pytest.fixture
def models():
    """Two quick models that read the table cohort."""
    columns = ["qrs_duration_ms", "lvef", "male"]
    return {
        "logistic": make_pipeline(Select(columns), LogisticRegression(max_iter=2000)),
        "LightGBM": make_pipeline(
            Select(columns),
            LGBMClassifier(n_estimators=15, subsample=0.7, subsample_freq=1, verbose=-1),
        ),
    }

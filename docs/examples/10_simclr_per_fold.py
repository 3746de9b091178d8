"""
SimCLR inside each fold
=======================

``ResNetClassifier(backbone=SimCLR(...))`` pretrains on the pages of each training fold, so that no
test page is ever seen. ``backbone__temperature`` can be searched; with ``memory=`` candidates that
pretrain identically do so once.
"""

# %%
# Simulated patients on report pages, small and few so that this page builds quickly.

import tempfile

import pandas as pd
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

import crtkit as ck

cohort = ck.datasets.make_cohort("mori2025", n_patients=24, modality="image", random_state=0)
pages = make_pipeline(ck.Select("image"), ck.JPEGLoader(size=(48, 64))).fit_transform(cohort.X)
cache = tempfile.mkdtemp()

# %%
# Two temperatures, two learning rates: four candidates, two pretrainings per fold.

encoder = ck.SimCLR(width=8, max_epochs=2, batch_size=8, memory=cache)
model = ck.ResNetClassifier(width=8, backbone=encoder, max_epochs=2, batch_size=8, random_state=0)
search = GridSearchCV(
    model,
    {"backbone__temperature": [0.1, 0.5], "lr": [1e-3, 1e-2]},
    cv=GroupKFold(2),
    scoring="roc_auc",
)
search.fit(pages, cohort.y, groups=cohort.groups)

# %%
# Two epochs teach nothing; the point is that it runs, and that no fold saw its test pages.

columns = ["param_backbone__temperature", "param_lr", "mean_test_score", "mean_fit_time"]
pd.DataFrame(search.cv_results_)[columns]

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

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline

import crtkit as ck
from crtkit.neural import PageAugment

cohort = ck.datasets.make_cohort("mori2025", n_patients=24, modality="image", random_state=0)
pages = make_pipeline(ck.Select("image"), ck.JPEGLoader(size=(48, 64))).fit_transform(cohort.X)
cache = tempfile.mkdtemp()

# %%
# What SimCLR contrasts: two views of a page must find each other among those of all others. Views
# of an ECG page are not mirrored, and their colours stay near those of paper.

torch.manual_seed(0)
large = ck.JPEGLoader(size=(210, 297)).fit_transform(cohort.X["image"].to_numpy()[:3])
batch = torch.tensor(large).permute(0, 3, 1, 2) / 127.5 - 1.0
figure, axes = plt.subplots(2, 3, figsize=(10, 4.6), layout="constrained")
for row in axes:
    for ax, view in zip(row, PageAugment()(batch)):
        ax.imshow((view.permute(1, 2, 0).numpy() / 2 + 0.5).clip(0, 1))
        ax.axis("off")
figure.suptitle("Two views of each of three pages (SIMULATED patients)")

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

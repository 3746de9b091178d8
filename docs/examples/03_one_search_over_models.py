"""
One search over gradient boosting and a ResNet
==============================================

A step of a pipeline can itself be searched. Pages go through the same loader; LightGBM takes their
pixels as rows, and the ResNet unflattens rows again with ``input_shape``. Groups reach both the
splitter and, with metadata routing, a model that stops early by patient.
"""

# %%
# Simulated patients, printed on report pages.

import matplotlib.pyplot as plt
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

import crtkit as ck

cohort = ck.datasets.make_cohort("mori2025", n_patients=40, modality="image", random_state=0)

# %%
# What both models see: the page as it is printed, and the 48 x 64 pixels that are left of it here.

page = ck.JPEGLoader(size=(525, 742)).fit_transform(cohort.X["image"].to_numpy()[:1])[0]
small = ck.JPEGLoader(size=(48, 64)).fit_transform(cohort.X["image"].to_numpy()[:1])[0]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, pixels, title in zip(axes, (page, small), ("printed", "as the models of this page see it")):
    ax.imshow(pixels)
    ax.set_title(title)
    ax.axis("off")

# %%
# Small pages and a narrow network, so that this page builds quickly.


def as_rows(pages):
    """Flatten pages to rows of pixels."""
    return pages.reshape(len(pages), -1)


model = Pipeline(
    [
        ("select", ck.Select("image")),
        ("load", ck.JPEGLoader(size=(48, 64))),
        ("rows", FunctionTransformer(as_rows)),
        ("clf", LGBMClassifier(n_estimators=20, min_child_samples=5, verbosity=-1)),
    ]
)
resnet = ck.ResNetClassifier(
    width=8, input_shape=(48, 64, 3), max_epochs=3, batch_size=8, random_state=0
)
search = GridSearchCV(
    model,
    {"clf": [LGBMClassifier(n_estimators=20, min_child_samples=5, verbosity=-1), resnet]},
    cv=GroupKFold(3),
    scoring="roc_auc",
)
search.fit(cohort.X, cohort.y, groups=cohort.groups)

# %%
# One row a candidate. Three epochs on 26 pages prove nothing of either; the point is that both run.

table = pd.DataFrame(search.cv_results_)
table["model"] = [type(candidate).__name__ for candidate in table["param_clf"]]
table[["model", "mean_test_score", "std_test_score", "mean_fit_time"]]

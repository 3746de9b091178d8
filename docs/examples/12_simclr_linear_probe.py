"""
What SimCLR learned: a linear probe
===================================

The embeddings of a frozen encoder, and a linear model on them, tell how much of the label
pretraining has already sorted out. ``SimCLR`` is a transformer, so the probe is a pipeline; or
``ResNetClassifier(finetune=False)`` trains the network's own linear head.
"""

# %%
# Pretrain once on the pages of other patients.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck

loader = make_pipeline(ck.Select("image"), ck.JPEGLoader(size=(48, 64)))
pool = ck.datasets.make_cohort("mori2025", n_patients=16, modality="image", random_state=1)
cohort = ck.datasets.make_cohort("mori2025", n_patients=24, modality="image", random_state=0)
encoder = ck.SimCLR(width=8, max_epochs=2, batch_size=8, random_state=0)
frozen = FrozenEstimator(encoder.fit(loader.fit_transform(pool.X)))
pages = loader.fit_transform(cohort.X)

# %%
# The embeddings of the cohort in two dimensions, by label. What a linear probe could use would be
# seen as two clouds; sixteen pages and two epochs make none.

embedded = PCA(2).fit_transform(frozen.transform(pages))
figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
for label, colour in ((0, "#D55E00"), (1, "#0072B2")):
    rows = cohort.y == label
    name = "response" if label else "no response"
    ax.plot(*embedded[rows].T, "o", color=colour, label=name, alpha=0.8)
ax.set(xlabel="first component", ylabel="second", title="Frozen SimCLR (SIMULATED patients)")
ax.legend(frameon=False)

# %%
# Two probes of the same embeddings.

probes = {
    "logistic regression": make_pipeline(frozen, StandardScaler(), LogisticRegression(C=0.1)),
    "linear head": ck.ResNetClassifier(
        width=8, backbone=frozen, finetune=False, max_epochs=5, batch_size=8, random_state=0
    ),
}
pd.DataFrame(
    {
        name: cross_val_score(
            probe, pages, cohort.y, groups=cohort.groups, cv=GroupKFold(2), scoring="roc_auc"
        )
        for name, probe in probes.items()
    }
)

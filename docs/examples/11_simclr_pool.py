"""
SimCLR once, on a pool of its own
=================================

Unlabelled pages from elsewhere are pretrained on once; ``FrozenEstimator`` hands the encoder to
every fold, where a copy of it is fine-tuned. Nobody but :func:`~crtkit.evaluation.check_pool` can
see whether that pool held pages of the test patients.
"""

# %%
# A pool of files is streamed: it may be larger than memory. ``groups`` are remembered. The dashed
# line is the loss of an encoder for which all pages of a batch are alike; six epochs on two dozen
# pages get hardly below it, and thousands of pages are what pretraining is for.

import math

import matplotlib.pyplot as plt
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

import crtkit as ck

pool = ck.datasets.make_cohort("mori2025", n_patients=24, modality="image", random_state=1)
paths = ck.Select("image").fit_transform(pool.X)
patients = [f"other hospital {group}" for group in pool.groups]
encoder = ck.SimCLR(
    width=8, size=(48, 64), max_epochs=6, batch_size=12, temperature=0.5, random_state=0
)
encoder.fit(paths, groups=patients)
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.plot(range(1, len(encoder.loss_curve_) + 1), encoder.loss_curve_, "o-", color="#0072B2")
ax.axhline(math.log(2 * 12 - 1), color="0.5", linestyle="--", label="every view is as near")
ax.set(xlabel="epoch", ylabel="NT-Xent loss", title="Pretraining on a pool (SIMULATED pages)")
ax.set_ylim(3.1, None)
ax.legend(frameon=False)

# %%
# The study's cohort: no page of it, and no patient, is in the pool. Two strangers' pages of 48 by
# 64 pixels may look alike, of which it warns.

cohort = ck.datasets.make_cohort("mori2025", n_patients=24, modality="image", random_state=0)
pages = make_pipeline(ck.Select("image"), ck.JPEGLoader(size=(48, 64))).fit_transform(cohort.X)
ck.evaluation.check_pool(encoder, pages, groups=cohort.groups)

# %%
# Fine-tuned in each fold, from the same start.

model = ck.ResNetClassifier(
    width=8, backbone=FrozenEstimator(encoder), max_epochs=2, batch_size=8, random_state=0
)
cross_val_score(model, pages, cohort.y, groups=cohort.groups, cv=GroupKFold(2), scoring="roc_auc")

# %%
# A page that was pretrained on is refused, also when it was saved again.

try:
    ck.evaluation.check_pool(encoder, paths[:2], groups=["a", "b"])
except ck.evaluation.PoolLeakError as error:
    print(f"{len(error.leaks)} leaks, the first: {error.leaks[0][2]}")

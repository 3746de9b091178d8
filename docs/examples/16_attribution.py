"""
What a network of signals looked at
===================================

Integrated gradients share a network's answer out over samples and leads, and say by how much they
miss it. The network is small and the patients simulated: the picture shows the form, and no
mechanism.
"""

# %%
# A network that tells left bundle branch block from the rest: here the truth is known.

import matplotlib.pyplot as plt
import numpy as np

import crtkit as ck
from crtkit import explain

cohort = ck.datasets.make_cohort("mori2025", n_patients=60, random_state=0)
signals = ck.Select("signal").fit_transform(cohort.X)
X = np.asarray(ck.Resampler(fs_in=500, fs_out=100).fit_transform(signals))[..., :1000]
block = cohort.X["lbbb"].to_numpy()
network = ck.FCNClassifier(n_filters=(8, 16, 8), max_epochs=15, lr=1e-2, random_state=0)
network.fit(X, block, groups=cohort.groups)
result = explain.attribute(network, X, method="integrated_gradients", n_steps=16)
print(f"largest completeness error: {result.relative_error.max():.1%} of the answer")

# %%
# One record as on the page: red speaks for LBBB, blue against it.

example = int(np.flatnonzero(block == 1)[0])
result.plot(example, fs=100, name="SIMULATED patient")

# %%
# Shares of the waves over all patients, beside the time that each wave takes: attribution that is
# blind to waves would have the two equal.

# sphinx_gallery_thumbnail_number = 2
waves = explain.wave_share(result.maps, X, 100, groups=cohort.groups)
figure, ax = plt.subplots(figsize=(5, 3), layout="constrained")
place = np.arange(len(waves))
ax.barh(place, waves["share"], color="#0072B2", height=0.4, label="of the attribution")
ax.barh(place + 0.4, waves["time"], color="0.8", height=0.4, label="of the time")
ax.errorbar(
    waves["share"],
    place,
    xerr=[waves["share"] - waves["ci_low"], waves["ci_high"] - waves["share"]],
    fmt="none",
    color="black",
)
ax.set_yticks(place + 0.2, waves.index)
ax.invert_yaxis()
ax.set_xlabel("share (SIMULATED patients)")
ax.legend(frameon=False, fontsize=8)
waves.round(3)

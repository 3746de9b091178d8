"""
Beats as spectrograms
=====================

he2023 turns the beat of each lead into a picture and lets a network for photographs read it. These
are the steps on the way, each a transformer. The patients are simulated.
"""

# %%
# Two patients, with and without left bundle branch block: one beat of V1, as the network gets it.

import matplotlib.pyplot as plt
import numpy as np

import crtkit as ck
from crtkit.studies import he2023

cohort = ck.datasets.make_cohort("he2023", n_patients=40, random_state=0)
signals = ck.Select("signal").fit_transform(cohort.X)
at_360 = ck.Resampler(fs_in=500, fs_out=360).fit_transform(signals)
beats = np.asarray(he2023.representative_beats(at_360))
block = cohort.X["lbbb"].to_numpy() == 1
pair = [np.flatnonzero(block)[0], np.flatnonzero(~block)[0]]
spectrograms = np.asarray(ck.STFTTransformer(fs=360).fit_transform(beats[pair]))
beats.shape, spectrograms.shape

# %%
# Above, the beat; below, its spectrogram up to 45 Hz. A wide QRS has its power lower.

figure, axes = plt.subplots(2, 2, figsize=(8, 5), layout="constrained", sharex="row")
v1 = ck.signals.LEADS_12.index("V1")
t = np.arange(beats.shape[-1]) / 360
for column, (row, title) in enumerate(zip(pair, ("LBBB", "no LBBB"))):
    axes[0, column].plot(t, beats[row, v1], color="black", linewidth=1)
    axes[0, column].set(title=f"{title}, V1", xlabel="s")
    shown = spectrograms[column, v1][: 65 * spectrograms.shape[2] // 257]
    axes[1, column].imshow(
        shown, origin="lower", aspect="auto", extent=(0, t[-1], 0, 45), vmin=-60, vmax=0
    )
    axes[1, column].set(xlabel="s")
axes[0, 0].set_ylabel("mV")
axes[1, 0].set_ylabel("Hz")
figure.suptitle("SIMULATED patients")

# %%
# All twelve leads as one picture, which is what ResNet reads.

images = ck.SpectrogramImager(size=(192, 256), db_range=(-60.0, 0.0)).fit_transform(spectrograms)
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for ax, image, title in zip(axes, images, ("LBBB", "no LBBB")):
    ax.imshow(image)
    ax.set_title(f"{title} (SIMULATED)")
    ax.axis("off")

"""
SPECT: from counts to phase, its spread and 17 segments
=======================================================

Gated short-axis slices in, the onset of contraction of each piece of wall out: as a polar map, as
the histogram that gives phase SD and bandwidth, and by segment. The ventricles are simulated.
"""

# %%
# Two ventricles: one contracts together, in the other the lateral wall is late.

import matplotlib.pyplot as plt

import crtkit as ck
from crtkit import spect


def phase_map(**heart):
    """Polar map of phases of a simulated ventricle."""
    stack, truth = ck.datasets.simulate_gated_spect(n_frames=16, random_state=0, **heart)
    ventricle = spect.find_ventricle(stack, spacing=truth["spacing"])
    counts = spect.sample_polar_maps(
        stack, ventricle, n_rings=12, n_sectors=24, spacing=truth["spacing"]
    )
    return spect.phase_and_amplitude(counts, axis=0)[0]


together, late = phase_map(psd_deg=12.0), phase_map(psd_deg=50.0, lbbb=1)
figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
spect.plot_polar_map(together, ax=axes[0], title="Together")
spect.plot_polar_map(late, ax=axes[1], title="Lateral wall late")
figure.suptitle("SIMULATED ventricles")

# %%
# The histograms of phase: SD and bandwidth are what cardiologists read.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained", sharey=True)
for ax, phase, title in zip(axes, (together, late), ("Together", "Lateral wall late")):
    spect.plot_phase_histogram(phase.ravel(), ax=ax, title=title)
figure.suptitle("SIMULATED ventricles")

# %%
# By the segments of the American Heart Association.

spect.plot_segments(late, title="Lateral wall late (SIMULATED)")

# %%
# The same as columns, for a table or a pipeline.

ck.PhaseStatistics().set_output(transform="pandas").fit_transform([together, late]).round(1)

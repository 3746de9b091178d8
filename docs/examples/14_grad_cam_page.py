"""
Grad-CAM on the printed page
============================

A map over the whole page in full resolution, with the boxes and names of the leads. The network is
tiny and the patients are simulated: the picture shows the form, and says nothing about CRT.
"""

# %%
# Pages, and a network that is fitted to them.

import matplotlib.pyplot as plt
import numpy as np

import crtkit as ck
from crtkit.explain import grad_cam, lead_share, plot_grad_cam, read_boxes
from crtkit.images import render_page

cohort = ck.datasets.make_cohort("mori2025", n_patients=24, random_state=0)
pages = [render_page(np.asarray(signal), fs=500, px_per_mm=5)[0] for signal in cohort.X["signal"]]
small = ck.JPEGLoader(size=(96, 136)).fit_transform(np.stack(pages))
network = ck.ResNetClassifier(width=8, max_epochs=2, random_state=0).fit(small, cohort.y)
maps = grad_cam(network, small[:2], stage="layer3", target=1)

# %%
# Does the layout fit? A preview without a map. ``read_boxes`` finds the boxes on the page itself,
# for pages that no layout describes.

boxes = read_boxes(pages[0])
plot_grad_cam(pages[0], layout=boxes, record="preview", simulated=True)

# %%
# The map, on one scale for both pages.

figure, axes = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
for ax, page, heat, name in zip(axes, pages, maps, cohort.groups):
    plot_grad_cam(
        page, heat, layout=boxes, record=name, target=1, limit=maps.max(), simulated=True, ax=ax
    )

# %%
# What share of each map lies in which lead, and how much of it on none.

lead_share(maps, boxes).relative.round(2)

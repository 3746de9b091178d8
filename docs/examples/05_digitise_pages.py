"""
Pages to signals: good, doubtful, refused
=========================================

``ECGDigitizer`` reads printed ECGs back into millivolt. What it read is laid over the page it was
read from: green where it is sure, orange where it is not, red where it refuses. The patients are
simulated.
"""

# %%
# A clean page at 200 dpi. Scale, layout and rhythm lead are found, nothing is stated.

import numpy as np

import crtkit as ck
from crtkit.images import digitize_page, plot_digitised, render_page, spoil

cohort = ck.datasets.make_cohort("mori2025", n_patients=4, random_state=0)
signal = cohort.X["signal"].iloc[0][:, :5000]
page, truth = render_page(signal, fs=500, px_per_mm=7.874, header="SIMULATED, ID 0001")
reading = digitize_page(page)
plot_digitised(page, reading)

# %%
# How far it is from what was printed: signal-to-noise ratio in dB of each lead, as it comes.

for lead, read, printed in zip(ck.signals.LEADS_12, reading.signal, signal):
    seen = np.isfinite(read)
    error = ((read - printed)[seen] ** 2).sum()
    print(f"{lead:4s} {10 * np.log10((printed[seen] ** 2).sum() / error):5.1f} dB")

# %%
# The same page photographed at a slant, creased, in shadow, at 90 dpi: read all the same.

dials = {
    **{"perspective": 0.04, "crease": 0.6, "shadow": 0.5},
    **{"low_resolution": 0.45, "blur": 0.6, "speckle": 0.05, "jpeg": 40},
}
photograph = spoil(page, dials, random_state=1)
slanted = digitize_page(photograph)
plot_digitised(photograph, slanted)

# %%
# Doubtful: at 20 mm/mV complexes of the strips of V1 and II run into each other. What belongs to
# which cannot be told, so both leads stay blank; the others are kept, with less confidence.

other = cohort.X["signal"].iloc[1][:, :5000]
crowded, _ = render_page(
    other, fs=500, px_per_mm=7.874, layout="3x4+V1+II+V5", gain=20.0, header="SIMULATED, ID 0002"
)
doubtful = digitize_page(crowded)
plot_digitised(crowded, doubtful)

# %%
# Leads in another order than the layout says: each trace is followed well, but I + III is not II.
# Refused: the signal of such a page is NaN, its reason is a sentence.

mixed = signal[[6, 3, 8, 1, 10, 0, 2, 9, 4, 11, 7, 5]]
wrong, _ = render_page(mixed, fs=500, px_per_mm=7.874, header="SIMULATED")
refused = digitize_page(wrong)
plot_digitised(wrong, refused)

# %%
# One bad lead need not lose a page: a person may state the scale or the layout, or put a trace in.

corrected = reading.replace("V5", np.zeros(5000))
corrected.confidence["V5"]

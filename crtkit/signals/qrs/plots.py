"""Pictures of the median beat and of the vector loop."""

from typing import TYPE_CHECKING

import numpy as np

from crtkit._leads import LEADS_12, LIMB_FROM_I_II, check_lead_names
from crtkit._plots import pyplot
from crtkit.signals.qrs.delineate import QRSBounds, qrs_bounds
from crtkit.signals.qrs.shapes import lead_waves
from crtkit.signals.qrs.vcg import complete_limb_leads, kors_vcg, wave_area

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK, _MARK, _NOTCH, _QUIET = "#1b2a41", "#c1121f", "#e09f3e", "#b8c0cc"


def plot_median_beat(result, lead_names=LEADS_12, *, simulated=False, axes=None) -> "Figure":
    """Draw the median beat of every lead, with QRS onset and offset, notches and slurs.

    Parameters
    ----------
    result : MedianBeat
        From :func:`median_beat`.
    lead_names : sequence of str, default=LEADS_12
    simulated : bool, default=False
        Say in the title that the record is simulated.
    axes : array of Axes, optional
        One for each lead; by default a new figure of 3 x 4.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        There is no beat to draw, or another number of leads than of names.

    Examples
    --------
    >>> from crtkit.datasets import simulate_ecg
    >>> from crtkit.signals import median_beat, plot_median_beat
    >>> signal, _ = simulate_ecg("lbbb", 164, random_state=0)
    >>> figure = plot_median_beat(median_beat(signal, 500), simulated=True)
    >>> len(figure.axes)
    12
    """
    if result.reason:
        raise ValueError(f"plot_median_beat has no beat to draw: {result.reason}.")
    # Fewer leads under the default names would be drawn as I, II, III, ... without a word.
    lead_names = check_lead_names(lead_names, len(result.beat))
    plt = pyplot("A picture of beats")
    beat, fs = result.beat, result.fs
    if axes is None:
        rows = int(np.ceil(len(beat) / 4))
        _, axes = plt.subplots(
            rows,
            min(4, len(beat)),
            sharex=True,
            figsize=(11, 2.3 * rows),
            squeeze=False,
            layout="constrained",
        )
        # Lead by column, as a page is printed: I, II, III under one another.
        axes = axes.T.ravel() if len(beat) == 12 else axes.ravel()
    axes = np.ravel(axes)
    bounds = _bounds(result, lead_names)
    times = (np.arange(beat.shape[1]) - result.fiducial) / fs * 1000.0
    edges = (np.array([bounds.onset, bounds.offset]) - result.fiducial) / fs * 1000.0
    noise = 1.1 * 1.4826 * np.nanmedian(np.abs(np.nan_to_num(result.residual)), axis=1)
    for lead, name, sigma, axis in zip(beat, lead_names, noise, axes):
        axis.axhline(0.0, color=_QUIET, lw=0.6)
        axis.plot(times, lead, color=_INK, lw=1.3)
        axis.set_title(name, loc="left", fontsize=9, fontweight="bold", pad=2)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
        if np.isnan(edges).any() or np.isnan(lead).any():
            continue
        axis.axvspan(*edges, color=_MARK, alpha=0.08, lw=0)
        for edge in edges:
            axis.axvline(edge, color=_MARK, lw=0.8)
        waves = lead_waves(lead, fs, bounds.onset, bounds.offset, noise=sigma)
        for times_ms, marker in ((waves.notches, "v"), (waves.slurs, "d")):
            at = np.array(times_ms) + edges[0]
            axis.plot(at, np.interp(at, times, lead), marker, color=_NOTCH, mec=_INK, mew=0.5, ms=6)
    figure = axes[0].figure
    figure.supxlabel("ms from the fiducial", fontsize=9)
    figure.supylabel("mV", fontsize=9)
    figure.suptitle(
        f"{'Simulated record: m' if simulated else 'M'}edian of {result.n_used} of "
        f"{len(result.positions)} beats, QRS {np.diff(edges)[0]:.0f} ms"
        " (triangle: notch, diamond: slur)",
        fontsize=10,
    )
    return figure


def plot_vector_loop(result, lead_names=LEADS_12, *, simulated=False, axes=None) -> "Figure":
    """Draw the QRS loop of the Kors vectorcardiogram in three planes, with its area vector.

    Parameters
    ----------
    result : MedianBeat
        From :func:`median_beat`.
    lead_names : sequence of str, default=LEADS_12
        Must give I, II and V1 to V6.
    simulated : bool, default=False
        Say in the title that the record is simulated.
    axes : sequence of three Axes, optional

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        There is no beat, no QRS complex, a lead is missing, or names do not fit the leads.

    Examples
    --------
    >>> from crtkit.datasets import simulate_ecg
    >>> from crtkit.signals import median_beat, plot_vector_loop
    >>> signal, _ = simulate_ecg("lbbb", 164, random_state=0)
    >>> figure = plot_vector_loop(median_beat(signal, 500), simulated=True)
    >>> [axis.get_title() for axis in figure.axes]
    ['Frontal', 'Horizontal', 'Left sagittal']
    """
    if result.reason:
        raise ValueError(f"plot_vector_loop has no QRS complex to draw: {result.reason}.")
    lead_names = check_lead_names(lead_names, len(result.beat))
    bounds = _bounds(result, lead_names)
    if bounds.reason:
        raise ValueError(f"plot_vector_loop has no QRS complex to draw: {bounds.reason}.")
    vcg = kors_vcg(complete_limb_leads(result.beat, lead_names))
    if np.isnan(vcg).any():
        raise ValueError("plot_vector_loop needs the leads I, II and V1 to V6; one is missing.")
    plt = pyplot("A picture of beats")
    if axes is None:
        _, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    area = wave_area(vcg, result.fs, bounds.onset, bounds.offset)
    loop = vcg[:, int(bounds.onset) : int(np.ceil(bounds.offset)) + 1]
    reach = 1.08 * np.abs(loop).max()
    arrow = area / np.linalg.norm(area) * 0.9 * reach
    # Seen from the front, from above and from the left, as cardiologists do.
    planes = (
        ("Frontal", 0, 1, "X: left", "Y: down"),
        ("Horizontal", 0, 2, "X: left", "Z: back"),
        ("Left sagittal", 2, 1, "Z: back", "Y: down"),
    )
    for axis, (title, across, along, x_label, y_label) in zip(np.ravel(axes), planes):
        axis.axhline(0.0, color=_QUIET, lw=0.6)
        axis.axvline(0.0, color=_QUIET, lw=0.6)
        axis.plot(loop[across], loop[along], color=_INK, lw=1.3)
        step = max(1, round(0.01 * result.fs))
        axis.plot(loop[across, ::step], loop[along, ::step], ".", color=_INK, ms=4)
        axis.annotate(
            "",
            (arrow[across], arrow[along]),
            (0, 0),
            arrowprops={"arrowstyle": "-|>", "color": _MARK, "lw": 1.8},
        )
        axis.set(xlim=(-reach, reach), aspect="equal", title=title)
        # Y points down and Z back: the back of a horizontal loop is drawn at the top.
        axis.set_ylim((reach, -reach) if along == 1 else (-reach, reach))
        axis.set_xlabel(f"{x_label} (mV)", fontsize=8)
        axis.set_ylabel(f"{y_label} (mV)", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure = np.ravel(axes)[0].figure
    figure.suptitle(
        f"{'Simulated record: ' if simulated else ''}QRS area {np.linalg.norm(area):.0f} µVs "
        "(arrow: its direction; dots every 10 ms)",
        fontsize=10,
    )
    return figure


def _bounds(result, lead_names) -> QRSBounds:
    """The bounds that are measured: with the names, noise of one electrode counts once."""
    limb = [name in LIMB_FROM_I_II for name in lead_names]
    return qrs_bounds(result.beat, result.fs, result.fiducial, result.residual, limb=limb)

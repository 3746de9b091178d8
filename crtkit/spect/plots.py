"""Pictures of phase: polar map, histogram, 17 segments. They need matplotlib."""

import numpy as np

from crtkit._plots import pyplot
from crtkit.spect.circular import circular_mean, phase_bandwidth, phase_histogram, phase_moments
from crtkit.spect.segments import AHA_SEGMENTS, aha_segments


def plot_polar_map(values, *, ax=None, circular=True, first_angle=0.0, title=None):
    """Draw a polar map: apex in the middle, anterior wall on top, septum on the left.

    Parameters
    ----------
    values : array-like of shape (n_rings, n_sectors)
        Phases in degrees, or anything with ``circular=False``. NaN is grey.
    ax : matplotlib Axes, default=None
    circular : bool, default=True
        A cyclic colour map over 0 to 360.
    first_angle : float, default=0.0
        Where sector 0 begins, in degrees.
    title : str, default=None

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Values that are not of two dimensions.

    Examples
    --------
    >>> from crtkit.spect import plot_polar_map
    >>> ax = plot_polar_map(maps[0])  # doctest: +SKIP
    """
    plt = pyplot("Drawing pictures")
    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"plot_polar_map expects (n_rings, n_sectors), got {values.shape}.")
    ax = plt.subplots(figsize=(4.2, 3.8))[1] if ax is None else ax
    # Several corners a sector, so that rings are round.
    values = np.repeat(values, -(-180 // values.shape[1]), axis=1)
    n_rings, n_sectors = values.shape
    radius = np.arange(n_rings + 1) / n_rings
    theta = np.deg2rad(first_angle + np.arange(n_sectors + 1) * 360.0 / n_sectors)
    x, y = np.outer(radius, np.cos(theta)), np.outer(radius, np.sin(theta))
    colours = plt.get_cmap("twilight_shifted" if circular else "viridis")
    colours = colours.with_extremes(bad="0.7")
    limits = {"vmin": 0, "vmax": 360} if circular else {}
    mesh = ax.pcolormesh(x, y, np.ma.masked_invalid(values), cmap=colours, **limits)
    ax.set_aspect("equal")
    ax.set_axis_off()
    for text, at in (("anterior", (0, 1.08)), ("inferior", (0, -1.08))):
        ax.text(*at, text, ha="center", va="center", fontsize=8)
    ax.text(-1.06, 0, "septal", ha="center", va="center", rotation=90, fontsize=8)
    ax.text(1.06, 0, "lateral", ha="center", va="center", rotation=270, fontsize=8)
    ticks = {"ticks": [0, 90, 180, 270, 360]} if circular else {}
    bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.75, pad=0.09, **ticks)
    bar.set_label("phase (degrees)" if circular else "value", fontsize=8)
    ax.set_title(title or "", fontsize=10, pad=18)
    return ax


def plot_phase_histogram(phase, *, ax=None, bin_width=6.0, coverage=0.95, title=None):
    """Draw the phase histogram with its mean, SD and bandwidth.

    Parameters
    ----------
    phase : array-like
        Degrees; NaN is left out.
    ax : matplotlib Axes, default=None
    bin_width : float, default=6.0
    coverage : float, default=0.95
    title : str, default=None

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        ``bin_width`` does not divide 360.

    Examples
    --------
    >>> from crtkit.spect import plot_phase_histogram
    >>> ax = plot_phase_histogram(maps[0])  # doctest: +SKIP
    """
    plt = pyplot("Drawing pictures")
    phase = np.asarray(phase, dtype=float).ravel()
    ax = plt.subplots(figsize=(4.8, 3.2))[1] if ax is None else ax
    counts = phase_histogram(phase, bin_width)
    share = 100.0 * counts / max(counts.sum(), 1)
    ax.bar(np.arange(len(share)) * bin_width, share, width=bin_width, align="edge", color="#4a6fa5")
    _, sd, _, _ = phase_moments(phase)
    width, start = phase_bandwidth(phase, coverage)
    if not np.isnan(width):
        # The arc may cross 0 and is then drawn in two pieces.
        for low, high in ((start, min(start + width, 360)), (0, start + width - 360)):
            if high > low:
                ax.axvspan(low, high, color="#d98e04", alpha=0.18, lw=0)
    ax.set_xlim(0, 360)
    ax.set_xticks(np.arange(0, 361, 60))
    ax.set_xlabel("phase (degrees)")
    ax.set_ylabel("cells (%)")
    figures = f"PSD {sd:.1f}°, PBW {width:.0f}° (shaded)"
    ax.set_title(f"{title}\n{figures}" if title else figures, fontsize=9)
    return ax


def plot_segments(phase, *, ax=None, first_angle=0.0, title=None):
    """Draw the mean phase of the 17 AHA segments.

    Parameters
    ----------
    phase : array-like of shape (n_rings, n_sectors)
        Degrees; NaN is left out.
    ax : matplotlib Axes, default=None
    first_angle : float, default=0.0
        Where sector 0 begins, in degrees.
    title : str, default=None

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ValueError
        Phases that are not of two dimensions.

    Examples
    --------
    >>> from crtkit.spect import plot_segments
    >>> ax = plot_segments(maps[0])  # doctest: +SKIP
    """
    phase = np.asarray(phase, dtype=float)
    if phase.ndim != 2:
        raise ValueError(f"plot_segments expects (n_rings, n_sectors), got {phase.shape}.")
    mine = aha_segments(*phase.shape, first_angle=first_angle)
    means = {number: float(circular_mean(phase[mine == number])[0]) for number in AHA_SEGMENTS}
    # A fine grid of its own, so that the segments' edges are where they belong.
    fine = aha_segments(32, 360)
    drawn = np.vectorize(means.get, otypes=[float])(fine)
    ax = plot_polar_map(drawn, ax=ax, title=title)
    for number, value in means.items():
        rings, sectors = np.nonzero(fine == number)
        angle = np.deg2rad(circular_mean(sectors + 0.5)[0])
        radius = 0.0 if number == 17 else (rings.mean() + 0.5) / 32
        at = radius * np.cos(angle) if radius else 0.0, radius * np.sin(angle) if radius else 0.0
        text = "–" if np.isnan(value) else f"{value:.0f}°"
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "lw": 0}
        ax.text(*at, text, ha="center", va="center", fontsize=7, bbox=box)
    return ax

"""Pictures of maps: attribution on the printed page, and Grad-CAM over the page itself."""

import numpy as np

from crtkit._plots import mark_simulated, pyplot
from crtkit.explain.boxes import boxes_of
from crtkit.explain.waves import lead_windows

# Against the class, neither, for it. The middle is a grey that is seen on white paper.
_SIGNED = ("#08306b", "#2f7ebc", "#9a9a9a", "#d6412b", "#7f0000")
_HEAT = ("#ffe9a8", "#fd8d3c", "#bd0026")
_METHODS = {
    "deeplift": "DeepLIFT",
    "integrated_gradients": "Integrated gradients",
    "gradient_shap": "Gradient SHAP",
    "occlusion": "Occlusion",
}
_SUMMED = 0.04  # seconds: single samples are too thin to see


def plot_attribution(
    signal, values, fs, *, layout=None, ax=None, title=None, method=None, target=None, limit=None
):
    """Draw a record as on the printed page, coloured by its attribution and the sign of it.

    Parameters
    ----------
    signal, values : array-like of shape (n_rows, n_samples)
        Millivolt, and a map of :func:`attribute`.
    fs : float
    layout : {"3x4+II", "3x4"} or list of str, optional
        As in :func:`signal_lead_share`.
    ax : matplotlib Axes, optional
    title : str, optional
        None writes the method and the class.
    method : str, optional
        As in :func:`attribute`, for the title.
    target : object, optional
        The class, for title and scale.
    limit : float, optional
        Log odds in 40 ms that get the full colour, the same for figures that are compared; None
        takes the 99.5 % quantile of this record.

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.

    See Also
    --------
    Attribution.plot : The same for a record of a result, with all that it knows in the title.

    Examples
    --------
    >>> from crtkit.explain import plot_attribution
    >>> ax = plot_attribution(signal, result.maps[0], fs=500)            # doctest: +SKIP
    """
    plt = pyplot("plot_attribution")
    from matplotlib.collections import LineCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    signal, values = np.asarray(signal, dtype=float), np.asarray(values, dtype=float)
    n_rows, n_samples = signal.shape
    if ax is None:
        _, ax = plt.subplots(figsize=(11, 1.2 + 1.3 * n_rows), layout="constrained")
    kernel = np.ones(max(1, round(_SUMMED * fs)))
    summed = np.stack([np.convolve(row, kernel, mode="same") for row in values])
    limit = limit or float(np.quantile(np.abs(summed), 0.995)) or 1.0
    colours = LinearSegmentedColormap.from_list("attribution", _SIGNED)
    time = np.arange(n_samples) / fs
    spacing = max(2.5, 1.1 * float(np.ptp(signal, axis=1).max()))
    for name, row, start, stop in lead_windows(layout, n_rows, n_samples):
        level = -row * spacing
        points = np.column_stack([time[start:stop], signal[row, start:stop] + level])
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        # What matters most is drawn thickest: colour alone is lost on a small print.
        strength = np.minimum(np.abs(summed[row, start : stop - 1]) / limit, 1)
        lines = LineCollection(
            pieces, cmap=colours, norm=Normalize(-limit, limit), linewidths=0.8 + 1.4 * strength
        )
        lines.set_array(summed[row, start : stop - 1])
        ax.add_collection(lines)
        ax.text(time[start] + 0.05, level + 0.42 * spacing, name, fontsize=8, va="top")
        if start:
            ax.axvline(time[start], color="0.9", lw=0.6, zorder=0)
    ax.set_xlim(0, n_samples / fs)
    ax.set_ylim(-(n_rows - 0.5) * spacing, 0.5 * spacing)
    ax.set_xlabel("Time (s)")
    ax.set_yticks([])
    bar = ax.figure.colorbar(lines, ax=ax, fraction=0.025, pad=0.01, extend="both")
    of = "" if target is None else f" of {target!r}" if isinstance(target, str) else f" of {target}"
    bar.set_label(f"Change of log odds{of} in {1000 * _SUMMED:.0f} ms", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if title is None and method is not None:
        title = method_name(method) + (f", class{of[3:]}" if of else "")
    if title:
        ax.set_title(f"{title}\nred speaks for the class, blue against it", fontsize=9)
    return ax


def plot_grad_cam(
    page,
    heat=None,
    *,
    layout="3x4+II",
    record=None,
    target=None,
    limit=None,
    simulated=False,
    ax=None,
):
    """Draw a Grad-CAM map over its page, with the boxes and names of the leads.

    Parameters
    ----------
    page : array-like of uint8, shape (height, width, 3) or (height, width)
        At any resolution: best the scan itself, not what the network saw.
    heat : array-like of shape (map_height, map_width), optional
        Of :func:`grad_cam`, of any size; it is stretched to the page. None draws the boxes alone,
        to see whether the layout fits.
    layout : str, PageGeometry, PageBoxes or None, default="3x4+II"
        As in :func:`lead_masks`: ``"edan-se3"``, or :func:`read_boxes` where a page has other
        margins. None draws no boxes.
    record : object, optional
        Its number or name, for the title.
    target : object, optional
        The class that the map explains.
    limit : float, optional
        Value that gets the full colour, the same for pages that are compared; None is the
        highest of this map.
    simulated : bool, default=False
        Write SIMULATED across the page.
    ax : matplotlib Axes, optional

    Returns
    -------
    matplotlib Axes

    Raises
    ------
    ImportError
        matplotlib is not installed.
    ValueError
        A page or map of another shape, negative or not finite.

    Notes
    -----
    A late stage of a network has few cells: at 224 pixels ``layer4`` has 7 x 7, each as large as a
    lead's box. The unit is that of the logit: activation times gradient.

    Examples
    --------
    >>> from crtkit.explain import plot_grad_cam
    >>> ax = plot_grad_cam(page, maps[0], layout="3x4+II", record="p01")     # doctest: +SKIP
    """
    plt = pyplot("plot_grad_cam")
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    page, heat = np.asarray(page), None if heat is None else np.asarray(heat, dtype=float)
    if page.ndim not in (2, 3) or (heat is not None and heat.ndim != 2):
        raise ValueError(
            "plot_grad_cam expects one page (height, width, 3) and one map (height, width), got "
            f"{page.shape} and {None if heat is None else heat.shape}."
        )
    if heat is not None and (not np.isfinite(heat).all() or heat.min() < 0):
        raise ValueError("plot_grad_cam expects a finite map without negative values.")
    height, width = page.shape[:2]
    if ax is None:
        _, ax = plt.subplots(figsize=(9, 9 * height / width + 0.5), layout="constrained")
    ax.imshow(page, cmap="gray", extent=(0, width, height, 0))
    if heat is not None:
        limit = limit or float(heat.max()) or 1.0
        colours = LinearSegmentedColormap.from_list("heat", _HEAT)
        norm = Normalize(0, limit, clip=True)
        # Transparent where a map is low, so that ink there stays as printed.
        ax.imshow(
            heat,
            cmap=colours,
            norm=norm,
            alpha=np.clip(0.7 * np.asarray(norm(heat)), 0, 0.7),
            extent=(0, width, height, 0),
            interpolation="bilinear",
        )
        bar = ax.figure.colorbar(
            ScalarMappable(norm, colours), ax=ax, fraction=0.03, pad=0.01, shrink=0.8
        )
        of = "" if target is None else f", class {target}"
        bar.set_label(f"Grad-CAM{of} (logit: activation x gradient)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    if layout is not None:
        for lead, (left, top, right, bottom) in boxes_of(layout).lead_boxes():
            box = (left * width, top * height)
            size = ((right - left) * width, (bottom - top) * height)
            ax.add_patch(plt.Rectangle(box, *size, fill=False, ec="#1f4e79", lw=0.7))
            label = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
            ax.text(*box, lead, fontsize=7, color="#1f4e79", va="top", bbox=label)
    if simulated:
        mark_simulated(ax)
    ax.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
    if record is not None:
        ax.set_title(f"Record {record}", fontsize=9)
    return ax


def method_name(method):
    """Name of a method of :func:`attribute` as papers write it."""
    return _METHODS.get(method, method)

"""The traces that were read, laid back over the page."""

import numpy as np

from crtkit._plots import axes
from crtkit.images.digitize.confidence import LEAST_CONFIDENCE

_GOOD = 0.8
COLOURS = {"good": "#1a7f37", "doubtful": "#d4790b", "refused": "#cf222e"}


def plot_digitised(page, result, *, ax=None, boxes=True):
    """Draw what was read over the page it was read from, leads coloured by confidence.

    Parameters
    ----------
    page : ndarray of uint8, shape (height, width, 3)
        The page as it was given to :func:`digitize_page`.
    result : PageReading
        What came back. A refused page shows as far as it was followed, in red, with the reason.
    ax : matplotlib.axes.Axes, optional
        By default a new figure of the page's shape.
    boxes : bool
        Whether the boxes of the leads are drawn.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ImportError
        matplotlib is absent.

    Notes
    -----
    Green: confidence of 0.8 and more; orange: less; red: below 0.5.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images import digitize_page, plot_digitised
    >>> page = np.full((300, 400, 3), 255, np.uint8)
    >>> ax = plot_digitised(page, digitize_page(page))
    >>> ax.get_title()[:11]
    'Refused: no'
    """
    height, width = page.shape[:2]
    ax = axes(ax, "plot_digitised", size=(12, 12 * height / width))
    # Paler, so that the page's own black does not hide the traces.
    ax.imshow(128 + np.asarray(page) // 2)
    # Traces of refused pages are drawn too: they show what went wrong.
    for strip in result.strips:
        colour = COLOURS[_word(result, strip.lead)]
        if boxes:
            left, top, right, bottom = strip.box
            outline_x, outline_y = [left, right, right, left, left], [top, top, bottom, bottom, top]
            ax.plot(outline_x, outline_y, color=colour, linewidth=0.4, alpha=0.6)
        ax.plot(strip.x, strip.y, color=colour, linewidth=0.9)
        trust = result.confidence.get(strip.lead, 0.0)
        ax.text(
            strip.box[0], strip.box[1], f"{strip.lead or '?'} {trust:.2f}", color=colour, va="top"
        )
    # Pixels say nothing here, seconds and millivolts are printed on the page.
    ax.set_axis_off()
    if result.reason is not None:
        ax.set_title(f"Refused: {result.reason}")
    else:
        ax.set_title(f"{result.layout}, {result.speed:g} mm/s, {result.gain:g} mm/mV")
    return ax


def _word(result, lead):
    trust = result.confidence.get(lead, 0.0)
    if not result.accepted or trust < LEAST_CONFIDENCE:
        return "refused"
    return "good" if trust >= _GOOD else "doubtful"

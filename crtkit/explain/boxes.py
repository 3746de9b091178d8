"""Where each lead lies on a page: by a layout, by a geometry, or read from the page itself."""

from dataclasses import dataclass

import numpy as np

from crtkit._leads import LEADS_12
from crtkit.images import EDAN_SE3, PageGeometry, digitize_page, page_geometry

#: Geometries by the name that a command line takes, beside the layouts of ECGRenderer.
NAMED = {"edan-se3": EDAN_SE3}


@dataclass(frozen=True)
class PageBoxes:
    """Boxes of the leads of one page, as :func:`read_boxes` found them.

    Attributes
    ----------
    layout : str
        Such as ``"3x4+II"``.
    boxes : tuple of (str, tuple of float, bool)
        Lead; left, top, right, bottom as fractions of the page; whether it is a rhythm strip.
    """

    layout: str
    boxes: tuple

    def lead_boxes(self, rhythm=True):
        """Boxes as :meth:`crtkit.images.PageGeometry.lead_boxes` gives them.

        Parameters
        ----------
        rhythm : bool, default=True
            Whether rhythm strips are among them.

        Returns
        -------
        list of (str, tuple of float)
        """
        return [(lead, box) for lead, box, is_rhythm in self.boxes if rhythm or not is_rhythm]


def read_boxes(page):
    """Find the boxes of the leads by digitizing a page, where no layout is known to fit it.

    Parameters
    ----------
    page : array-like of uint8, shape (height, width, 3)
        In full resolution: the grid and the pen must be seen.

    Returns
    -------
    PageBoxes

    Raises
    ------
    ValueError
        The page could not be read, for the reason that the digitizer gives, or not all of its
        twelve leads were told apart.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.datasets import make_cohort
    >>> from crtkit.explain import read_boxes
    >>> from crtkit.images import page_geometry, render_page
    >>> signal = make_cohort("mori2025", n_patients=4, random_state=0).X["signal"].iloc[0]
    >>> page, _ = render_page(np.asarray(signal), fs=500)
    >>> found = dict(read_boxes(page).lead_boxes(rhythm=False))
    >>> known = dict(page_geometry("3x4+II").lead_boxes(rhythm=False))
    >>> bool(np.abs(np.subtract(found["V2"], known["V2"]))[[0, 2]].max() < 0.02)
    True
    """
    page = np.asarray(page)
    reading = digitize_page(page)
    if not reading.accepted:
        raise ValueError(f"read_boxes could not read the page: {reading.reason}.")
    named = {strip.lead for strip in reading.strips}
    if not set(LEADS_12) <= named:
        absent = [lead for lead in LEADS_12 if lead not in named]
        raise ValueError(f"read_boxes could not tell the leads {absent} of the page apart.")
    height, width = page.shape[:2]
    size = np.array([width, height, width, height], dtype=float)
    # A rhythm strip that repeats no lead has no name, and counts for none.
    boxes = tuple(
        (strip.lead, tuple(float(x) for x in np.clip(strip.box / size, 0, 1)), strip.rhythm)
        for strip in reading.strips
        if strip.lead
    )
    return PageBoxes(reading.layout, boxes)


def boxes_of(layout):
    """What has ``lead_boxes``: a geometry, boxes that were read, or the name of a layout."""
    if isinstance(layout, (PageGeometry, PageBoxes)):
        return layout
    return NAMED[layout] if layout in NAMED else page_geometry(layout)

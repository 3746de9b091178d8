"""Leads and groups of leads as regions of a page, and how much of a map lies in each."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from crtkit._leads import LEADS_12
from crtkit.explain.boxes import boxes_of

LIMB = LEADS_12[:6]
PRECORDIAL = LEADS_12[6:]

#: Grad-CAM of mori2025: regions of the 36 responders in its test set.
PUBLISHED_REGIONS = {"limb": 13, "precordial": 16, "both": 7}


def lead_masks(layout, shape, rhythm=True):
    """Which pixels belong to which lead.

    Parameters
    ----------
    layout : str, PageGeometry or PageBoxes
        Name of a layout that `ECGRenderer` prints, such as ``"3x4+II"``, or ``"edan-se3"``; a
        geometry such as ``images.EDAN_SE3``; or what :func:`read_boxes` found. Pages may be
        stretched to any size; only boxes that were read fit a page that was cropped.
    shape : tuple of (height, width)
        Of the map.
    rhythm : bool, default=True
        Whether rhythm strips count for their leads.

    Returns
    -------
    dict of str to ndarray of float64, shape (height, width)
        Share of each pixel that lies in the boxes of the lead, in [0, 1]; leads in standard order.

    Raises
    ------
    ValueError
        A layout that lacks one of the twelve leads.

    Examples
    --------
    >>> from crtkit.explain import lead_masks
    >>> masks = lead_masks("3x4", (30, 40))
    >>> list(masks)[:3], masks["V2"].shape
    (['I', 'II', 'III'], (30, 40))
    """
    geometry = boxes_of(layout)
    height, width = shape
    masks = {}
    for lead, (left, top, right, bottom) in geometry.lead_boxes(rhythm=rhythm):
        box = np.outer(_covered(top, bottom, height), _covered(left, right, width))
        # A lead printed twice, in its column and as a strip, owns both places.
        masks[lead] = np.minimum(1, masks.get(lead, 0) + box)
    if set(masks) != set(LEADS_12):
        raise ValueError(
            f"lead_masks expects a layout of the twelve leads, got one of {sorted(masks)}."
        )
    return {lead: masks[lead] for lead in LEADS_12}


def _covered(start, stop, n):
    """Share of each of ``n`` cells of [0, 1] that [start, stop] covers."""
    # By share of each pixel: at 14 x 14 a lead's border runs through the middle of one.
    edges = np.linspace(0, 1, n + 1)
    return np.clip((np.minimum(stop, edges[1:]) - np.maximum(start, edges[:-1])) * n, 0, 1)


@dataclass(frozen=True)
class LeadShare:
    """Where the maps of a set of pages lie; made by :func:`lead_share`.

    Attributes
    ----------
    table : DataFrame
        One row a region (limb, precordial, both): ``count``, ``n``, ``proportion`` with its Wilson
        interval ``ci_low``, ``ci_high``, and the paper's ``published_count``, ``published_n``,
        ``published_proportion``.
    shares : DataFrame of shape (n_records, 12)
        Share of the map within the boxes of all leads that lies in each lead; a row sums to 1, or
        is NaN where the map is 0 on all leads.
    area : Series of length 12
        Share of the area of all boxes that each lead takes.
    region : ndarray of str, shape (n_records,)
        Of each page; "none" where the map is 0 on all leads, which ``table`` leaves out of ``n``.
    rule : str
        How pages were assigned.
    outside : ndarray of float64, shape (n_records,)
        Share of the whole map that lies on no lead: margins, gaps, what the shares leave out. A
        region says little of a page where it is large. NaN where the map is 0 everywhere.
    """

    table: pd.DataFrame
    shares: pd.DataFrame
    area: pd.Series
    region: np.ndarray
    rule: str
    outside: np.ndarray

    @property
    def relative(self):
        """Shares as multiples of the area's: 1 is what a map that is the same everywhere has."""
        return self.shares / self.area

    def _repr_html_(self):
        return f"{self.table._repr_html_()}<p>{self.rule}</p>"


def lead_share(maps, layout="3x4+II", *, threshold=2 / 3, rhythm=True, confidence=0.95):
    """Assign the map of each page to limb leads, precordial leads or both.

    Parameters
    ----------
    maps : array-like of shape (n_records, height, width)
        Not negative, as :func:`grad_cam` gives them.
    layout : str, PageGeometry or PageBoxes, default="3x4+II"
        As in :func:`lead_masks`.
    threshold : float, default=2/3
        In (0.5, 1]. A page is limb when at least this share of what limb leads and precordial leads
        hold *per area* lies in limb leads, precordial likewise, else both. Per area, because limb
        leads take more of a page (a rhythm strip is one); two thirds means twice as dense.
    rhythm : bool, default=True
        Whether rhythm strips count for their leads.
    confidence : float, default=0.95
        Of the Wilson intervals.

    Returns
    -------
    LeadShare

    Raises
    ------
    ValueError
        Maps of another shape, negative or not finite; a threshold out of range.

    Notes
    -----
    The paper judged 36 responders by eye and gives no rule: 13 limb, 16 precordial, 7 both. Its
    counts are beside ours; they come from other patients and another network.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.explain import lead_share
    >>> maps = np.zeros((3, 42, 60))
    >>> maps[0, :, :30], maps[1, :30, 30:], maps[2, :30] = 1, 1, 1
    >>> lead_share(maps).table["count"].to_dict()
    {'limb': 1, 'precordial': 1, 'both': 1}
    """
    maps = np.asarray(maps, dtype=np.float64)
    if maps.ndim != 3 or not len(maps):
        raise ValueError(
            f"lead_share expects maps of shape (n_records, height, width), got {maps.shape}."
        )
    if not np.isfinite(maps).all() or maps.min() < 0:
        raise ValueError("lead_share expects finite maps without negative values.")
    if not 0.5 < threshold <= 1:
        raise ValueError(f"lead_share expects threshold in (0.5, 1], got {threshold}.")
    masks = lead_masks(layout, maps.shape[1:], rhythm)
    leads = list(masks)
    stacked = np.stack(list(masks.values()))
    area = pd.Series(stacked.sum((1, 2)), index=leads)
    mass = np.einsum("nhw,lhw->nl", maps, stacked)
    total = mass.sum(1, keepdims=True)
    shares = np.divide(mass, total, out=np.full_like(mass, np.nan), where=total > 0)
    shares = pd.DataFrame(shares, columns=pd.Index(leads, name="lead"))
    everything = maps.sum((1, 2))
    inside = np.divide(
        total[:, 0], everything, out=np.full(len(maps), np.nan), where=everything > 0
    )
    # Per area, since a rhythm strip gives one group of leads several times the paper.
    limb = shares[list(LIMB)].sum(axis=1) / area[list(LIMB)].sum()
    precordial = shares[list(PRECORDIAL)].sum(axis=1) / area[list(PRECORDIAL)].sum()
    part = (limb / (limb + precordial)).to_numpy()
    region = np.select(
        [total[:, 0] == 0, part >= threshold, part <= 1 - threshold],
        ["none", "limb", "precordial"],
        "both",
    )
    rule = (
        f"A page is limb (or precordial) when at least {threshold:.3g} of what both groups of "
        f"leads hold per area lies there, else both. Rhythm strips are {'' if rhythm else 'not '}"
        f"counted. Wilson intervals at {confidence:.0%}."
    )
    return LeadShare(
        _table(region, confidence), shares, area / area.sum(), region, rule, 1 - inside
    )


def _table(region, confidence):
    """Counts and proportions of the regions, the paper's beside ours."""
    # Maps of zeros point nowhere and must not count as a region.
    n = int((region != "none").sum())
    published_n = sum(PUBLISHED_REGIONS.values())
    rows = []
    for name, published in PUBLISHED_REGIONS.items():
        count = int((region == name).sum())
        interval = (np.nan, np.nan)
        if n:
            interval = binomtest(count, n).proportion_ci(confidence, method="wilson")
        rows.append(
            {
                "region": name,
                "count": count,
                "n": n,
                "proportion": count / n if n else np.nan,
                "ci_low": interval[0],
                "ci_high": interval[1],
                "published_count": published,
                "published_n": published_n,
                "published_proportion": published / published_n,
            }
        )
    return pd.DataFrame(rows).set_index("region")

"""The 17 AHA segments on a polar map of rings and sectors."""

import numpy as np

AHA_SEGMENTS = {
    1: "basal anterior",
    2: "basal anteroseptal",
    3: "basal inferoseptal",
    4: "basal inferior",
    5: "basal inferolateral",
    6: "basal anterolateral",
    7: "mid anterior",
    8: "mid anteroseptal",
    9: "mid inferoseptal",
    10: "mid inferior",
    11: "mid inferolateral",
    12: "mid anterolateral",
    13: "apical anterior",
    14: "apical septal",
    15: "apical inferior",
    16: "apical lateral",
    17: "apex",
}
"""Names of the segments, by number."""

# Sectors turn from the lateral wall over the anterior wall to the septum, as a polar map is drawn.
_BASAL = (6, 1, 2, 3, 4, 5)
_APICAL = (16, 13, 14, 15)


def aha_segments(n_rings, n_sectors, *, first_angle=0.0):
    """Segment number of every cell of a polar map.

    Ring 0 is the apex. Sectors turn counter-clockwise as a polar map is drawn: 0 degrees is the
    middle of the lateral wall (right), 90 anterior (top), 180 septum (left), 270 inferior (bottom).

    Parameters
    ----------
    n_rings : int
        At least 4. The inner 1/8 of the rings (at least one) is the apex; the rest is shared
        equally by the apical, middle and basal thirds.
    n_sectors : int
        At least 6.
    first_angle : float, default=0.0
        Angle at which sector 0 begins, in degrees.

    Returns
    -------
    ndarray of int of shape (n_rings, n_sectors)
        1 to 17.

    Raises
    ------
    ValueError
        Too few rings or sectors for every segment to have a cell.

    References
    ----------
    Cerqueira MD et al., Standardized myocardial segmentation and nomenclature for tomographic
    imaging of the heart, Circulation 2002;105:539-542.

    Examples
    --------
    >>> from crtkit.spect import aha_segments
    >>> segments = aha_segments(12, 24)
    >>> int(segments[0, 0]), int(segments[-1, 6]), int(segments[-1, 0])
    (17, 1, 6)
    """
    if n_rings < 4 or n_sectors < 6:
        raise ValueError(
            f"17 segments need at least 4 rings and 6 sectors, got {n_rings} and {n_sectors}."
        )
    apex = max(1, round(n_rings / 8))
    third = np.minimum(3 * (np.arange(n_rings) - apex) // (n_rings - apex), 2)
    middle = (first_angle + (np.arange(n_sectors) + 0.5) * 360.0 / n_sectors) % 360.0
    # Six segments of 60 degrees from 0; four of 90 degrees, the first centred on 0.
    six = np.array(_BASAL)[(middle // 60.0).astype(int) % 6]
    four = np.array(_APICAL)[((middle + 45.0) // 90.0).astype(int) % 4]
    out = np.empty((n_rings, n_sectors), dtype=np.int64)
    for ring in range(n_rings):
        out[ring] = 17 if ring < apex else (four, six + 6, six)[third[ring]]
    return out

"""Antialiased curves on a page, by columns.

A trace is a function of time, so each narrow column of the page needs only the interval that the
pen covers in it. Intervals are entered as differences along y and summed once for the whole page:
the cost does not depend on how tall a QRS complex is, and no sample is skipped.
"""

import numpy as np

SUBCOLUMNS = 4  # per pixel: sideways antialiasing; upwards it is exact


class Ink:
    """Coverage of a page by a pen, collected from any number of curves.

    Coordinates are in pixels from the page's upper left corner, y downwards.

    Parameters
    ----------
    height, width : int
        Page in pixels.
    box : tuple of float
        Left, top, right, bottom beyond which nothing is drawn.
    pen : float
        Diameter of the round pen in pixels.
    """

    def __init__(self, height, width, box, pen):
        self.height, self.width = height, width
        self.left, self.top, self.right, self.bottom = box
        self.pen = pen
        self._index, self._value = [], []

    def draw(self, x, y):
        """Draw a curve through points.

        Parameters
        ----------
        x, y : ndarray of shape (n_points,)
            ``x`` must not decrease. The pen is lifted where ``y`` is NaN.
        """
        for run in np.ma.clump_unmasked(np.ma.masked_invalid(y)):
            self._draw_run(x[run], y[run])

    def coverage(self):
        """Share of each pixel that is covered.

        Returns
        -------
        ndarray of uint8, shape (height, width)
            0 is paper, 255 full ink.
        """
        ink = np.zeros((self.height + 2, self.width), dtype=np.float32)
        if self._index:
            index, value = np.concatenate(self._index), np.concatenate(self._value)
            np.add.at(ink.reshape(-1), index, value.astype(np.float32))
        # Row by row is several times faster than numpy's cumsum along this axis.
        for row in range(1, self.height):
            ink[row] += ink[row - 1]
        ink = ink[: self.height]
        ink *= np.float32(255.0 / SUBCOLUMNS)
        ink += np.float32(0.5)
        return np.clip(ink, 0, 255, out=ink).astype(np.uint8)

    def _draw_run(self, x, y):
        first, low, high = column_ranges(x * SUBCOLUMNS, y)
        radius = self.pen / 2
        reach = int(radius * SUBCOLUMNS)
        n = len(low) + 2 * reach
        # A round pen: the interval of a column is the union of its neighbours', each grown by the
        # half chord of the disc at that distance. The curve is connected, so the union is one.
        lowest, highest = np.full(n, np.inf), np.full(n, -np.inf)
        for shift in range(-reach, reach + 1):
            chord = np.sqrt(radius**2 - (shift / SUBCOLUMNS) ** 2)
            here = slice(reach + shift, reach + shift + len(low))
            np.minimum(lowest[here], low - chord, out=lowest[here])
            np.maximum(highest[here], high + chord, out=highest[here])
        sub = np.arange(first - reach, first - reach + n)
        low, high = np.clip(lowest, self.top, self.bottom), np.clip(highest, self.top, self.bottom)
        keep = (high > low) & (sub >= self.left * SUBCOLUMNS) & (sub < self.right * SUBCOLUMNS)
        column = sub[keep] // SUBCOLUMNS
        self._enter(column, low[keep], 1.0)
        self._enter(column, high[keep], -1.0)

    def _enter(self, column, edge, sign):
        """Enter an edge as a step that is shared between two pixels."""
        row = edge.astype(np.intp)
        part = edge - row
        start = row * self.width + column
        self._index += [start, start + self.width]
        self._value += [sign * (1.0 - part), sign * part]


def column_ranges(x, y):
    """Lowest and highest y of a polyline in each unit column it crosses.

    Parameters
    ----------
    x, y : ndarray of shape (n_points,)
        Finite; ``x`` must not decrease.

    Returns
    -------
    first : int
        The column ``[first, first + 1)`` that holds the first point.
    low, high : ndarray of shape (n_columns,)
    """
    column = np.floor(x).astype(np.intp)
    first = column[0]
    borders = np.arange(first + 1, column[-1] + 1)
    at_border = np.interp(borders, x, y)
    low, high = np.full(len(borders) + 1, np.inf), np.full(len(borders) + 1, -np.inf)
    np.minimum.at(low, column - first, y)
    np.maximum.at(high, column - first, y)
    for inside in (slice(None, -1), slice(1, None)):
        np.minimum(low[inside], at_border, out=low[inside])
        np.maximum(high[inside], at_border, out=high[inside])
    return int(first), low, high

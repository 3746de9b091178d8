"""Gated short-axis stacks -> counts of the left-ventricular wall as polar maps, one per frame.

The wall is a hemisphere (the apex) on a cylinder (the body), as workstations sample it: rays go out
from the long axis, and each takes the highest count along the wall it crosses. Reconstruction and
reorientation to short-axis slices are the camera's work.
"""

import warnings
from dataclasses import dataclass
from numbers import Integral

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from crtkit.spect.dicom import lost_gates

# A ray every 5 degrees: at a radius of 8 pixels they are less than a pixel apart.
N_RAYS = 72
STEP = 0.5


@dataclass(frozen=True)
class Ventricle:
    """Where the left ventricle lies in a stack of short-axis slices.

    Parameters
    ----------
    center : tuple of float
        (row, column) of the long axis, in pixels.
    radius : float
        From the axis to the middle of the wall, in pixels along a row.
    apex, base : float
        Slice positions of the middle of the apical wall and of the last slice of wall at the base.
    """

    center: tuple
    radius: float
    apex: float
    base: float

    def __post_init__(self):
        numbers = [*self.center, self.radius, self.apex, self.base]
        if len(numbers) != 5 or not np.isfinite(numbers).all() or self.radius <= 0:
            raise ValueError(
                "Ventricle expects center=(row, column), radius > 0 and slice positions apex and "
                f"base, all finite, got {self}."
            )
        if self.apex == self.base:
            raise ValueError(f"Ventricle expects apex and base to differ, both are {self.apex}.")


def find_ventricle(stack, *, spacing=(1.0, 1.0, 1.0)):
    """Long axis, radius, apex and base of the left ventricle, from the counts of all frames.

    Parameters
    ----------
    stack : array-like of shape (n_frames, n_slices, height, width)
        Counts; the ventricle must be the hottest thing in it (mask bowel and liver first).
    spacing : tuple of float, default=(1.0, 1.0, 1.0)
        Between slices, rows and columns, in mm; only their ratios are used here.

    Returns
    -------
    Ventricle

    Raises
    ------
    ValueError
        Wrong shape or spacing, negative or no counts, or no ring of wall.

    Examples
    --------
    >>> from crtkit.datasets import simulate_gated_spect
    >>> from crtkit.spect import find_ventricle
    >>> stack, truth = simulate_gated_spect(random_state=0)
    >>> ventricle = find_ventricle(stack)
    >>> abs(ventricle.radius - truth["ventricle"].radius) < 1
    True
    """
    stack, (row_step, column_step) = _check_stack(stack), _check_spacing(spacing)[1:]
    # All frames together: the wall moves by less than its thickness, and a frame alone is noisy.
    total = gaussian_filter(stack.sum(axis=0), 0.7)
    # The quantile, not the maximum: one hot pixel must not set the scale.
    hot = total > 0.5 * np.quantile(total, 0.999)
    slices = np.flatnonzero(hot.any(axis=(1, 2)))
    body = total[slices[len(slices) // 4] : slices[-(len(slices) // 4) - 1] + 1].mean(axis=0)
    weight = np.where(body > 0.4 * body.max(), body, 0.0)
    rows, columns = np.indices(body.shape)
    center = np.array([(weight * rows).sum(), (weight * columns).sum()]) / weight.sum()
    theta = 2 * np.pi * np.arange(N_RAYS) / N_RAYS
    # Rays step in columns: on pixels that are not square the wall is not a circle of pixels.
    to_rows = column_step / row_step
    largest = min(body.shape[0] / to_rows, body.shape[1]) / 2
    reach = np.arange(1.0, largest, STEP)
    # The first centre is that of the counts, off to one side of a defect; the circle mends it.
    for _ in range(5):
        y = center[0] - np.outer(reach, np.sin(theta)) * to_rows
        x = center[1] + np.outer(reach, np.cos(theta))
        profile = map_coordinates(body, [y, x], order=1)
        best = profile.argmax(axis=0)
        seen = profile.max(axis=0) > 0.4 * body.max()
        if seen.sum() < N_RAYS // 3:
            break
        at = (best, np.arange(N_RAYS))
        center, radius = _circle(y[at][seen] / to_rows, x[at][seen])
        center[0] *= to_rows
    if seen.sum() < N_RAYS // 3 or not 1.5 < radius < largest:
        raise ValueError(
            "find_ventricle found no ring of wall in the middle slices. Mask what is hotter than "
            "the heart, check that the slices are short-axis, or give a Ventricle yourself."
        )
    return _ends(total, center, radius, spacing)


def sample_polar_maps(
    stack,
    ventricle=None,
    *,
    spacing=(1.0, 1.0, 1.0),
    n_rings=12,
    n_sectors=24,
    search=(0.5, 1.5),
):
    """Highest count along the wall in every direction, for every frame.

    Parameters
    ----------
    stack : array-like of shape (n_frames, n_slices, height, width)
        Counts. Rows go from anterior to inferior and columns from septum to lateral wall, as
        short-axis slices are displayed.
    ventricle : Ventricle, default=None
        None looks for it with `find_ventricle`.
    spacing : tuple of float, default=(1.0, 1.0, 1.0)
        Between slices, rows and columns, in mm.
    n_rings : int, default=12
        Rings from apex (0) to base, at equal distances along the wall.
    n_sectors : int, default=24
        Sectors, counter-clockwise from the lateral wall; the middle of sector 0 is half a sector
        above it (`aha_segments` with ``first_angle=0``).
    search : tuple of float, default=(0.5, 1.5)
        Part of each ray that is searched, in radii.

    Returns
    -------
    ndarray of shape (n_frames, n_rings, n_sectors)
        float32.

    Raises
    ------
    ValueError
        Wrong shape or spacing, negative or no counts, a ventricle outside the stack.

    Warns
    -----
    UserWarning
        A frame has lost counts, as the last ones do in an irregular rhythm.

    Examples
    --------
    >>> from crtkit import PhaseAnalysis
    >>> from crtkit.datasets import simulate_gated_spect
    >>> from crtkit.spect import sample_polar_maps
    >>> stack, truth = simulate_gated_spect(random_state=0)
    >>> counts = sample_polar_maps(stack)
    >>> counts.shape
    (8, 12, 24)
    >>> PhaseAnalysis().fit_transform(counts[None]).shape
    (1, 12, 24)
    """
    stack = _check_stack(stack)
    for problem in lost_gates(stack):
        warnings.warn(f"sample_polar_maps: {problem}", UserWarning, stacklevel=2)
    spacing = _check_spacing(spacing)
    whole = isinstance(n_rings, Integral) and isinstance(n_sectors, Integral)
    if not whole or n_rings < 1 or n_sectors < 3 or not 0 <= search[0] < search[1]:
        raise ValueError(
            "sample_polar_maps expects integers n_rings >= 1 and n_sectors >= 3, and "
            f"0 <= search[0] < search[1], got {n_rings}, {n_sectors}, {search}."
        )
    if ventricle is None:
        ventricle = find_ventricle(stack, spacing=spacing)
    row, column = ventricle.center
    if not (0 <= row < stack.shape[2] and 0 <= column < stack.shape[3]):
        raise ValueError(
            f"The ventricle's center {ventricle.center} is outside slices of {stack.shape[2:]}."
        )
    # One geometry for all frames, so that a cell is the same piece of wall over the cycle.
    start, direction = wall_rays(ventricle, n_rings, n_sectors, spacing)
    reach = np.arange(search[0], search[1] + 1e-9, STEP / ventricle.radius) * ventricle.radius
    where = start[..., None] + direction[..., None] * reach
    return np.stack(
        [map_coordinates(f, where, order=1, mode="nearest").max(axis=-1) for f in stack]
    ).astype(np.float32)


def wall_rays(ventricle, n_rings, n_sectors, spacing=(1.0, 1.0, 1.0)):
    """Origins and directions of the rays through the wall, in (slice, row, column) steps.

    A step of a ray is one column wide. Rings stand at equal distances along the meridian.

    Parameters
    ----------
    ventricle : Ventricle
    n_rings, n_sectors : int
    spacing : tuple of float, default=(1.0, 1.0, 1.0)

    Returns
    -------
    start, direction : ndarray of shape (3, n_rings, n_sectors)
    """
    to_slices = spacing[2] / spacing[0]
    toward_base = np.sign(ventricle.base - ventricle.apex)
    radius, length = ventricle.radius, abs(ventricle.base - ventricle.apex) / to_slices
    # A ventricle shorter than its radius is all cap.
    cap = min(radius, length)
    meridian = cap * np.pi / 2 + (length - cap)
    along = (np.arange(n_rings) + 0.5) / n_rings * meridian
    polar = np.minimum(along / cap, np.pi / 2)  # from the axis
    height = cap + np.maximum(along - cap * np.pi / 2, 0.0)
    theta = 2 * np.pi * (np.arange(n_sectors) + 0.5) / n_sectors
    shape = (n_rings, n_sectors)
    axial = -np.cos(polar)[:, None] * toward_base * to_slices
    start = np.stack(
        [
            np.broadcast_to((ventricle.apex + toward_base * height * to_slices)[:, None], shape),
            np.full(shape, ventricle.center[0]),
            np.full(shape, ventricle.center[1]),
        ]
    )
    direction = np.stack(
        [
            np.broadcast_to(axial, shape),
            -np.sin(polar)[:, None] * np.sin(theta) * spacing[2] / spacing[1],
            np.sin(polar)[:, None] * np.cos(theta),
        ]
    )
    return start, direction


def _circle(y, x):
    """Centre and radius of the circle nearest to points (Kasa's least squares)."""
    design = np.column_stack([y, x, np.ones(len(x))])
    a, b, c = np.linalg.lstsq(design, y**2 + x**2, rcond=None)[0]
    center = np.array([a / 2, b / 2])
    return center, float(np.sqrt(max(c + center @ center, 0.0)))


def _ends(total, center, radius, spacing):
    """Apex where the axis crosses a wall, base where the ring of wall ends."""
    n_slices = len(total)
    theta = 2 * np.pi * np.arange(N_RAYS) / N_RAYS
    reach = np.arange(0.6, 1.4, 0.1) * radius
    to_rows = spacing[2] / spacing[1]
    y = center[0] - np.outer(reach, np.sin(theta)) * to_rows
    x = center[1] + np.outer(reach, np.cos(theta))
    ring = np.array([map_coordinates(s, [y, x], order=1).max(axis=0).mean() for s in total])
    rows, columns = np.indices(total.shape[1:])
    core = np.hypot((rows - center[0]) / to_rows, columns - center[1]) < 0.35 * radius
    axis = total[:, core].mean(axis=1)
    wall = np.flatnonzero(ring > 0.5 * np.median(ring[ring > 0.5 * ring.max()]))
    first, last = wall[0], wall[-1]
    # Only the apex closes the ventricle: near it the axis is as hot as the wall.
    near = max(2, round(radius * spacing[2] / spacing[0] / 2))
    at_first = axis[max(0, first - near) : first + near].max()
    at_last = axis[max(0, last - near + 1) : last + near + 1].max()
    apex_first = at_first >= at_last
    order = np.arange(n_slices) if apex_first else np.arange(n_slices)[::-1]
    # The apex lies in the half that closes; three slices at least, in a very short stack.
    half = order[: max(3, (np.flatnonzero(order == (first + last) // 2)[0] + 1))]
    apex = float(half[axis[half].argmax()])
    base = float(last if apex_first else first)
    # Rings of a ventricle of one slice would all sample the same counts.
    if abs(apex - base) < 2:
        raise ValueError(
            "find_ventricle found apex and base less than two slices apart. Give a Ventricle "
            "yourself."
        )
    return Ventricle((float(center[0]), float(center[1])), radius, apex, base)


def _check_stack(stack):
    stack = np.asarray(stack, dtype=np.float64)
    if stack.ndim != 4 or min(stack.shape[1:]) < 3:
        raise ValueError(
            "A gated stack has shape (n_frames, n_slices, height, width), at least 3 slices of 3 x "
            f"3 pixels, got {stack.shape}."
        )
    if not np.isfinite(stack).all():
        raise ValueError("Counts of a gated stack must be finite, got NaN or infinity.")
    if (stack < 0).any():
        raise ValueError(
            f"Counts of a gated stack must not be negative, got {stack.min():g}. What filtered "
            "backprojection undershoots outside the heart may be clipped: numpy.clip(stack, 0, "
            "None)."
        )
    if not stack.any():
        raise ValueError("The gated stack has no counts at all.")
    return stack


def _check_spacing(spacing):
    spacing = tuple(float(step) for step in spacing)
    if len(spacing) != 3 or not all(0 < step < np.inf for step in spacing):
        raise ValueError(
            "spacing is three positive numbers in mm, between slices, rows and columns; got "
            f"{spacing}."
        )
    return spacing

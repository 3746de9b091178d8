"""Projective maps: a plane seen from the side."""

import numpy as np


def plane_of(source, target):
    """Projective map that takes points to others with the least error, bad points left out.

    Parameters
    ----------
    source, target : ndarray of shape (n_points, 2)

    Returns
    -------
    ndarray of shape (3, 3)

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.images.digitize.plane import plane_of, through
    >>> corners = np.array([[0, 0], [4, 0], [4, 3], [0, 3], [2, 1.0]])
    >>> turned = corners @ [[0, 1], [-1, 0]] + 5
    >>> bool(np.allclose(through(plane_of(corners, turned), corners), turned))
    True
    """
    moves = []
    for points in (source, target):
        middle, size = points.mean(axis=0), max(points.std(), 1e-9)
        moves.append(np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, size]]) / size)
    (x, y), (u, v) = (through(move, p).T for move, p in zip(moves, (source, target)))
    one, zero = np.ones_like(x), np.zeros_like(x)
    first = np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1)
    second = np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1)
    keep = np.ones(len(x), dtype=bool)
    for _ in range(3):
        rows = np.concatenate([first[keep], second[keep]])
        weights, *_ = np.linalg.lstsq(rows, np.concatenate([u[keep], v[keep]]), rcond=None)
        plane = np.append(weights, 1.0).reshape(3, 3)
        far = np.hypot(*(through(plane, np.stack([x, y], axis=-1)) - np.stack([u, v], axis=-1)).T)
        keep = far <= max(4 * np.median(far), 1e-9)
    plane = np.linalg.inv(moves[1]) @ plane @ moves[0]
    return plane / plane[2, 2]


def through(plane, points):
    """Points seen through a projective map.

    Parameters
    ----------
    plane : ndarray of shape (3, 3)
    points : ndarray of shape (n_points, 2)

    Returns
    -------
    ndarray of shape (n_points, 2)
    """
    out = np.column_stack([points, np.ones(len(points))]) @ plane.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return out[:, :2] / out[:, 2:]

"""Whether a pool that was pretrained on holds pages, or patients, of the test records."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np

from crtkit._labels import check_groups, patient_text
from crtkit.cohort import Cohort, Select
from crtkit.evaluation.leaks.registration import (
    LEAST_SIDE,
    SAME,
    likely_copies,
    page_agreement,
    residual,
)

__all__ = ["PoolLeakError", "check_pool"]

# How near a page's thumbnail is to the nearest of the pool, and how much nearer than to the next,
# where the pool's pages are not at hand (an encoder remembers thumbnails alone): copies made
# brighter pass the first pair, and 1 of 150 simulated strangers; above the second it is told.
_SURE = (0.6, 0.4)
_LIKELY = (0.5, 0.3)
_MOST_LOOKS = 300  # pages laid one over the other, a second each
_THUMBNAIL = 64
_NAMED = 10  # leaks that a message names; ``leaks`` of the error has them all
_BLOCK = 256


class PoolLeakError(ValueError):
    """Test records were in the pool.

    Parameters
    ----------
    message : str
    leaks : list of tuple
        ``(test record, image of the pool, reason)``, where the reason is "equal", "nearly equal"
        or "same patient"; the test record is a position.
    """

    def __init__(self, message: str, leaks: list | None = None):
        super().__init__(message, leaks or [])
        self.leaks = leaks or []

    def __str__(self) -> str:
        return str(self.args[0])


def check_pool(pool, test, *, pool_groups=None, groups=None, tolerance=0.1, size=None):
    """Refuse a pool that holds an image, or another image of a patient, of the test records.

    An encoder that was fitted once and reused (``FrozenEstimator``) may have seen test pages,
    which no splitter can know. Images are compared by their pixels (sha256) and by how they look
    (a thumbnail), and those that may be copies at full resolution, one laid over the other
    (:func:`crtkit.evaluation.leaks.registration.page_agreement`): a copy that was saved again,
    resized, made brighter or darker by a fifth, turned by 1 degree, moved by 1 %, cropped by up to
    3 % a side or printed at 90 % of its size is refused, a stranger's page on the same form is not.
    Of an encoder only thumbnails are left of its pool: copies that moved are then mostly warned of,
    those that were scaled are not. Pages of fewer than 200 pixels a side are
    compared by thumbnails alone, and of fewer than 64, as signals, refused only where they are
    nearly equal by ``tolerance``.

    Parameters
    ----------
    pool : SimCLR, ECGFMPretraining, FrozenEstimator of one, array, Rows or paths
        A fitted encoder remembers what it saw (``pool_hashes_``, ``pool_groups_``), images or paths
        are read.
    test : Cohort, array or Rows of shape (n_records, height, width, 3), or paths (n_records,)
        Of a cohort, the column ``image`` and its groups. For an `ECGFMPretraining`, signals (the
        column ``signal``): those that look alike at another rate or gain are caught too.
    pool_groups : array-like of shape (n_pool,), optional
        Patients of the pool; by default what the encoder was told.
    groups : array-like of shape (n_records,), optional
        Patients of the test records; by default those of the cohort.
    tolerance : float, default=0.1
        Images are nearly equal when their thumbnails, less the average page and each scaled to
        length 1, are less than this far from correlation 1, or near it and clearly nearer to one
        image of the pool than to any other. On fewer than three images of pool and
        test together there is no average page to take off, and only equal pixels are caught.
    size : tuple of (height, width), optional
        At which paths are read; by default the size at which the encoder saw its pool, else
        (224, 224). Exact comparison needs the same size and eraser as in pretraining.

    Raises
    ------
    PoolLeakError
        A ValueError that names test records and images of the pool; ``leaks`` has all.
    ValueError
        Wrong lengths, or patients of one side only.

    Notes
    -----
    Thumbnails are 64 x 64 pixels: two ECGs of one patient on the same form count as different
    images, and show through ``groups`` only.

    Examples
    --------
    >>> import numpy as np
    >>> from crtkit.evaluation import check_pool
    >>> pool = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    >>> test = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    >>> check_pool(pool, test)
    >>> check_pool(pool, np.stack([test[0], pool[4]]))
    Traceback (most recent call last):
    ...
    crtkit.evaluation.leaks.pool.PoolLeakError: 1 of 2 test records were in the pool:
      record 1: image 4 of the pool is equal
    Leave these images out of the pool and pretrain again, or these records out of the test.
    """
    encoder = getattr(pool, "estimator", pool)  # FrozenEstimator holds the fitted one
    known = getattr(encoder, "pool_hashes_", None)
    if size is None:
        size = encoder.shape_in_[:2] if known and len(encoder.shape_in_) == 3 else (224, 224)
    if known is None and hasattr(pool, "fit"):
        raise ValueError(
            "check_pool expects a fitted SimCLR or ECGFMPretraining, or images, got "
            f"{type(encoder).__name__} without pool_hashes_. Fit it first, or pass the images "
            "it was fitted on."
        )
    pool_groups = getattr(encoder, "pool_groups_", None) if pool_groups is None else pool_groups
    if isinstance(test, Cohort):
        groups = test.groups if groups is None else groups
        column = "signal" if hasattr(encoder, "fingerprints") else "image"
        test = Select(column).fit_transform(test.X)
    seen = known if known is not None else _fingerprints(pool, size)
    # Signals look alike in another way than pages; their encoder knows which.
    look = getattr(encoder, "fingerprints", None) or partial(_fingerprints, size=size)
    tested = look(test)
    look_size = None if hasattr(encoder, "fingerprints") else _side(test, size)
    matches = _equal(seen, tested)
    # A thumbnail of a smaller page holds less than the margins were measured on.
    pair = _SURE if look_size is not None and min(look_size) >= _THUMBNAIL else None
    pages = None if known is not None else _both_pages(pool, test)
    resembling = _nearly_equal(matches, seen, tested, tolerance, pair, pages)
    if pool_groups is not None and groups is not None:
        pool_groups = check_groups("check_pool, pool", pool_groups, len(seen.exact))
        groups = check_groups("check_pool", groups, len(tested.exact))
        _same_patient(matches, seen, tested, pool_groups, groups)
    elif pool_groups is not None:
        raise ValueError("check_pool knows the patients of the pool: pass groups= of the test too.")
    _warn_of({j: i for j, i in resembling.items() if j not in matches}, seen, tested)
    if not matches:
        return
    leaks = [(j, seen.name(i), reason) for j, (i, reason) in sorted(matches.items())]
    lines = [
        f"  record {j}{'' if tested.names is None else f' ({tested.names[j]})'}: {name} of the "
        f"pool is {reason if reason != 'same patient' else 'of the same patient'}"
        for j, name, reason in leaks[:_NAMED]
    ]
    if len(leaks) > _NAMED:
        lines.append(f"  ... and {len(leaks) - _NAMED} more, all in `leaks` of this exception")
    listed = "\n".join(lines)
    raise PoolLeakError(
        f"{len(leaks)} of {len(tested)} test records were in the pool:\n{listed}\nLeave these "
        "images out of the pool and pretrain again, or these records out of the test.",
        leaks,
    )


def _fingerprints(images, size):
    """Fingerprints of images or of paths."""
    from crtkit.cohort.rows import Rows
    from crtkit.images.pool import PagePaths, as_paths, fingerprints

    paths = as_paths(images)
    if paths is not None:
        images = PagePaths(paths, size)
    elif not isinstance(images, Rows):
        images = np.asarray(images)
    return fingerprints(images)[0]


def _equal(seen, tested):
    """Test record -> (image of the pool, "equal")."""
    place = {digest: i for i, digest in reversed(list(enumerate(seen.exact.tolist())))}
    exact = enumerate(tested.exact.tolist())
    return {j: (place[digest], "equal") for j, digest in exact if digest in place}


def _side(images, size):
    """Height and width at which pages are compared: their own, or that at which paths are read."""
    shape = getattr(images, "shape", ())
    return shape[1:3] if len(shape) == 4 else size


def _both_pages(pool, test):
    """Functions of a position that give a page of the pool, and of the test, as it is."""
    from crtkit.images import load_image
    from crtkit.images.pool import as_paths

    def pages(images):
        paths = as_paths(images)
        if paths is not None:
            return lambda k: load_image(paths[k], size=None)
        return lambda k: np.asarray(images[k])

    return pages(pool), pages(test)


def _nearly_equal(matches, seen, tested, tolerance, pair, pages=None):
    """Add records whose thumbnail correlates with one of the pool, once the form is taken off.

    Parameters
    ----------
    pages : tuple of two functions, optional
        Of :func:`_both_pages`: what may be a copy is then decided at full resolution.

    Returns
    -------
    dict of int to int
        Test record -> image of the pool that it only resembles.
    """
    resembling: dict[int, int] = {}
    if seen.perceptual is None or tested.perceptual is None or len(seen) + len(tested) < 3:
        return resembling
    everything = [seen.perceptual, tested.perceptual]
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in everything)
    mean = (mean / (len(seen) + len(tested))).astype(np.float32)
    pool = residual(seen.perceptual, mean)
    for start in range(0, len(tested), _BLOCK):
        block = residual(tested.perceptual[start : start + _BLOCK], mean)
        alike = block @ pool.T
        best = alike.argmax(axis=1)
        height = alike[np.arange(len(block)), best]
        second = np.partition(alike, -2, axis=1)[:, -2] if alike.shape[1] > 2 else 1.0
        # A copy that was changed a little is far from 1, and far from all other pages too.
        likely = (height > _LIKELY[0]) & (height - second > _LIKELY[1])
        sure = height > 1 - tolerance
        if pages is None and pair is not None:
            sure |= (height > pair[0]) & (height - second > pair[1])
        for j in np.flatnonzero(sure):
            matches.setdefault(start + int(j), (int(best[j]), "nearly equal"))
        for j in np.flatnonzero(likely & ~sure):
            resembling[start + int(j)] = int(best[j])
    if pages is not None:
        _look_at(
            pages, likely_copies(tested.perceptual, seen.perceptual, mean), matches, resembling
        )
    return resembling


def _look_at(pages, candidates, matches, resembling):
    """Decide at full resolution, the likeliest first; beyond a number, thumbnails have to do."""
    places = [tuple(candidate) for candidate in candidates]
    # What only resembles as it lies is no candidate of the search over places: look there too.
    known = {(j, i) for j, i, _ in places}
    places += [(j, i, None) for j, i in resembling.items() if (j, i) not in known]
    places = [place for place in places if place[0] not in matches]
    for j, i, around in places[:_MOST_LOOKS]:
        same = _same_page(pages[0](i), pages[1](j), around)
        if same:
            matches[j] = (i, "nearly equal")
        elif same is not None:
            resembling.pop(j, None)


def _same_page(a, b, around):
    """Whether two pages are one, laid one over the other; None where they are too small to say."""
    for page in (a, b):
        if page.dtype != np.uint8 or page.ndim != 3 or min(page.shape[:2]) < LEAST_SIDE:
            return None
    return page_agreement(a, b, around) > SAME


def _warn_of(resembling, seen, tested):
    """Name the records that only resemble an image of the pool."""
    if not resembling:
        return
    pairs = list(resembling.items())
    named = "; ".join(
        f"record {j}{'' if tested.names is None else f' ({tested.names[j]})'} and {seen.name(i)}"
        for j, i in pairs[:_NAMED]
    )
    more = f"; and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    warnings.warn(
        f"check_pool: {len(pairs)} of {len(tested)} test records look like one image of the pool "
        f"and no other, as a copy that was turned, moved or cropped does: {named}{more}. Look at "
        "both of each pair.",
        UserWarning,
        stacklevel=3,
    )


def page_residuals(images) -> np.ndarray:
    """How each page differs from the average page, (n_records, 4096), each of length 1."""
    marks = _fingerprints(images, (224, 224))
    mean = marks.perceptual.mean(axis=0, dtype=np.float64).astype(np.float32)
    return residual(marks.perceptual, mean)


def _same_patient(matches, seen, tested, pool_groups, groups):
    """Add records whose patient is in the pool."""
    # As text: numbers of one table are often the text of another.
    pool = list(enumerate(map(patient_text, pool_groups.tolist())))
    place = {patient: i for i, patient in reversed(pool)}
    for j, patient in enumerate(map(patient_text, groups.tolist())):
        if patient in place:
            matches.setdefault(j, (place[patient], "same patient"))

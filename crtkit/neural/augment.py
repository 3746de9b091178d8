"""Augmentation of training batches of images, on the device they are on."""

import torch
from sklearn.base import BaseEstimator
from torch.nn.functional import affine_grid, grid_sample


class ImageAugment(BaseEstimator):
    """Small shifts, zooms and changes of light, drawn anew for each image of a batch.

    Meant for pages of ECGs: nothing is mirrored or turned upside down, and no colour is changed,
    since polarity, order in time and the colour of the grid mean something.

    An augmentation is any object with ``__call__(batch) -> batch`` that draws from torch's current
    generator (the estimator has seeded it) and is of a class at module level.

    Parameters
    ----------
    shift : float, default=0.02
        Largest shift, as a fraction of height and width.
    zoom : float, default=0.05
        Largest change of scale: 0.05 draws from [0.95, 1.05].
    brightness : float, default=0.1
        Largest amount added, in standard deviations of a normalised pixel.
    contrast : float, default=0.1
        Largest change of contrast: 0.1 draws a factor from [0.9, 1.1].

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural.augment import ImageAugment
    >>> ImageAugment()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(self, *, shift=0.02, zoom=0.05, brightness=0.1, contrast=0.1):
        self.shift = shift
        self.zoom = zoom
        self.brightness = brightness
        self.contrast = contrast

    def __call__(self, batch):
        """Augment a floating batch of shape (n_records, 3, height, width)."""
        n = len(batch)
        theta = torch.zeros(n, 2, 3, dtype=batch.dtype, device=batch.device)
        scale = 1 + self.zoom * _uniform(batch, (n,))
        theta[:, 0, 0] = theta[:, 1, 1] = scale
        # A grid runs from -1 to 1, so a shift of the whole image is 2.
        theta[:, :, 2] = 2 * self.shift * _uniform(batch, (n, 2))
        grid = affine_grid(theta, list(batch.shape), align_corners=False)
        batch = grid_sample(batch, grid, padding_mode="border", align_corners=False)
        contrast = 1 + self.contrast * _uniform(batch, (n, 1, 1, 1))
        return batch * contrast + self.brightness * _uniform(batch, (n, 1, 1, 1))


def _uniform(like, shape):
    """Numbers in [-1, 1) on the device and in the dtype of a tensor."""
    return 2 * torch.rand(shape, dtype=like.dtype, device=like.device) - 1

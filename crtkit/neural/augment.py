"""Augmentation of training batches of images, on the device they are on."""

import math
from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

# Beyond these a page would be mirrored, turned over or torn: perspective of a half meets infinity.
_IMAGE_RANGES = {"shift": 1, "zoom": 0.9, "brightness": math.inf, "contrast": 1}
_PAGE_RANGES = {
    **{"rotation": 180, "shear": 60, "perspective": 0.45, "brightness": math.inf, "contrast": 1},
    **{"grid_colour": 1, "hue": 180, "blur": 1, "noise": math.inf, "cutout": 1, "mirror": 1},
}


class ImageAugment(BaseEstimator):
    """Small shifts, zooms and changes of light, drawn afresh for each image of a batch.

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
        check_ranges(self, _IMAGE_RANGES)
        n = len(batch)
        theta = torch.zeros(n, 2, 3, dtype=batch.dtype, device=batch.device)
        scale = 1 + self.zoom * uniform(batch, (n,))
        theta[:, 0, 0] = theta[:, 1, 1] = scale
        # A grid runs from -1 to 1, so a shift of the whole image is 2.
        theta[:, :, 2] = 2 * self.shift * uniform(batch, (n, 2))
        # Inside autocast the coordinates would be rounded to bf16: half a pixel at 224.
        with torch.autocast(batch.device.type, enabled=False):
            grid = affine_grid(theta, list(batch.shape), align_corners=False)
            # Paper goes on at the edge; black there would be a feature of every moved page.
            batch = grid_sample(batch, grid, padding_mode="border", align_corners=False)
        contrast = 1 + self.contrast * uniform(batch, (n, 1, 1, 1))
        return batch * contrast + self.brightness * uniform(batch, (n, 1, 1, 1))


class PageAugment(BaseEstimator):
    """Views of ECG pages for self-supervised pretraining, drawn afresh for each image of a batch.

    What photographing or scanning changes is varied: framing, angle, perspective, light, the tint
    of the grid, focus, noise, a covered part. All images of a batch are handled at once on their
    device: one resampling for crop, rotation, shear and perspective together, one product for all
    colours.

    Pages are not mirrored by default: a mirrored ECG runs backwards in time and puts V6 where I
    was, so the network would be taught that the order of P, QRS and T does not matter. Hue jitter
    and wide blur, usual in photographs, are off too: the first makes ink and grid change places,
    the second removes the trace, which at 224 pixels is one pixel wide.

    Parameters
    ----------
    crop : tuple of float, default=(0.5, 1.0)
        Smallest and largest share of the area that is kept, resized to the full image.
    rotation : float, default=3.0
        Largest angle in degrees.
    shear : float, default=2.0
        Largest shear in degrees.
    perspective : float, default=0.05
        Largest difference of scale between opposite edges.
    brightness : float, default=0.3
        Largest amount added, in standard deviations of a normalised pixel.
    contrast : float, default=0.3
        Largest change of contrast: 0.3 draws a factor from [0.7, 1.3].
    grid_colour : float, default=0.5
        Largest change, a channel, of the difference from grey: the coloured grid changes, black
        ink and white paper hardly do.
    hue : float, default=0.0
        Largest rotation of hue in degrees.
    blur : float, default=0.5
        Largest weight of the blurred image, mixed with the sharp one.
    blur_window : int, default=3
        Odd width of the blur in pixels; 23 is SimCLR's for photographs of 224 pixels.
    noise : float, default=0.1
        Largest standard deviation of grey noise.
    cutout : float, default=0.3
        Largest side of the rectangle that is set to 0 (the mean pixel), as a share of the image.
    mirror : float, default=0.0
        Probability of mirroring left and right, which reverses time.

    Notes
    -----
    Random numbers come from torch's current generator on the device of the batch: the same seed
    gives the same views on the same device.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural import PageAugment
    >>> PageAugment()(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 3, 8, 8])
    """

    def __init__(
        self,
        *,
        crop=(0.5, 1.0),
        rotation=3.0,
        shear=2.0,
        perspective=0.05,
        brightness=0.3,
        contrast=0.3,
        grid_colour=0.5,
        hue=0.0,
        blur=0.5,
        blur_window=3,
        noise=0.1,
        cutout=0.3,
        mirror=0.0,
    ):
        self.crop = crop
        self.rotation = rotation
        self.shear = shear
        self.perspective = perspective
        self.brightness = brightness
        self.contrast = contrast
        self.grid_colour = grid_colour
        self.hue = hue
        self.blur = blur
        self.blur_window = blur_window
        self.noise = noise
        self.cutout = cutout
        self.mirror = mirror

    def __call__(self, batch):
        """Augment a floating batch of shape (n_records, 3, height, width)."""
        self._check()
        # Coordinates in full, as in ImageAugment.
        with torch.autocast(batch.device.type, enabled=False):
            batch = grid_sample(
                batch, self._grid(batch), padding_mode="border", align_corners=False
            )
            batch = self._colour(batch)
            if self.blur:
                window = self.blur_window
                smooth = avg_pool2d(batch, window, 1, window // 2, count_include_pad=False)
                weight = self.blur * torch.rand_like(batch[:, :1, :1, :1])
                batch = torch.lerp(batch, smooth, weight)
            if self.noise:
                level = self.noise * torch.rand_like(batch[:, :1, :1, :1])
                batch = batch + level * torch.randn_like(batch[:, :1])
            return batch * self._uncovered(batch) if self.cutout else batch

    def _check(self):
        crop = self.crop
        pair = isinstance(crop, (tuple, list)) and len(crop) == 2
        if not (pair and all(isinstance(c, Real) for c in crop) and 0 < crop[0] <= crop[1] <= 1):
            raise ValueError(
                f"PageAugment expects crop=(low, high) with 0 < low <= high <= 1, got {crop}."
            )
        window = self.blur_window
        if not isinstance(window, Integral) or window < 1 or window % 2 == 0:
            raise ValueError(f"PageAugment expects blur_window odd and positive, got {window}.")
        check_ranges(self, _PAGE_RANGES)

    def _grid(self, batch):
        """Where each pixel of the views comes from: one projective map an image."""
        n, _, height, width = batch.shape
        low, high = self.crop
        scale = (low + (high - low) * (1 + uniform(batch, (n,))) / 2).sqrt()
        angle = math.radians(self.rotation) * uniform(batch, (n,))
        shear = torch.tan(math.radians(self.shear) * uniform(batch, (n,)))
        sign = 1 - 2 * (torch.rand(n, dtype=batch.dtype, device=batch.device) < self.mirror).to(
            batch.dtype
        )
        # Coordinates run from -1 to 1 along both sides, so a rotation must know their proportion.
        ratio = height / width
        cos, sin = torch.cos(angle), torch.sin(angle)
        matrix = torch.zeros(n, 3, 3, dtype=batch.dtype, device=batch.device)
        matrix[:, 0, 0] = scale * sign * cos
        matrix[:, 0, 1] = scale * (shear * cos - sin) * ratio
        matrix[:, 1, 0] = scale * sign * sin / ratio
        matrix[:, 1, 1] = scale * (shear * sin + cos)
        matrix[:, :2, 2] = (1 - scale)[:, None] * uniform(batch, (n, 2))
        matrix[:, 2, :2] = self.perspective * uniform(batch, (n, 2))
        matrix[:, 2, 2] = 1
        x = (2 * torch.arange(width, dtype=batch.dtype, device=batch.device) + 1) / width - 1
        y = (2 * torch.arange(height, dtype=batch.dtype, device=batch.device) + 1) / height - 1
        place = torch.stack([*torch.meshgrid(x, y, indexing="xy"), torch.ones_like(x + y[:, None])])
        place = (matrix @ place.reshape(3, -1)).reshape(n, 3, height, width)
        return (place[:, :2] / place[:, 2:]).permute(0, 2, 3, 1)

    def _colour(self, batch):
        """Light, tint and hue: one 3 x 3 matrix and an offset an image."""
        n = len(batch)
        eye = torch.eye(3, dtype=batch.dtype, device=batch.device)
        # Only what differs from grey is scaled: ink and paper are grey, the grid is not.
        grey = torch.full_like(eye, 1 / 3)
        tint = 1 + self.grid_colour * uniform(batch, (n, 3, 1))
        matrix = grey + tint * (eye - grey)
        if self.hue:
            matrix = _hue_rotation(math.radians(self.hue) * uniform(batch, (n,))) @ matrix
        contrast = 1 + self.contrast * uniform(batch, (n, 1, 1))
        flat = batch.reshape(n, 3, -1)
        # About the image's own mean, so that contrast does not change its light.
        mean = (matrix @ flat.mean(dim=2, keepdim=True)) * (1 - contrast)
        offset = mean + self.brightness * uniform(batch, (n, 1, 1))
        return torch.baddbmm(offset, contrast * matrix, flat).reshape(batch.shape)

    def _uncovered(self, batch):
        """0 in one rectangle an image, 1 elsewhere."""
        n, _, height, width = batch.shape
        sides = []
        for length in (height, width):
            half = self.cutout / 2 * torch.rand_like(batch[:, 0, 0, :1])
            centre = torch.rand_like(half)
            place = (torch.arange(length, dtype=batch.dtype, device=batch.device) + 0.5) / length
            sides.append(((place - centre).abs() < half).to(batch.dtype))
        rows, columns = sides
        return 1 - rows[:, None, :, None] * columns[:, None, None, :]


def two_views(augment, batch):
    """Two augmented views of every image of a batch, one after the other."""
    return torch.cat([augmented(augment, batch), augmented(augment, batch)])


def augmented(augment, batch):
    """One view of every record of a batch, refused where it has another shape.

    Raises
    ------
    ValueError
        What ``augment`` gave is no tensor of the shape of the batch.
    """
    view = augment(batch)
    if not isinstance(view, torch.Tensor) or view.shape != batch.shape:
        got = tuple(view.shape) if isinstance(view, torch.Tensor) else type(view).__name__
        raise ValueError(
            f"An augmentation returns one view of every record, {tuple(batch.shape)}, but "
            f"{augment!r} gave {got}."
        )
    return view


def check_ranges(augment, ranges):
    """Refuse parameters that are not numbers from 0 to their largest sensible value."""
    for name, largest in ranges.items():
        value = getattr(augment, name)
        if not isinstance(value, Real) or not 0 <= value <= largest:
            raise ValueError(
                f"{type(augment).__name__} expects {name} from 0 to {largest}, got {value!r}."
            )


def _hue_rotation(angle):
    """Rotations (n_records, 3, 3) of colour about grey."""
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    eye = torch.eye(3, dtype=angle.dtype, device=angle.device)
    cross = torch.tensor(
        [[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]],
        dtype=angle.dtype,
        device=angle.device,
    )
    return cos * eye + (1 - cos) / 3 + sin * cross / math.sqrt(3)


def uniform(like, shape):
    """Random numbers in [-1, 1) on the device and in the dtype of a tensor."""
    return 2 * torch.rand(shape, dtype=like.dtype, device=like.device) - 1

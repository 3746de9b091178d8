"""Views of pages by what happens to paper: the renderer's artefacts on training batches."""

import numpy as np
import torch
from PIL import Image
from sklearn.base import BaseEstimator

from crtkit.images import ARTEFACTS, spoil
from crtkit.images.decode import resize_page
from crtkit.neural.resnet_network import PIXEL_MEAN, PIXEL_STD


class ArtefactAugment(BaseEstimator):
    """Fold, stain, photograph and fax pages of a batch, each page by its own chance.

    The artefacts are those of :func:`crtkit.images.spoil`, which also spoils the pages that the
    digitizer is measured on; they run on the CPU, page by page, so that
    :class:`~crtkit.neural.PageAugment` is the faster choice for framing, angle and light alone.

    Parameters
    ----------
    dials : dict of str to float, default=None
        Largest setting of each artefact; each page draws its own from 0 to there, tilt to either
        side. None takes moderate settings of perspective, tilt, crease, shadow, stain and blur.
    share : float, default=0.5
        Probability that an artefact happens to a page at all.

    Notes
    -----
    Random numbers come from torch's current generator, as those of every augmentation.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural import ArtefactAugment
    >>> ArtefactAugment(dials={"crease": 0.5})(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 3, 32, 32])
    """

    def __init__(self, *, dials=None, share=0.5):
        self.dials = dials
        self.share = share

    def __call__(self, batch):
        """Augment a floating batch of shape (n_records, 3, height, width), normalised."""
        dials = DEFAULT_DIALS if self.dials is None else self.dials
        unknown = sorted(set(dials) - set(ARTEFACTS))
        if unknown or not 0 <= self.share <= 1:
            raise ValueError(
                f"ArtefactAugment expects dials among {', '.join(ARTEFACTS)} and share from 0 to "
                f"1, got dials {dials!r} and share {self.share!r}."
            )
        shift = batch.new_tensor(PIXEL_MEAN)[:, None, None]
        scale = batch.new_tensor(PIXEL_STD)[:, None, None]
        pages = ((batch * scale + shift) * 255).round().clamp(0, 255).byte()
        pages = pages.permute(0, 2, 3, 1).cpu().numpy()
        out = np.stack([self._view(page, dials) for page in pages])
        out = torch.as_tensor(out, device=batch.device).permute(0, 3, 1, 2)
        return (out.to(batch.dtype) / 255 - shift) / scale

    def _view(self, page, dials):
        draws = torch.rand(2 * len(dials)).reshape(-1, 2).tolist()
        drawn = {}
        for (name, most), (chance, size) in zip(dials.items(), draws):
            if chance < self.share:
                # JPEG's dial counts quality: the more, the less happens.
                drawn[name] = 100 - size * (100 - most) if name == "jpeg" else most * size
        if "tilt" in drawn and torch.rand(1).item() < 0.5:
            drawn["tilt"] *= -1
        seed = int(torch.randint(2**31 - 1, (1,)))
        out = spoil(page, drawn, random_state=seed)
        if out.shape == page.shape:
            return out
        # Tilt enlarges the sheet: views keep their size.
        return np.asarray(resize_page(Image.fromarray(out), page.shape[:2]))


DEFAULT_DIALS = {
    **{"perspective": 0.05, "tilt": 3.0, "crease": 0.6},
    **{"shadow": 0.4, "stain": 0.4, "blur": 0.7},
}
"""Moderate largest settings: what is read by eye without effort."""

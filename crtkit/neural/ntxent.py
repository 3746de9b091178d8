"""The head and the loss of SimCLR, as a module and a function of two sets of embeddings."""

import torch
from torch.nn.functional import cross_entropy, normalize


def nt_xent_loss(z0, z1, temperature=0.1, reduction="mean"):
    """Normalised temperature-scaled cross-entropy between two views of a batch.

    Each of the 2 n_records embeddings is an anchor. Its positive is the other view of the same
    record, its negatives are the 2 (n_records - 1) views of the others; it is never compared with
    itself [1]_.

    Parameters
    ----------
    z0, z1 : tensor of shape (n_records, n_features)
        Embeddings of the two views, a record a row; they need not be normalised.
    temperature : float, default=0.1
        Divides the cosines.
    reduction : {"mean", "none"}, default="mean"
        ``"none"`` gives one loss per record, the mean of its two anchors.

    Returns
    -------
    tensor of shape () or (n_records,)
        At least float32, also inside autocast.

    Raises
    ------
    ValueError
        Shapes differ, or fewer than two records: there is no negative then.

    References
    ----------
    .. [1] Chen T, Kornblith S, Norouzi M, Hinton G. A simple framework for contrastive learning of
       visual representations. ICML 2020, equation 1.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural import nt_xent_loss
    >>> z = torch.eye(4)
    >>> round(nt_xent_loss(z, z, temperature=0.5).item(), 4)
    0.5944
    """
    if z0.shape != z1.shape or z0.ndim != 2 or len(z0) < 2:
        raise ValueError(
            "nt_xent_loss expects two tensors of one shape (n_records, n_features) with at least 2 "
            f"records, since negatives are other records; got {tuple(z0.shape)} and "
            f"{tuple(z1.shape)}."
        )
    n = len(z0)
    # A temperature of 0.1 stretches similarities tenfold, beyond the three digits of bf16.
    with torch.autocast(z0.device.type, enabled=False):
        z = torch.cat([z0, z1])
        z = normalize(z if z.dtype == torch.float64 else z.float(), dim=1)
        itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
        logits = (z @ z.T / temperature).masked_fill(itself, -torch.inf)
        # The other view of record i stands n places further, around the end.
        positive = torch.arange(2 * n, device=z.device).roll(n)
        # NT-Xent is a cross entropy over the other 2n - 1 views, and torch has a stable one.
        losses = cross_entropy(logits, positive, reduction="none")
    # One loss per record, so that weights of records apply as in every other criterion.
    return losses.mean() if reduction == "mean" else (losses[:n] + losses[n:]) / 2


class NTXent(torch.nn.Module):
    """The loss of a record from the projections of both views, stacked on axis 0."""

    def __init__(self, temperature):
        super().__init__()
        self.temperature = temperature

    def forward(self, projections, target):
        """Losses (n_records,) of projections (2 n_records, n_features); the target is not used."""
        n = len(projections) // 2
        return nt_xent_loss(projections[:n], projections[n:], self.temperature, "none")


class ProjectionHead(torch.nn.Sequential):
    """The two layers between embedding and loss, which are thrown away after pretraining.

    Parameters
    ----------
    n_features : int
        Of the embedding; the hidden layer has as many.
    n_outputs : int
        Of the projection.

    Examples
    --------
    >>> import torch
    >>> from crtkit.neural import ProjectionHead
    >>> ProjectionHead(64, 16)(torch.zeros(2, 64)).shape
    torch.Size([2, 16])
    """

    def __init__(self, n_features, n_outputs):
        super().__init__(
            # BatchNorm subtracts what a bias would add.
            torch.nn.Linear(n_features, n_features, bias=False),
            torch.nn.BatchNorm1d(n_features),
            torch.nn.ReLU(),
            torch.nn.Linear(n_features, n_outputs),
        )

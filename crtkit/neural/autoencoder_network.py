"""Linear layers around a code, and the loss and batches that train them."""

import torch

from crtkit.neural.batches import RecordDataset

ACTIVATIONS = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "elu": torch.nn.ELU}


class Autoencoder(torch.nn.Module):
    """Linear layers around a code; its forward pass gives the residuals of standardised input.

    Parameters
    ----------
    mean : ndarray of shape (n_inputs,)
        Taken off the encoded input.
    scale : float
        One for all inputs, so that the best linear code is that of centred PCA.
    hidden : tuple of int
        Widths between input and code; mirrored behind it.
    n_components : int
    activation : str or None
        After every hidden layer; the code and the output are linear.
    circular : bool
        Whether the input is degrees, encoded as cosines and sines.
    """

    def __init__(self, mean, scale, hidden, n_components, activation, circular):
        super().__init__()
        self.n_components = n_components
        self.circular = circular
        # Buffers go to the device with the module and into its file, but do not train.
        self.register_buffer("mean", torch.as_tensor(mean))
        self.register_buffer("scale", torch.as_tensor(float(scale)))
        sizes = [len(mean), *hidden, n_components]
        self.encoder = _layers(sizes, activation)
        self.decoder = _layers(sizes[::-1], activation)

    def embed(self, x):
        """Input as read -> code."""
        return self.encoder(self.standardise(x))

    def standardise(self, x):
        """Input as read -> what the first layer takes."""
        return (encode(x.flatten(1), self.circular) - self.mean) / self.scale

    def decode(self, code):
        """Code -> encoded input, in its own units."""
        return self.decoder(code) * self.scale + self.mean

    def forward(self, z):
        """Residuals of what :meth:`standardise` gives: training standardises once, not a step."""
        return self.decoder(self.encoder(z)) - z


def encode(x, circular):
    """Rows of pixels -> what is standardised: as they are, or degrees as cosines and sines."""
    if not circular:
        return x
    x = torch.deg2rad(x)
    return torch.cat([torch.cos(x), torch.sin(x)], dim=1)


class MeanSquare(torch.nn.Module):
    """Mean squared residual of every record."""

    def forward(self, residual, target):
        """``target`` is not used: residuals already know it."""
        return residual.square().mean(dim=1)


class Maps(RecordDataset):
    """Maps in memory; all of them in one batch are handed out as they are, a mean has no order."""

    def batch(self, positions, pin=False):
        """As of `RecordDataset`, without a copy of the whole, which is pinned nowhere."""
        if len(positions) < len(self):
            return super().batch(positions, pin)
        target, weight = torch.from_numpy(self.target), torch.from_numpy(self.weight)
        return torch.from_numpy(self.X), (target, weight)


def _layers(sizes, activation):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        # Between layers only: the code and the output stay linear.
        if i and activation is not None:
            layers.append(ACTIVATIONS[activation]())
        layers.append(torch.nn.Linear(a, b))
    return torch.nn.Sequential(*layers)

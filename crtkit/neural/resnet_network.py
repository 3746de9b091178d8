"""torchvision's ResNet at any width, and how images enter it. Imports torchvision."""

import torch
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet as TorchvisionResNet

BLOCKS = {
    18: (BasicBlock, [2, 2, 2, 2]),
    34: (BasicBlock, [3, 4, 6, 3]),
    50: (Bottleneck, [3, 4, 6, 3]),
    101: (Bottleneck, [3, 4, 23, 3]),
}
STAGES = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))

# torchvision's ImageNet statistics of pixels / 255; every image network here uses them, so that
# a pretrained encoder and the classifier above it cannot disagree about the scale.
PIXEL_MEAN = (0.485, 0.456, 0.406)
PIXEL_STD = (0.229, 0.224, 0.225)


class ResNet(TorchvisionResNet):
    """torchvision's ResNet with ``width`` channels in its first stage instead of 64.

    At width 64 the names and shapes of its tensors are torchvision's, so that published weights
    load.

    Parameters
    ----------
    depth : {18, 34, 50, 101}
    width : int
    n_outputs : int or None
        Outputs of the linear head ``fc``; None for an encoder, whose output is the embedding.
    dropout : float
        In front of the head.
    """

    def __init__(self, depth, width=64, n_outputs=None, dropout=0.0):
        self.width = width
        self.frozen = ()
        block, layers = BLOCKS[depth]
        super().__init__(block, layers, num_classes=n_outputs or 1)
        if width != 64:
            self.conv1 = torch.nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
            torch.nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
            self.bn1 = torch.nn.BatchNorm2d(width)
        self.n_features = 8 * width * block.expansion
        self.dropout = torch.nn.Dropout(dropout)
        self.fc = torch.nn.Linear(self.n_features, n_outputs) if n_outputs else torch.nn.Identity()

    def _make_layer(self, block, planes, *args, **kwargs):
        # The first stage: torchvision has set 64 input planes, the stem here gives ``width``.
        if planes == 64:
            self.inplanes = self.width
        return super()._make_layer(block, planes * self.width // 64, *args, **kwargs)

    def embed(self, x):
        """Images (n_records, 3, height, width) -> embeddings (n_records, n_features)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return torch.flatten(self.avgpool(x), 1)

    def forward(self, x):
        """Images -> logits, or embeddings where there is no head."""
        return self.fc(self.dropout(self.embed(x)))

    def freeze(self, n_trainable):
        """Leave only the last ``n_trainable`` of the five stages, and the head, trainable."""
        frozen = STAGES[: len(STAGES) - n_trainable]
        self.frozen = tuple(name for stage in frozen for name in stage)
        for name in self.frozen:
            getattr(self, name).requires_grad_(False)
        return self.train(self.training)

    def train(self, mode=True):
        """Frozen stages stay in eval mode: training mode would move their BatchNorm statistics."""
        super().train(mode)
        for name in self.frozen:
            # Frozen stages keep their running statistics, or a small cohort would move them after
            # all.
            getattr(self, name).eval()
        return self


def images_to_input(batch, dtype, input_shape=None):
    """Images as they are stored -> what a ResNet takes, on the device they are on.

    Parameters
    ----------
    batch : tensor of shape (n_records, height, width, 3) or (n_records, n_pixels)
        uint8 is divided by 255 and normalised with the ImageNet statistics; floating values are
        taken as they are. 2-D is one row of grey pixels, unless ``input_shape`` says otherwise.
    dtype : torch.dtype
    input_shape : tuple of int, optional
        (height, width) or (height, width, 3): unflattens 2-D input.

    Returns
    -------
    tensor of shape (n_records, 3, height, width)
    """
    if batch.ndim == 2:
        shape = (1, batch.shape[1]) if input_shape is None else tuple(input_shape)
        batch = batch.reshape(len(batch), *shape)
        if batch.ndim == 3:
            batch = batch[..., None].expand(*batch.shape, 3)
    x = batch.permute(0, 3, 1, 2).to(dtype)
    if batch.dtype == torch.uint8:
        shift = torch.tensor(PIXEL_MEAN, dtype=dtype, device=x.device)[:, None, None]
        scale = torch.tensor(PIXEL_STD, dtype=dtype, device=x.device)[:, None, None]
        x = (x / 255 - shift) / scale
    return x

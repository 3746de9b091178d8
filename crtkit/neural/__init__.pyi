from .artefact_augment import ArtefactAugment as ArtefactAugment
from .augment import ImageAugment as ImageAugment, PageAugment as PageAugment
from .autoencoder import AutoencoderFeatures as AutoencoderFeatures
from .base import TorchClassifier as TorchClassifier
from .cards import read_card as read_card
from .distributed import several_devices as several_devices
from .ecgfm.classifier import ECGFMClassifier as ECGFMClassifier
from .ecgfm.pretraining import ECGFMPretraining as ECGFMPretraining
from .modules import ModuleClassifier as ModuleClassifier, wrap_module as wrap_module
from .ntxent import ProjectionHead as ProjectionHead, nt_xent_loss as nt_xent_loss
from .resnet import ResNetClassifier as ResNetClassifier
from .sequence import FCNClassifier as FCNClassifier, LSTMFCNClassifier as LSTMFCNClassifier
from .sequence_residual import (
    InceptionTimeClassifier as InceptionTimeClassifier,
    ResNet1dClassifier as ResNet1dClassifier,
)
from .signal_augment import SignalAugment as SignalAugment
from .simclr import SimCLR as SimCLR
from .weights import read_weights as read_weights, save_weights as save_weights

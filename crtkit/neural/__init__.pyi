from .augment import ImageAugment as ImageAugment
from .autoencoder import AutoencoderFeatures as AutoencoderFeatures
from .ecgfm_classifier import ECGFMClassifier as ECGFMClassifier
from .resnet import ResNetClassifier as ResNetClassifier
from .sequence import (
    FCNClassifier as FCNClassifier,
    InceptionTimeClassifier as InceptionTimeClassifier,
    LSTMFCNClassifier as LSTMFCNClassifier,
    ResNet1dClassifier as ResNet1dClassifier,
)
from .weights import read_weights as read_weights, save_weights as save_weights

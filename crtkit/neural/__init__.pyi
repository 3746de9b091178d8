from .augment import ImageAugment as ImageAugment
from .resnet import ResNetClassifier as ResNetClassifier
from .weights import read_weights as read_weights, save_weights as save_weights

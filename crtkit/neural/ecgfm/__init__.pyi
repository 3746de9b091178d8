from .checkpoint import (
    checkpoint_hash as checkpoint_hash,
    load_checkpoint as load_checkpoint,
    load_safetensors as load_safetensors,
    save_safetensors as save_safetensors,
)
from .classifier import ECGFMClassifier as ECGFMClassifier
from .network import ECGFM as ECGFM, SIZES as SIZES, ECGFMConfig as ECGFMConfig
from .pretraining import ECGFMPretraining as ECGFMPretraining

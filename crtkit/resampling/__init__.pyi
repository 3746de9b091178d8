from .recalibrated import RecalibratedClassifier as RecalibratedClassifier
from .resampled import ResampledClassifier as ResampledClassifier
from .threshold import (
    HeldOutThreshold as HeldOutThreshold,
    best_threshold as best_threshold,
)

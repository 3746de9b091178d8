"""What a classifier is fitted on and put right with: oversampling, recalibration, a threshold.

All work on positions of records, so that X may have any shape and patients follow their rows. An
imbalanced-learn Pipeline passes the next step the groups of the rows *before* resampling.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

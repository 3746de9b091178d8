from .archive import BundleError as BundleError
from .external import evaluate_bundle as evaluate_bundle
from .prediction import predict as predict
from .saving import (
    Bundle as Bundle,
    BundleVersionWarning as BundleVersionWarning,
    card as card,
    load as load,
    read_bundle as read_bundle,
    save as save,
)

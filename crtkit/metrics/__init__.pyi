from .counts import (
    ConfusionCounts as ConfusionCounts,
    accuracy as accuracy,
    balanced_accuracy as balanced_accuracy,
    confusion_counts as confusion_counts,
    f1 as f1,
    npv as npv,
    ppv as ppv,
    sensitivity as sensitivity,
    specificity as specificity,
)
from .ranking import (
    OperatingPoint as OperatingPoint,
    at_sensitivity as at_sensitivity,
    average_precision as average_precision,
    brier as brier,
    roc_auc as roc_auc,
)
from .scorers import SCORERS as SCORERS

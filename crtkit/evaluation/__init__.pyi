from .calibration import (
    Calibration as Calibration,
    calibration_figures as calibration_figures,
    loess as loess,
)
from .decision import net_benefit as net_benefit
from .intervals import (
    BootstrapInterval as BootstrapInterval,
    bootstrap_interval as bootstrap_interval,
    nadeau_bengio_interval as nadeau_bengio_interval,
)
from .journal import JournalError as JournalError
from .leaks import PoolLeakError as PoolLeakError, check_pool as check_pool
from .result import Evaluation as Evaluation
from .roc import mean_roc as mean_roc
from .run import evaluate as evaluate
from .splits import (
    RepeatedStratifiedPatientSplit as RepeatedStratifiedPatientSplit,
    group_holdout as group_holdout,
)

from .abstain import ConformalClassifier as ConformalClassifier
from .audit import audit_leaks as audit_leaks
from .calibration import (
    Calibration as Calibration,
    calibration_figures as calibration_figures,
    loess as loess,
)
from .conformal import (
    conformal_p_values as conformal_p_values,
    conformal_sets as conformal_sets,
    conformal_thresholds as conformal_thresholds,
    risk_coverage as risk_coverage,
)
from .decision import net_benefit as net_benefit
from .external import expected_auc as expected_auc
from .intervals import (
    BootstrapInterval as BootstrapInterval,
    bootstrap_interval as bootstrap_interval,
    nadeau_bengio_interval as nadeau_bengio_interval,
    wilson_interval as wilson_interval,
)
from .journal import JournalError as JournalError
from .leaks import PoolLeakError as PoolLeakError, check_pool as check_pool
from .learning import (
    learning_curve as learning_curve,
    optimism_bootstrap as optimism_bootstrap,
)
from .planning import (
    max_parameters as max_parameters,
    r2_from_auc as r2_from_auc,
    sample_size as sample_size,
    validation_sample_size as validation_sample_size,
)
from .result import Evaluation as Evaluation
from .robustness import plot_robustness as plot_robustness, robustness_card as robustness_card
from .roc import mean_roc as mean_roc
from .run import evaluate as evaluate
from .splits import (
    RepeatedStratifiedPatientSplit as RepeatedStratifiedPatientSplit,
    group_holdout as group_holdout,
)

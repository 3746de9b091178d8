from .external import expected_auc as expected_auc
from .leaks.audit import audit_leaks as audit_leaks
from .leaks.pool import PoolLeakError as PoolLeakError, check_pool as check_pool
from .result import Evaluation as Evaluation
from .resume.journal import JournalError as JournalError
from .risks.abstain import ConformalClassifier as ConformalClassifier
from .risks.calibration import (
    Calibration as Calibration,
    calibration_figures as calibration_figures,
    loess as loess,
)
from .risks.conformal import (
    conformal_p_values as conformal_p_values,
    conformal_sets as conformal_sets,
    conformal_thresholds as conformal_thresholds,
    risk_coverage as risk_coverage,
)
from .risks.decision import net_benefit as net_benefit
from .risks.roc import mean_roc as mean_roc
from .robustness.card import plot_robustness as plot_robustness, robustness_card as robustness_card
from .run import evaluate as evaluate
from .splits import (
    RepeatedStratifiedPatientSplit as RepeatedStratifiedPatientSplit,
    group_holdout as group_holdout,
)
from .uncertainty.intervals import (
    BootstrapInterval as BootstrapInterval,
    bootstrap_interval as bootstrap_interval,
    nadeau_bengio_interval as nadeau_bengio_interval,
)
from .uncertainty.learning import (
    learning_curve as learning_curve,
    optimism_bootstrap as optimism_bootstrap,
)
from .uncertainty.planning import (
    max_parameters as max_parameters,
    r2_from_auc as r2_from_auc,
    sample_size as sample_size,
    validation_sample_size as validation_sample_size,
)
from .uncertainty.proportions import wilson_interval as wilson_interval

from .correlation import pearson_table as pearson_table
from .delong import delong_interval as delong_interval, delong_test as delong_test
from .firth import fit_firth as fit_firth
from .incremental import incremental_value as incremental_value
from .logistic import (
    multivariable_logistic as multivariable_logistic,
    univariate_logistic as univariate_logistic,
)
from .meta_analysis import (
    Pooled as Pooled,
    meta_analyse as meta_analyse,
    pool_effects as pool_effects,
)
from .model_tests import (
    corrected_resampled_ttest as corrected_resampled_ttest,
    critical_difference as critical_difference,
    friedman_test as friedman_test,
    rm_anova as rm_anova,
    wilcoxon_holm as wilcoxon_holm,
)
from .p_values import format_p as format_p
from .paired_tests import mcnemar_test as mcnemar_test, permutation_test as permutation_test
from .pooled_plot import plot_pooled as plot_pooled
from .printed.p_values import rebuild_p_values as rebuild_p_values
from .printed.scores import ScoreAudit as ScoreAudit, audit_scores as audit_scores
from .printed.tables import audit_table as audit_table
from .screen import UnivariateScreen as UnivariateScreen
from .standardised import standardised_difference as standardised_difference
from .table_files import write_table as write_table
from .tables import baseline_table as baseline_table

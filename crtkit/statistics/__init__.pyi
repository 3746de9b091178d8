from .correlation import pearson_table as pearson_table
from .tables import baseline_table as baseline_table
from .tests import (
    corrected_resampled_ttest as corrected_resampled_ttest,
    delong_interval as delong_interval,
    delong_test as delong_test,
)

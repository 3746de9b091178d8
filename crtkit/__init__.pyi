from . import (
    cohort as cohort,
    metrics as metrics,
    testing as testing,
)
from .cohort import Cohort as Cohort, Select as Select, read_manifest as read_manifest

__version__: str

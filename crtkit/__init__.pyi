from . import (
    cohort as cohort,
    metrics as metrics,
    signals as signals,
    testing as testing,
)
from .cohort import Cohort as Cohort, Select as Select, read_manifest as read_manifest
from .signals import LeadStatistics as LeadStatistics

__version__: str

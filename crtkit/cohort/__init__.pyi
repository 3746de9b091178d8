from .cohort import Cohort as Cohort
from .duplicates import (
    refuse_shared_records as refuse_shared_records,
    shared_records as shared_records,
)
from .manifest import read_manifest as read_manifest
from .rows import Rows as Rows
from .select import Select as Select

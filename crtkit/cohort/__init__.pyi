from .cohort import Cohort as Cohort
from .manifest import read_manifest as read_manifest
from .rows import Rows as Rows
from .select import Select as Select

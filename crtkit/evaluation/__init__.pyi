from .splits import (
    RepeatedStratifiedPatientSplit as RepeatedStratifiedPatientSplit,
    group_holdout as group_holdout,
)

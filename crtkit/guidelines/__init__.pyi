from .classifier import GuidelineClassifier as GuidelineClassifier, rules as rules
from .measured import measure_cohort as measure_cohort
from .reference import reference_rows as reference_rows

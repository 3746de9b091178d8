from .cohorts import make_cohort as make_cohort
from .ecg import simulate_ecg as simulate_ecg
from .pages import render_cohort as render_cohort
from .spect import simulate_gated_spect as simulate_gated_spect

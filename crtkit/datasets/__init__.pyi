from .ecg_images import load_ecg_images as load_ecg_images
from .mitbih import fetch_mitbih as fetch_mitbih, load_mitbih as load_mitbih
from .physionet import load_physionet as load_physionet
from .simulation.cohorts import make_cohort as make_cohort
from .simulation.ecg import simulate_ecg as simulate_ecg
from .simulation.pages import render_cohort as render_cohort
from .simulation.spect import simulate_gated_spect as simulate_gated_spect

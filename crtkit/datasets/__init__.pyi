from ._ecg import simulate_ecg as simulate_ecg
from ._pages import render_cohort as render_cohort
from ._spect import simulate_gated_spect as simulate_gated_spect
from .ecg_images import load_ecg_images as load_ecg_images
from .mitbih import fetch_mitbih as fetch_mitbih, load_mitbih as load_mitbih
from .physionet import load_physionet as load_physionet
from .simulate import make_cohort as make_cohort

from ._ecg import simulate_ecg as simulate_ecg
from .mitbih import fetch_mitbih as fetch_mitbih, load_mitbih as load_mitbih
from .physionet import load_physionet as load_physionet
from .simulate import make_cohort as make_cohort

from .ecg import ECG as ECG
from .read import read_ecg as read_ecg

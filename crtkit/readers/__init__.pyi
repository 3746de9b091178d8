from .ecg import ECG as ECG, read_ecg as read_ecg

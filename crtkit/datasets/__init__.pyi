from .physionet import load_physionet as load_physionet

"""One small fitted example of every public estimator, found by walking the package."""

import importlib
import inspect
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

import crtkit

# A base class; and one that holds a module of the user's own, whose code no bundle may carry.
NOT_SAVED = ("TorchClassifier", "ModuleClassifier")
METHODS = ("predict_proba", "decision_function", "predict", "transform")


def public_estimators():
    """Classes by name: every public name that is an estimator, wherever it lives."""
    root = Path(crtkit.__file__).parent
    found = {}
    for stub in sorted(root.rglob("__init__.pyi")):
        package = ".".join(stub.relative_to(root.parent).parent.parts)
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            estimator = inspect.isclass(value) and issubclass(value, BaseEstimator)
            if estimator and name not in NOT_SAVED:
                found[name] = value
    for name, value in vars(crtkit.resampling).items():
        ours = inspect.isclass(value) and value.__module__.startswith("crtkit")
        if ours and issubclass(value, BaseEstimator) and name[0] != "_":
            found[name] = value
    return found


def _rng():
    return np.random.default_rng(0)


def _signals(n=12, n_samples=160):
    return _rng().normal(scale=0.3, size=(n, 12, n_samples)).astype(np.float32)


def _pages(n=10, size=32):
    return _rng().integers(0, 255, size=(n, size, size, 3)).astype(np.uint8)


def _ecgs():
    from crtkit.datasets import simulate_ecg

    return np.stack([simulate_ecg("lbbb", 160, random_state=i)[0] for i in range(2)])


def _page_file(folder):
    from PIL import Image

    path = Path(folder) / "page.png"
    Image.fromarray(_pages(1, 64)[0]).save(path)
    return np.array([str(path)] * 2, dtype=object)


def _table():
    rng = _rng()
    return pd.DataFrame(
        {
            "qrs_duration_ms": rng.uniform(110, 180, 24).round(),
            "lbbb": rng.integers(0, 2, 24),
            "male": rng.integers(0, 2, 24),
            "lvef": rng.uniform(15, 45, 24).round(),
            "af": rng.integers(0, 2, 24),
            "nyha": rng.integers(2, 4, 24),
        }
    )


def _labels(n):
    return np.arange(n) % 2


def _tiny_ecgfm():
    from crtkit.neural.ecgfm import ECGFMConfig

    return ECGFMConfig(
        conv_layers=((8, 8, 8),),
        dim=16,
        ffn_dim=16,
        n_layers=1,
        n_heads=2,
        pos_kernel=8,
        pos_groups=2,
    )


def cases(folder):
    """``{name: (estimator, X, y)}``; ``folder`` is where files may be written."""
    import crtkit as ck
    from crtkit import evaluation, images, neural, resampling, signals

    S, P, T = _signals(), _pages(), _table()
    maps = _rng().uniform(0, 360, size=(12, 6, 8)).astype(np.float32)
    counts = _rng().uniform(50, 100, size=(4, 8, 6, 8)).astype(np.float32)
    fast = {"max_epochs": 1, "random_state": 0}
    y = _labels(12)
    drawn = images.ECGRenderer(px_per_mm=4.0).fit_transform(_ecgs().astype(np.float32))
    return {
        "Select": (ck.Select("signal"), pd.DataFrame({"signal": list(S)}), y),
        "JPEGLoader": (ck.JPEGLoader(size=(16, 16)), _page_file(folder), None),
        "IdentityEraser": (ck.IdentityEraser(), drawn, None),
        "ECGRenderer": (ck.ECGRenderer(px_per_mm=2.0), _ecgs().astype(np.float32), None),
        "SpectrogramImager": (
            ck.SpectrogramImager(size=(16, 16)),
            _rng().uniform(-80, 0, size=(3, 12, 9, 7)).astype(np.float32),
            None,
        ),
        "LeadFilter": (ck.LeadFilter(padding=0.1), S, None),
        "Resampler": (ck.Resampler(), S, None),
        "LeadSplicer": (ck.LeadSplicer(fs=16), S, None),
        "LeadStatistics": (ck.LeadStatistics(), S, None),
        "GapFiller": (signals.GapFiller(), S, None),
        "STFTTransformer": (ck.STFTTransformer(window_length=64), S, None),
        "QRSMeasurements": (ck.QRSMeasurements(), _ecgs(), None),
        "MiniRocketFeatures": (signals.MiniRocketFeatures(n_kernels=84, random_state=0), S, None),
        "PhaseAnalysis": (ck.PhaseAnalysis(), counts, None),
        "PhaseStatistics": (ck.PhaseStatistics(), maps, None),
        "AutoencoderFeatures": (
            ck.AutoencoderFeatures(n_components=3, max_iter=2, random_state=0),
            maps,
            None,
        ),
        "SimCLR": (ck.SimCLR(width=16, batch_size=8, **fast), P, None),
        "ResNetClassifier": (ck.ResNetClassifier(width=16, **fast), P, _labels(10)),
        "FCNClassifier": (ck.FCNClassifier(n_filters=(8, 8, 8), **fast), S, y),
        "LSTMFCNClassifier": (ck.LSTMFCNClassifier(n_filters=(8, 8, 8), **fast), S, y),
        "ResNet1dClassifier": (ck.ResNet1dClassifier(n_filters=(8, 8, 8), **fast), S, y),
        "InceptionTimeClassifier": (ck.InceptionTimeClassifier(n_filters=4, depth=3, **fast), S, y),
        "ECGFMClassifier": (
            ck.ECGFMClassifier(size=_tiny_ecgfm(), trainable_layers=1, fs=16, **fast),
            S,
            y,
        ),
        "ECGFMPretraining": (
            neural.ECGFMPretraining(
                size=_tiny_ecgfm(), fs=16, quantizer=False, batch_size=6, **fast
            ),
            S,
            None,
        ),
        "ECGDigitizer": (ck.ECGDigitizer(fs=100), drawn, None),
        "GuidelineClassifier": (ck.GuidelineClassifier(rule="ESC2021-I"), T, _labels(24)),
        "UnivariateScreen": (ck.UnivariateScreen(alpha=0.9), T[["qrs_duration_ms"]], _labels(24)),
        "ImageAugment": (neural.ImageAugment(), None, None),
        "PageAugment": (neural.PageAugment(), None, None),
        "SignalAugment": (neural.SignalAugment(), None, None),
        "ArtefactAugment": (neural.ArtefactAugment(), None, None),
        "HeldOutThreshold": (
            resampling.HeldOutThreshold(LogisticRegression(), random_state=0),
            T,
            _labels(24),
        ),
        "RecalibratedClassifier": (
            resampling.RecalibratedClassifier(LogisticRegression(), random_state=0),
            T,
            _labels(24),
        ),
        "ConformalClassifier": (
            evaluation.ConformalClassifier(LogisticRegression(), random_state=0),
            T,
            _labels(24),
        ),
        "ResampledClassifier": (
            resampling.ResampledClassifier(LogisticRegression(), random_state=0),
            T,
            _labels(24),
        ),
    }


def answers(estimator, X):
    """Output of every method of a fitted estimator, by name."""
    out = {}
    for method in METHODS:
        if hasattr(estimator, method):
            value = getattr(estimator, method)(X)
            out[method] = np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)
    return out

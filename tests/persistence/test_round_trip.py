"""A saved model answers in another process as it did in this one, bit for bit."""

import importlib.util
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import crtkit as ck

_HERE = Path(__file__).parent
_SPEC = importlib.util.spec_from_file_location("persistence_examples", _HERE / "examples.py")
examples = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(examples)

# What a fresh process does: load every bundle, answer, and write the answers down.
_CHILD = """
import importlib.util, pickle, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
folder = Path(sys.argv[1])
spec = importlib.util.spec_from_file_location("persistence_examples", sys.argv[2])
examples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(examples)
import crtkit as ck
out = {}
for path in sorted(folder.glob("*.crtkit")):
    X = pickle.loads((folder / f"{path.stem}.pkl").read_bytes())
    out[path.stem] = examples.answers(ck.load(path), X)
(folder / "answers.pkl").write_bytes(pickle.dumps(out))
"""


def _composed():
    """Pipelines, searches and calibrations around our estimators and scikit-learn's."""
    S, y = examples._signals(24), examples._labels(24)
    statistics = make_pipeline(ck.LeadStatistics(), StandardScaler(), LogisticRegression())
    search = GridSearchCV(
        statistics,
        {"logisticregression__C": [0.1, 1.0]},
        scoring=ck.metrics.SCORERS,
        refit="roc_auc",
        cv=2,
    )
    booster = LGBMClassifier(n_estimators=5, min_child_samples=2, verbosity=-1, n_jobs=1)
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    return {
        "pipeline": (statistics, S, y),
        "search": (search, S, y),
        "calibrated": (CalibratedClassifierCV(statistics, cv=2), S, y),
        "lightgbm": (make_pipeline(ck.LeadStatistics(), booster), S, y),
        "forest": (make_pipeline(ck.LeadStatistics(), SimpleImputer(), forest), S, y),
        "boosting": (
            make_pipeline(
                ck.LeadStatistics(),
                HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=2, random_state=0),
            ),
            S,
            y,
        ),
        "svc": (make_pipeline(ck.LeadStatistics(), SVC()), S, y),
    }


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Every example fitted, saved and answered here, and answered again in a fresh process."""
    folder = tmp_path_factory.mktemp("bundles")
    expected = {}
    for name, (estimator, X, y) in {**examples.cases(folder), **_composed()}.items():
        if X is None:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = estimator.fit(X) if y is None else estimator.fit(X, y)
            ck.save(fitted, folder / f"{name}.crtkit")
            expected[name] = examples.answers(fitted, X)
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(X))
    # The same number of threads on both sides: sums of floats depend on it.
    import torch

    env = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    env["PYTHONPATH"] = str(Path(ck.__file__).parents[1])
    command = [sys.executable, "-c", _CHILD, str(folder), str(_HERE / "examples.py")]
    subprocess.run(command, check=True, env=env, timeout=600)
    return expected, pickle.loads((folder / "answers.pkl").read_bytes())


def test_every_public_estimator_has_an_example(tmp_path):
    assert set(examples.public_estimators()) == set(examples.cases(tmp_path))


@pytest.mark.parametrize("name", sorted(examples.public_estimators()) + sorted(_composed()))
def test_the_same_bits_in_a_fresh_process(name, saved):
    expected, found = saved
    if name not in expected:
        pytest.skip(f"{name} holds parameters only and answers nothing; see the next test")
    assert expected[name].keys() == found[name].keys()
    assert expected[name]
    for method, value in expected[name].items():
        np.testing.assert_array_equal(found[name][method], value, err_msg=f"{name}.{method}")


@pytest.mark.parametrize(
    "name", ["ImageAugment", "PageAugment", "SignalAugment", "ArtefactAugment"]
)
def test_parameters_of_augmentations_survive_inside_a_network(name, tmp_path):
    X, y = (examples._signals(), examples._labels(12))
    cls, options = ck.FCNClassifier, {"n_filters": (8, 8, 8)}
    if name != "SignalAugment":
        X, y, cls, options = (
            examples._pages(),
            examples._labels(10),
            ck.ResNetClassifier,
            {"width": 16},
        )
    augment = getattr(ck.neural, name)()
    model = cls(augment=augment, max_epochs=1, random_state=0, **options).fit(X, y)
    ck.save(model, tmp_path / "m.crtkit")
    loaded = ck.load(tmp_path / "m.crtkit")
    assert loaded.augment.get_params() == augment.get_params()
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_the_saved_model_is_not_changed_and_the_file_does_not_depend_on_time(tmp_path):
    S, y = examples._signals(), examples._labels(12)
    model = ck.FCNClassifier(n_filters=(8, 8, 8), max_epochs=1, random_state=0).fit(S, y)
    before = model.predict_proba(S)
    first = ck.save(model, tmp_path / "a.crtkit")["parts"]["tensors.safetensors"]
    second = ck.save(model, tmp_path / "b.crtkit")["parts"]["tensors.safetensors"]
    assert first == second
    np.testing.assert_array_equal(model.predict_proba(S), before)


def test_a_loaded_network_can_be_fitted_again(tmp_path):
    S, y = examples._signals(), examples._labels(12)
    model = ck.FCNClassifier(n_filters=(8, 8, 8), max_epochs=1, random_state=0).fit(S, y)
    ck.save(model, tmp_path / "a.crtkit")
    again = ck.load(tmp_path / "a.crtkit").fit(S, y)
    np.testing.assert_array_equal(again.predict_proba(S), model.predict_proba(S))

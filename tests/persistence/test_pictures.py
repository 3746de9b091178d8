"""Attribution pictures of predictions: the right kind for each model, nothing for the others."""

import warnings

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from crtkit.persistence import pictures


@pytest.fixture(scope="module")
def signals():
    rng = np.random.default_rng(0)
    y = np.arange(16) % 2
    x = rng.normal(scale=0.3, size=(16, 12, 200)).astype(np.float32)
    x[y == 1, 6] += np.sin(np.arange(200) / 5)
    return x, y


def drawn(model, X, folder, **options):
    table = ck.predict(model, X, max_bad_leads=None, pictures=folder, **options)
    for path in table["picture"]:
        with Image.open(path) as image:
            assert len(np.unique(np.asarray(image.convert("L")))) > 5
    return table


def test_networks_trees_and_linear_models_each_get_their_picture(signals, tmp_path):
    x, y = signals
    frame = pd.DataFrame({"signal": list(x)})
    models = {
        "net": ck.FCNClassifier(n_filters=(8, 8, 8), max_epochs=2, random_state=0),
        "trees": make_pipeline(
            ck.LeadStatistics(), LGBMClassifier(min_child_samples=2, verbosity=-1)
        ),
        "linear": make_pipeline(ck.LeadStatistics(), StandardScaler(), LogisticRegression()),
    }
    for name, model in models.items():
        fitted = make_pipeline(ck.Select("signal"), model).fit(frame, y)
        table = drawn(fitted, frame.iloc[:2], tmp_path / name)
        assert len(set(table["picture"])) == 2


def test_pages_get_a_grad_cam(tmp_path):
    pages = np.random.default_rng(0).integers(0, 255, size=(6, 64, 64, 3)).astype(np.uint8)
    frame = pd.DataFrame({"image": list(pages)})
    net = ck.ResNetClassifier(width=16, max_epochs=1, random_state=0)
    fitted = make_pipeline(ck.Select("image"), net).fit(frame, [0, 1] * 3)
    drawn(fitted, frame.iloc[:1], tmp_path)


def test_records_that_are_refused_have_no_picture(signals, tmp_path):
    x, y = signals
    model = make_pipeline(
        ck.Select("signal"), ck.LeadStatistics(), LGBMClassifier(min_child_samples=2, verbosity=-1)
    ).fit(pd.DataFrame({"signal": list(x)}), y)
    table = ck.predict(model, [x[0], x[1][:8]], max_bad_leads=None, pictures=tmp_path)
    assert list(table["picture"] == "") == [False, True]


def test_other_models_are_named(tmp_path):
    model = make_pipeline(ck.Select(["age"]), GaussianNB()).fit(
        pd.DataFrame({"age": [1.0, 2.0, 3.0, 4.0]}), [0, 0, 1, 1]
    )
    with pytest.raises(ValueError, match="no attribution for GaussianNB"):
        ck.predict(model, pd.DataFrame({"age": [2.0]}), pictures=tmp_path)


def test_contributions_sum_to_the_log_odds():
    """The bars and the start are all that a linear or a boosted model adds up."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(60, 3)), columns=["a", "b", "c"])
    y = (frame["a"] + rng.normal(size=60) > 0).astype(int)
    from matplotlib.figure import Figure

    for last in (LogisticRegression(), LGBMClassifier(n_estimators=5, verbosity=-1)):
        model = make_pipeline(ck.Select(["a", "b", "c"]), last).fit(frame, y)
        ax = Figure().add_subplot()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pictures._plotter(model, 1, None)(ax, frame.iloc[[4]], "r")
            p = model.predict_proba(frame.iloc[[4]])[0, 1]
            steps, end = pictures._split(model)
            start = (
                end.intercept_[0]
                if hasattr(end, "intercept_")
                else end.predict(steps[0].transform(frame.iloc[[4]]), pred_contrib=True)[0, -1]
            )
        total = start + sum(bar.get_width() for bar in ax.patches)
        assert total == pytest.approx(np.log(p / (1 - p)), abs=1e-6)
        assert "a = " in "".join(label.get_text() for label in ax.get_yticklabels())

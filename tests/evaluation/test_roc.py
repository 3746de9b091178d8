import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as skm

from crtkit import evaluate
from crtkit.evaluation import mean_roc


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=90, records=1)
    return evaluate(models, cohort, seeds=4, threads_per_fit=1, reference_rows=False)


def test_mean_is_taken_at_equal_false_positive_rate():
    step = ([0, 0, 0.5, 0.5, 1], [0, 0.4, 0.4, 1, 1])
    line = ([0, 1], [0, 1])
    table = mean_roc([step, line], n_points=5)
    np.testing.assert_allclose(table["fpr"], [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(table["tpr"], [0, 0.325, 0.75, 0.875, 1])
    np.testing.assert_allclose(table["tpr_sd"].iloc[1], np.std([0.4, 0.25], ddof=1))
    assert mean_roc([line])["tpr_sd"].isna().all()
    assert mean_roc([])["tpr"].isna().all()


def test_curves_are_those_of_scikit_learn(result):
    table = result.roc(which="seeds")
    for (model, seed), curve in table.groupby(["model", "seed"]):
        rows = result.predictions.query("model == @model and seed == @seed")
        auc = skm.roc_auc_score(rows["y_true"] == "yes", rows["score"])
        assert skm.auc(curve["fpr"], curve["tpr"]) == pytest.approx(auc)
        assert auc == pytest.approx(result.per_seed().loc[(model, seed), "roc_auc"])
    mean = result.roc(n_points=2001)
    for model, curve in mean.groupby("model"):
        area = np.trapezoid(curve["tpr"], curve["fpr"])
        assert area == pytest.approx(result.per_seed().loc[model, "roc_auc"].mean(), abs=2e-3)
        assert (np.diff(curve["tpr"]) >= -1e-12).all()


def test_the_best_seed_is_drawn_and_named_but_never_summarised(result):
    best = result.roc(which="best")
    auc = result.per_seed()["roc_auc"]
    for model, curve in best.groupby("model"):
        assert curve["seed"].unique().tolist() == [auc.loc[model].idxmax()]
    summary = result.summary(n_bootstrap=5)
    assert not [c for c in summary.columns if "best" in str(c) or "max" in str(c)]
    with pytest.raises(ValueError, match="which must be"):
        result.roc(which="max")


def test_plots_say_what_they_show(result):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    ax = result.plot_roc()
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    auc = result.per_seed()["roc_auc"].loc["logistic"]
    assert labels[0] == f"logistic: {auc.mean():.3f} ± {auc.std():.3f}"
    assert "simulated" in ax.get_xlabel()
    best = result.plot_roc(plt.subplots()[1], which="best")
    assert best.get_title() == "ROC, best of 4 seeds"
    assert f"{auc.max():.3f}" in best.get_legend().get_texts()[0].get_text()
    with pytest.raises(ValueError, match="'mean' or 'best'"):
        result.plot_roc(which="seeds")
    plt.close("all")


def test_models_at_one_sensitivity(result):
    table = result.at_sensitivity(0.8)
    assert list(table.index) == result.models
    for model in result.models:
        points = []
        own = result.predictions.query("model == @model")
        for _, rows in own.groupby("seed"):
            truth = (rows["y_true"] == "yes").to_numpy()
            fpr, tpr, _ = skm.roc_curve(truth, rows["score"], drop_intermediate=False)
            above = np.flatnonzero(tpr >= 0.8)[0]
            share = (0.8 - tpr[above - 1]) / (tpr[above] - tpr[above - 1])
            alarm = fpr[above - 1] + share * (fpr[above] - fpr[above - 1])
            tp, fp = 0.8 * truth.sum(), alarm * (~truth).sum()
            points.append({"specificity": 1 - alarm, "ppv": tp / (tp + fp)})
        points = pd.DataFrame(points)
        assert table.loc[model, "ppv"] == pytest.approx(points["ppv"].mean())
        assert table.loc[model, "specificity"] == pytest.approx(points["specificity"].mean())
        assert table.loc[model, "ppv_sd"] == pytest.approx(points["ppv"].std())
    assert (table["n_valid"] == 4).all()
    assert "simulated" in table.attrs["note"]

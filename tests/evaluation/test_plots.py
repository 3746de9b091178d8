import numpy as np
import pytest

from crtkit import Cohort, evaluate

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(scope="module", autouse=True)
def off_screen():
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def result(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=80, flow={"screened": 260, "no ECG": -20, "read": 240})
    other = make_table_cohort(n_patients=40, seed=4)
    other = Cohort(other.X, other.y, np.array([f"x{g}" for g in other.groups]))
    return evaluate(
        models, cohort, seeds=3, threads_per_fit=1, external={"B": other}, subgroups={"m": "male"}
    )


DRAWN = {
    "roc": lambda r, ax: r.plot_roc(ax, models="logistic", rule=True, n_bootstrap=30),
    "calibration": lambda r, ax: r.plot_calibration(ax, models="logistic"),
    "decision": lambda r, ax: r.plot_decision(ax, models=["logistic", "LightGBM"]),
    "forest": lambda r, ax: r.plot_forest(ax, n_bootstrap=30),
    "centres": lambda r, ax: r.plot_forest(ax, of="sets", n_bootstrap=30),
    "subgroups": lambda r, ax: r.plot_forest(ax, of="subgroups", n_bootstrap=30),
    "flow": lambda r, ax: r.plot_flow(ax),
}


@pytest.mark.parametrize("name", DRAWN)
def test_each_picture_is_drawn_on_the_given_axes_and_marked(result, name):
    figure, ax = plt.subplots()
    assert DRAWN[name](result, ax) is ax
    assert [t for t in ax.texts if t.get_text() == "SIMULATED"]
    result.info["source"] = "real"
    real = DRAWN[name](result, plt.subplots()[1])
    assert not [t for t in real.texts if t.get_text() == "SIMULATED"]
    figure.canvas.draw()


def test_without_axes_a_column_of_a_journal_is_drawn(result):
    before = plt.rcParams["font.size"]
    ax = result.plot_calibration(models="logistic")
    assert ax.figure.get_figwidth() * 2.54 == pytest.approx(8)
    assert ax.xaxis.label.get_fontsize() == 7
    assert plt.rcParams["font.size"] == before


def test_the_forest_holds_the_summary_and_the_best_rule(result):
    ax = result.plot_forest(n_bootstrap=30)
    summary = result.summary(n_bootstrap=30)["roc_auc"]
    squares = {
        line.get_ydata()[0]: line.get_xdata()[0] for line in ax.lines if line.get_marker() == "s"
    }
    assert [squares[-k] for k in range(len(summary))] == pytest.approx(summary["mean"].tolist())
    rules = result.info["reference_rows"]
    best = summary.loc[[r for r in rules if r != "Majority class"], "mean"].max()
    dashed = [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == "--"]
    assert dashed == pytest.approx([best])
    assert "best rule" in ax.get_title(loc="left")


def test_the_band_of_a_curve_holds_it_and_narrows_with_patients(make_table_cohort, models):
    from crtkit.evaluation.plots.curves import roc_band

    widths = []
    for n in (100, 1600):
        cohort = make_table_cohort(n_patients=n, records=1, effect=10.0)
        one = {"logistic": models["logistic"]}
        result = evaluate(one, cohort, seeds=3, threads_per_fit=1, reference_rows=False)
        band = roc_band(result, "logistic", n_bootstrap=60)
        curve = result.roc(n_points=len(band))["tpr"].to_numpy()
        inside = (band[:, 1] <= curve + 1e-9) & (curve <= band[:, 2] + 1e-9)
        assert inside[1:][np.isfinite(band[1:, 1])].all()
        widths.append(np.nanmean(band[:, 2] - band[:, 1]))
    assert widths[1] < 0.6 * widths[0]


def test_the_flow_accounts_for_every_record(result):
    from crtkit.evaluation.plots.flow import flow_steps

    steps = flow_steps(result)
    n = result.info["n_records"]
    assert steps[:2] == [("screened", 260), ("no ECG", -20)]
    assert steps[-1][1] == n
    kept = [n for _, n in steps if n >= 0]
    out = sum(n for _, n in steps if n < 0)
    assert kept[0] + out == n
    text = " ".join(t.get_text() for t in result.plot_flow().texts)
    assert "external: B" in text
    assert "3 splits by patient" in text


def test_a_constant_risk_draws_no_spike(make_table_cohort, models):
    cohort = make_table_cohort(n_patients=60)
    result = evaluate(models, cohort, seeds=2, threads_per_fit=1)
    ax = result.plot_calibration(models="Majority class")
    for line in ax.lines[1:]:
        assert np.all((np.asarray(line.get_ydata()) >= -0.13) & (np.asarray(line.get_ydata()) <= 1))


def test_wrong_arguments_are_named(result):
    with pytest.raises(ValueError, match="no model"):
        result.plot_roc(models="resnet")
    with pytest.raises(ValueError, match="'models', 'sets' or 'subgroups'"):
        result.plot_forest(of="centres")
    with pytest.raises(ValueError, match="two risks"):
        result.plot_decision(thresholds=(0.6, 0.2))
    with pytest.raises(ValueError, match="was not scored"):
        result.plot_forest(metric="kappa")


def test_one_seed_is_printed_without_a_spread(make_table_cohort, models):
    result = evaluate(models, make_table_cohort(), seeds=1, threads_per_fit=1)
    assert "nan" not in result._repr_html_()
    labels = result.plot_roc().get_legend_handles_labels()[1]
    assert any(label.startswith("logistic: 0.") for label in labels)
    assert not any("nan" in label for label in labels)

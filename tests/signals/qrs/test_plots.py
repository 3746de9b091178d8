import numpy as np
import pytest

from crtkit._leads import LEADS_12
from crtkit.datasets import simulate_ecg
from crtkit.signals import measure_qrs, median_beat, plot_median_beat, plot_vector_loop

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture(scope="module")
def record():
    signal, _ = simulate_ecg("lbbb", 164, random_state=0)
    return signal.astype(float)


def test_median_beat_of_twelve_leads(record):
    result = median_beat(record, 500)
    figure = plot_median_beat(result, simulated=True)
    assert [axis.get_title(loc="left") for axis in figure.axes[:4]] == ["I", "aVR", "V1", "V4"]
    one = figure.axes[0]
    drawn = [line for line in one.lines if len(line.get_xdata()) == result.beat.shape[1]]
    np.testing.assert_array_equal(drawn[0].get_ydata(), result.beat[0])
    edges = [line.get_xdata()[0] for line in one.lines if line.get_color() == "#c1121f"]
    assert np.ptp(edges) == pytest.approx(measure_qrs(record, 500)["qrs_duration_ms"], abs=1e-6)
    assert figure.get_suptitle().startswith("Simulated record")
    assert "Simulated" not in plot_median_beat(result).get_suptitle()


def test_vector_loop(record):
    figure = plot_vector_loop(median_beat(record, 500))
    assert len(figure.axes) == 3
    assert f"{measure_qrs(record, 500)['qrs_area_uVs']:.0f} µVs" in figure.get_suptitle()
    frontal, horizontal, sagittal = figure.axes
    assert frontal.yaxis_inverted()
    assert not horizontal.yaxis_inverted()
    assert sagittal.yaxis_inverted()


def test_few_leads_and_own_axes(record):
    import matplotlib.pyplot as plt

    few = median_beat(record[[1, 6]], 500)
    _, axes = plt.subplots(2)
    assert plot_median_beat(few, ["II", "V1"], axes=axes) is axes[0].figure
    with pytest.raises(ValueError, match="V1 to V6; one is missing"):
        plot_vector_loop(few, ["II", "V1"])


def test_a_missing_lead_is_left_empty(record):
    gap = record.copy()
    gap[3] = np.nan
    figure = plot_median_beat(median_beat(gap, 500))
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    empty = figure.axes[titles.index("aVR")]
    assert len(empty.patches) == 0
    assert len(figure.axes[titles.index("I")].patches) == 1


def test_nothing_to_draw():
    result = median_beat(np.zeros((12, 5000)), 500)
    for plot in (plot_median_beat, plot_vector_loop):
        with pytest.raises(ValueError, match="no QRS complex"):
            plot(result, LEADS_12)


def test_names_must_be_those_of_the_leads(record):
    eight = median_beat(record[[0, 1, *range(6, 12)]], 500)
    for plot in (plot_median_beat, plot_vector_loop):
        with pytest.raises(ValueError, match=r"lead_names has 12 names, but the signals have 8"):
            plot(eight)
    names = ["I", "II", *LEADS_12[6:]]
    titles = [axis.get_title(loc="left") for axis in plot_median_beat(eight, names).axes]
    assert titles == names
    assert "QRS area" in plot_vector_loop(eight, names).get_suptitle()

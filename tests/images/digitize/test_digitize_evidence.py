"""Evidence of how well a page was followed, and what confidence makes of it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crtkit.images import digitize_page, render_page
from crtkit.images.digitize.confidence import WEIGHTS, judge, page_checks, page_features
from crtkit.images.digitize.ink import find_runs
from crtkit.images.digitize.page import follow_traces
from crtkit.images.digitize.rows import row_edges, trace_rows
from crtkit.images.render.artefacts import blur, speckle
from tests.images.digitize.test_digitize_page import make_record


@pytest.fixture(scope="module")
def page():
    return render_page(make_record(seed=4), 500, px_per_mm=5.0)[0]


def test_a_clean_page_is_followed_whole(page):
    evidence = follow_traces(page)[0].evidence
    assert set(evidence) == {"ends_mm", "holes", "stray", "specks"}
    assert evidence["ends_mm"] < 0.3
    assert evidence["holes"] < 0.01
    assert evidence["specks"] == 0


def test_noise_and_a_hole_are_seen(page):
    noisy = follow_traces(speckle(page, 0.25, random_state=0))[0].evidence
    clean = follow_traces(page)[0].evidence
    assert noisy["specks"] + noisy["stray"] > 10 * (clean["specks"] + clean["stray"])
    torn = page.copy()
    torn[:, page.shape[1] // 2 : page.shape[1] // 2 + 40] = 255
    assert follow_traces(torn)[0].evidence["holes"] > 0.02


def test_ends_that_blur_lengthens_alike_keep_the_scale_and_count_for_nothing():
    signal = make_record(seed=4)
    shown = blur(render_page(signal, 500, px_per_mm=3.2, layout="6x2")[0], 1.1)
    traces, _ = follow_traces(shown)
    assert traces.axis.px_per_second == pytest.approx(80.0, rel=1e-3)
    assert traces.evidence["ends_mm"] < 0.1


def test_a_dotted_grid_is_no_noise(page):
    dotted = page.copy()
    dotted[2::25, 2::5] = 60
    rng = np.random.default_rng(0)
    strewn = page.copy()
    strewn[rng.integers(0, page.shape[0], 15_000), rng.integers(0, page.shape[1], 15_000)] = 60
    dots, noise = (follow_traces(image)[0].evidence for image in (dotted, strewn))
    assert dots["specks"] + dots["stray"] < 0.1 * (noise["specks"] + noise["stray"])


@pytest.mark.parametrize("name", ["half", "shared", "ends", "guessed", "noise", "stray", "holes"])
def test_no_fault_speaks_for_a_page(name):
    assert WEIGHTS[name] <= 0
    assert WEIGHTS["mean"] > 0 > WEIGHTS["pen"]


def test_confidence_falls_with_what_speaks_against_a_page(page):
    reading = digitize_page(page, least_confidence=0)
    sure = np.median(list(reading.confidence.values()))
    assert sure > 0.9
    spoiled = digitize_page(blur(page, 2.0), least_confidence=0)
    assert np.median(list(spoiled.confidence.values())) < sure
    for name, value in {"holes": 0.3, "ends_mm": 1.0, "stray": 1.0, "specks": 1.0}.items():
        worse = dataclasses.replace(reading, evidence={**reading.evidence, name: value})
        assert np.median(list(judge(worse).confidence.values())) < sure
    strips = tuple(dataclasses.replace(strip, shared=0.35) for strip in reading.strips)
    worse = dataclasses.replace(reading, strips=strips)
    assert not judge(worse).accepted
    assert judge(worse, least=0).accepted
    features = page_features(reading, page_checks(reading))
    assert set(features) == set(WEIGHTS)


def test_a_lead_that_runs_into_others_is_blank_and_the_page_is_kept(page):
    reading = digitize_page(page, least_confidence=0)
    strips = tuple(
        dataclasses.replace(strip, shared=0.9 if strip.lead == "V2" else 0.0)
        for strip in reading.strips
    )
    judged = judge(dataclasses.replace(reading, strips=strips))
    assert judged.accepted
    assert np.isnan(judged.signal[7]).all()
    assert np.isfinite(judged.signal[6]).any()
    assert judged.confidence["V2"] < 0.1 < judged.confidence["V1"]


def edges_of(*curves):
    """Edges of rows drawn as lines through points, and where they are tangled."""
    image = Image.new("L", (400, 300))
    for curve in curves:
        ImageDraw.Draw(image).line([(0, curve[0][1]), *curve, (399, curve[-1][1])], 255, 3)
    runs = find_runs(np.asarray(image), 8.0, 8.0)
    return row_edges(runs, trace_rows(runs, [100, 200], 8.0, 8.0), 3.0)


def test_a_calm_row_goes_straight_through_a_wave():
    upper, lower, tangled = edges_of([(0, 100)], [(192, 200), (200, 60), (208, 200)])
    assert not tangled.any()
    assert np.abs((upper + lower)[0] / 2 - 100).max() < 2
    assert upper[1].min() < 65


def test_two_waves_that_meet_are_nobody_s():
    waves = [(192, 100), (200, 165), (208, 100)], [(192, 200), (200, 135), (208, 200)]
    upper, lower, tangled = edges_of(*waves)
    assert tangled[:, 190:211].any(axis=1).all()
    assert not tangled[:, :185].any()

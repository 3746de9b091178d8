import numpy as np
import pytest

from crtkit import Cohort
from crtkit.signals import NoBeatsError, cut_beats, detect_r_peaks, segment_beats

FS = 500


def record(n_leads=12, seconds=10):
    time = np.arange(seconds * FS) / FS
    wave = np.exp(-0.5 * ((time % 0.8 - 0.4) / 0.012) ** 2)
    return np.stack([wave * (lead + 1) / n_leads for lead in range(n_leads)])


def test_the_pieces_are_those_of_the_record():
    ramp = np.arange(4000.0) + 1
    peaks = np.arange(300, 3800, 400)
    beats = cut_beats(
        np.stack([ramp, -ramp]), FS, peaks=peaks, rr=1.0, n_samples=600, highpass=None
    )
    assert beats.signals.shape == (len(peaks), 2, 600)
    assert beats.signals.dtype == np.float32
    for signal, peak in zip(beats.signals, beats.peaks):
        want = np.zeros(600)
        want[100:500] = np.arange(peak - 200, peak + 200) + 1
        np.testing.assert_array_equal(signal, [want, -want])


def test_beats_across_an_end_are_marked():
    peaks = np.array([50, 450, 850, 1250, 1650, 1990])
    beats = cut_beats(np.arange(2000.0), FS, peaks=peaks, highpass=None)
    assert beats.inside.tolist() == [False, True, True, True, True, False]
    assert len(beats.signals) == 4
    assert beats.interval.tolist() == [400.0] * 6


def test_peaks_are_detected_in_lead_two_of_twelve():
    signal = record()
    signal[0] = np.random.default_rng(0).normal(size=signal.shape[1])
    beats = cut_beats(signal, FS, highpass=None)
    np.testing.assert_array_equal(beats.peaks, detect_r_peaks(signal[1], FS))
    assert (np.diff(beats.peaks) == 400).all()


def test_a_cohort_has_the_same_beats():
    import pandas as pd

    signal = record(2)
    cohort = Cohort(pd.DataFrame({"signal": [signal]}), [1], ["p"], {"sampling_rate": FS})
    one, many = cut_beats(signal, FS), segment_beats(cohort)
    np.testing.assert_array_equal(np.stack(list(many.X["signal"])), one.signals)
    assert many.X["sample"].tolist() == one.peaks[one.inside].tolist()


@pytest.mark.parametrize(
    ("signal", "reason"),
    [
        (np.full((1, 5000), np.nan), "missing samples"),
        (np.full((1, 5000), 0.3), "flat lead"),
        (record(1, 10)[:, :60], "too short"),
        (record(1, 10)[:, :300], "fewer than two beats"),
    ],
)
def test_records_without_beats_say_why(signal, reason):
    with pytest.raises(NoBeatsError, match=reason):
        cut_beats(signal, FS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"before": 1.0}, "0 < before < 1"),
        ({"rr": 0}, "rr > 0"),
        ({"n_samples": 1}, "n_samples >= 2"),
        ({"lead": 12}, r"lead=12 is asked for, the record has 12 lead\(s\)"),
        ({"peaks": [300, 300]}, "do not increase"),
        ({"peaks": [300, 5000]}, "beyond the record's 5000 samples"),
    ],
)
def test_bad_parameters_are_named(options, words):
    with pytest.raises(ValueError, match=words):
        cut_beats(record(), FS, **options)

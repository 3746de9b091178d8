"""Six ways from a user's data into a model: each file is read once, each array checked once.

Calls are counted where they happen. ``fit`` validates and ``predict`` validates again, so an
estimator that is fitted and asked once checks twice, and no step between adds to that.
"""

import base64
import importlib
import zlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import crtkit as ck


@pytest.fixture
def count(monkeypatch):
    """Count calls of functions, named as module and attribute, while they do what they do."""
    calls = Counter()

    def watch(*places):
        for place in places:
            module, _, name = place.rpartition(".")
            target = importlib.import_module(module)
            function = getattr(target, name)

            def counted(*args, _function=function, _name=name, **kwargs):
                calls[_name] += 1
                return _function(*args, **kwargs)

            monkeypatch.setattr(target, name, counted)
        return calls

    return watch


def test_a_cohort_through_evaluate(count, make_signals):
    signals = make_signals(n_records=20, n_leads=2)
    X = pd.DataFrame({"signal": list(signals)})
    cohort = ck.Cohort(
        X, np.tile([0, 1], 10), np.arange(20), {"name": "made", "sampling_rate": 500}
    )
    model = make_pipeline(ck.Select("signal"), ck.LeadStatistics(), LogisticRegression())
    calls = count("crtkit.cohort.select._stack", "crtkit.signals.statistics.check_records")
    result = ck.evaluate({"rows": model}, cohort, seeds=3, reference_rows=False, n_jobs=1)
    assert len(result.predictions) == 3 * 4
    # A sample for its unit, all to look for equal records under two patients, all to be measured
    # for every split at once, then the measured rows of both parts of each split.
    assert calls["_stack"] == 1 + 1 + 1 + 3 * 2
    # LeadStatistics checks in its one fit, and again in its one transform.
    assert calls["check_records"] == 2


def test_pages_into_a_network(count, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i}.jpg") for i in range(8)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    import crtkit.neural.base as base

    given, trained_on = [], []
    transform = ck.JPEGLoader.transform
    monkeypatch.setattr(
        ck.JPEGLoader, "transform", lambda self, X: given.append(transform(self, X)) or given[-1]
    )

    class Seen(base.RecordDataset):
        def __init__(self, X, *args, **kwargs):
            trained_on.append(X)
            super().__init__(X, *args, **kwargs)

    monkeypatch.setattr(base, "RecordDataset", Seen)
    calls = count("crtkit.images.files.read_page", "crtkit.neural.base.check_records")
    network = ck.ResNetClassifier(width=8, max_epochs=2, random_state=0)
    model = make_pipeline(ck.Select("image"), ck.JPEGLoader(size=(32, 32)), network)
    X = pd.DataFrame({"image": paths})
    model.fit(X, np.tile([0, 1], 4))
    # Once per file, whatever the number of epochs.
    assert calls == {"read_page": 8, "check_records": 1}
    # The pages that were decoded are those in memory: nothing between makes a copy of them.
    assert len(given) == 1
    assert np.shares_memory(trained_on[0], given[0])
    model.predict(X)
    assert calls == {"read_page": 16, "check_records": 2}


def _muse(path, counts):
    leads = "".join(
        f"<LeadData><LeadSampleCountTotal>{len(lead)}</LeadSampleCountTotal>"
        "<LeadAmplitudeUnitsPerBit>5</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>MICROVOLTS</LeadAmplitudeUnits><LeadID>{name}</LeadID>"
        f"<LeadSampleSize>2</LeadSampleSize><LeadDataCRC32>{zlib.crc32(lead.tobytes())}"
        f"</LeadDataCRC32><WaveFormData>{base64.b64encode(lead.tobytes()).decode()}"
        "</WaveFormData></LeadData>"
        for name, lead in zip(("I", "II", "V1", "V2", "V3", "V4", "V5", "V6"), counts)
    )
    path.write_text(
        '<?xml version="1.0"?><RestingECG><Waveform><WaveformType>Rhythm</WaveformType>'
        f"<SampleBase>500</SampleBase><SampleExponent>0</SampleExponent>{leads}</Waveform>"
        "</RestingECG>"
    )


def test_a_vendors_files_to_an_array(count, tmp_path):
    rng = np.random.default_rng(0)
    counts = rng.integers(-200, 200, (4, 8, 500)).astype("<i2")
    for i, record in enumerate(counts):
        _muse(tmp_path / f"{i}.xml", record)
    table = pd.DataFrame(
        {
            "ecg": [f"{tmp_path / str(i)}.xml" for i in range(4)],
            "label": [0, 1, 0, 1],
            "patient": [f"p{i}" for i in range(4)],
        }
    )
    calls = count(
        "crtkit.readers.safe_xml.parse",
        "crtkit.readers.assemble.check_millivolt",
        "crtkit.cohort.select._stack",
    )
    cohort = ck.read_manifest(table, label="label", group="patient", signal="ecg")
    signals = ck.Select("signal").fit_transform(cohort.X)
    assert calls == {"parse": 4, "check_millivolt": 4, "_stack": 1}
    np.testing.assert_allclose(signals[:, 0], counts[:, 0] * 0.005, rtol=1e-6)
    np.testing.assert_allclose(signals[:, 2], (counts[:, 1] - counts[:, 0]) * 0.005, atol=1e-6)


def test_signals_through_the_measurements(count):
    signals = np.stack([ck.datasets.simulate_ecg(random_state=i, duration_s=4)[0] for i in (0, 1)])
    before = signals.copy()
    place = "crtkit.signals.qrs"
    calls = count(
        f"{place}.estimator.check_records",
        f"{place}.estimator.measure_parts",
        f"{place}.measure.delineate_record",
        f"{place}.record.prepare_beat",
        f"{place}.record.qrs_bounds",
    )
    model = ck.QRSMeasurements(fs=500).fit(signals)
    assert calls == {"check_records": 1}
    model.measure(signals)
    steps = ("measure_parts", "delineate_record", "prepare_beat", "qrs_bounds")
    assert calls == {"check_records": 2, **dict.fromkeys(steps, len(signals))}
    assert np.array_equal(signals, before)


def test_a_checkpoint_into_ecgfm(count, tmp_path):
    import torch

    from crtkit.neural.ecgfm import ECGFM, SIZES, save_safetensors

    path = tmp_path / "own.safetensors"
    torch.manual_seed(0)
    save_safetensors(ECGFM(SIZES["tiny"]), path, {"data": "none: random weights"})
    calls = count(
        "crtkit.neural.ecgfm.checkpoint.read_safetensors",
        "crtkit.neural.ecgfm.checkpoint.check_finite",
        "crtkit.neural.base.check_records",
    )
    X = np.random.default_rng(0).normal(size=(8, 12, 500)).astype(np.float32)
    y = np.tile([0, 1], 4)
    model = ck.ECGFMClassifier(checkpoint=path, fs=100, trainable_layers=0, max_epochs=1)
    model.fit(X, y).fit(X, y)
    # The second fit takes the network from memory, as the fits of a search do.
    tensors = calls.pop("check_finite")
    assert calls == {"read_safetensors": 1, "check_records": 2}
    assert tensors == len(ECGFM(SIZES["tiny"]).state_dict())


def test_polar_maps_through_the_autoencoder(count, tmp_path):
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 360, (6, 4, 6)).astype(np.float32)
    rows = []
    for i, one in enumerate(maps):
        np.save(tmp_path / f"{i}.npy", one)
        rows.append({"map": str(tmp_path / f"{i}.npy"), "label": i % 2, "patient": f"p{i}"})
    calls = count("numpy.load", "crtkit.cohort.select._stack", "crtkit.neural.base.check_records")
    cohort = ck.read_manifest(pd.DataFrame(rows), label="label", group="patient", map="map")
    encoder = ck.AutoencoderFeatures(n_components=2, layer_sizes=(4,), max_iter=2, random_state=0)
    model = make_pipeline(ck.Select("map"), encoder).fit(cohort.X)
    assert calls == {"load": 6, "_stack": 1, "check_records": 1}
    assert model.transform(cohort.X).shape == (6, 2)
    assert np.array_equal(np.stack(cohort.X["map"].to_list()), maps)

"""The weights that come with the package: what they say of themselves, and what they take."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from crtkit.neural import ECGFMClassifier, read_card
from crtkit.neural.ecgfm import checkpoint_hash, load_checkpoint
from crtkit.neural.ecgfm.checkpoint import SHIPPED, checkpoint_path
from crtkit.signals import resample_leads

NAMES = sorted(SHIPPED)
PROBE = {"trainable_layers": 0, "max_epochs": 1, "random_state": 0}


@pytest.fixture(scope="module")
def ecgs():
    """Twelve leads of pulses at 1 Hz and 1.5 Hz with noise, ten seconds at 500 Hz."""
    rng = np.random.default_rng(0)
    t = np.arange(5000) / 500
    y = np.arange(8) % 2
    phase = (t * (1 + 0.5 * y[:, None])) % 1
    pulse = np.exp(-(((phase - 0.5) / 0.03) ** 2))
    gains = rng.normal(1, 0.3, size=(8, 12, 1))
    X = gains * pulse[:, None] + 0.02 * rng.normal(size=(8, 12, 5000))
    return X.astype(np.float32), y


@pytest.mark.parametrize("name", NAMES)
def test_the_file_is_small_and_holds_tensors_in_half_precision(name):
    path = checkpoint_path(name)
    assert path.stat().st_size < 12_000_000
    with safe_open(path, framework="pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118
    # safetensors: eight bytes of length, a JSON header, numbers. There is nothing to execute.
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    assert 8 + int.from_bytes(raw[:8], "little") + max(ends) == len(raw)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_names_data_licences_and_training(name):
    card = load_checkpoint(name)[1]
    assert card == read_card(checkpoint_path(name))
    assert card["name"] == name
    assert {row["source"] for row in card["data"]} == {"PTB-XL", "Challenge 2011", "CODE-15 %"}
    for row in card["data"]:
        assert row["records"] >= row["patients"] > 0
        assert row["licence"].startswith(("CC BY 4.0", "ODC-BY 1.0"))
    assert card["seed"] == 0
    assert card["hours"] > 0
    assert card["environment"]["device"]
    assert "fold 10" in card["kept out"]


def test_the_labelled_file_starts_from_the_other():
    card = load_checkpoint("crtkit-small-labels")[1]
    assert card["start"]["sha256"] == checkpoint_hash("crtkit-small")
    assert set(card["labels"]) == {"normal", "conduction", "other"}


@pytest.mark.parametrize("name", NAMES)
def test_other_rates_give_the_same_embeddings(ecgs, name):
    X, y = ecgs
    at_500 = ECGFMClassifier(checkpoint=name, **PROBE).fit(X, y).transform(X)
    assert at_500.shape == (8, 480)
    assert np.isfinite(at_500).all()
    for fs in (400, 100):
        other = resample_leads(X, 500, fs)
        model = ECGFMClassifier(checkpoint=name, fs=fs, **PROBE).fit(other, y)
        assert model.weights_loaded_["sha256"] == checkpoint_hash(name)
        between = np.linalg.norm(at_500 - at_500.mean(0))
        assert np.linalg.norm(model.transform(other) - at_500) < 0.1 * between


def test_units_make_no_difference(ecgs):
    X, y = ecgs
    model = ECGFMClassifier(checkpoint="crtkit-small", **PROBE).fit(X, y)
    np.testing.assert_allclose(model.transform(1000 * X), model.transform(X), atol=1e-4)


def test_four_channels_enter_through_the_projection(ecgs):
    X, y = ecgs
    model = ECGFMClassifier(checkpoint="crtkit-small", **PROBE).fit(X[:, :4], y)
    assert model.module_.projection.weight.shape == (12, 4, 1)
    assert model.predict_proba(X[:, :4]).shape == (8, 2)


def test_an_unknown_name_lists_the_known_ones(ecgs):
    with pytest.raises(FileNotFoundError, match="crtkit-small-labels"):
        ECGFMClassifier(checkpoint="crtkit-large").fit(*ecgs)

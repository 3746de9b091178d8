"""What a weights file says about itself, and files that say nothing or nonsense."""

import os

import pytest
import torch
from safetensors.torch import save_file

from crtkit.neural import read_card, save_weights


def test_a_card_comes_back(tmp_path):
    card = {"data": "MIT-BIH DS1", "scores": {"auc": 0.9}, "seed": 0}
    path = save_weights(torch.nn.Linear(2, 1), tmp_path / "w.safetensors", card=card)
    assert read_card(path) == card
    assert read_card(save_weights(torch.nn.Linear(2, 1), tmp_path / "bare.safetensors")) == {}


@pytest.mark.parametrize("text", ["[1, 2]", "7", "{not json"])
def test_a_card_that_is_no_object(tmp_path, text):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", metadata={"card": text})
    with pytest.raises(ValueError, match=r"w\.safetensors"):
        read_card(tmp_path / "w.safetensors")


def test_what_has_no_card(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no weights file at .*gone\.safetensors"):
        read_card(tmp_path / "gone.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"w\.pth has no card that can be read"):
        read_card(tmp_path / "w.pth")


@pytest.mark.parametrize("card", [{"auc": float("nan")}, {"model": object()}])
def test_a_card_that_json_cannot_hold_leaves_no_file(tmp_path, card):
    with pytest.raises((ValueError, TypeError)):
        save_weights(torch.nn.Linear(2, 1), tmp_path / "w.safetensors", card=card)
    with pytest.raises(ValueError, match=r"Only \.safetensors files hold a card"):
        save_weights(torch.nn.Linear(2, 1), tmp_path / "w.pth", card={})
    assert os.listdir(tmp_path) == []

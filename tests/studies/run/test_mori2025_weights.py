"""The paper's ImageNet comparator: it runs from a weights file, and says so without one."""

from types import SimpleNamespace

import pytest
import torch
import torchvision

import crtkit as ck
from crtkit.studies.run.mori2025 import runnable
from crtkit.studies.run.mori2025_parameters import described


def options(**changed):
    """What the command line gives by default, for pages of 32 pixels and one epoch."""
    given = {
        "weights": None,
        "size": "small",
        "pixels": 32,
        "width": 64,
        "epochs": 1,
        "pretrain_epochs": 1,
        "device": "cpu",
        "precision": "float32",
        "cache": None,
    }
    return SimpleNamespace(**{**given, **changed})


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return ck.datasets.make_cohort(
        "mori2025", n_patients=8, modality="image", random_state=0, cache_dir=folder
    )


def test_without_a_file_the_row_says_what_it_needs(cohort):
    models, not_run = runnable(options(), cohort)
    assert list(models)[:2] == ["ResNet-18 from scratch", "SSL + ResNet-18"]
    assert "ResNet-18" not in not_run  # from scratch it stands in, and the note says so
    assert "starts from ImageNet weights (--weights" in described(options())
    assert "--weights" not in described(options(weights="resnet18.pth"))


def test_with_a_file_the_row_starts_from_it(cohort, tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        published = torchvision.models.resnet18()
    torch.save(published.state_dict(), tmp_path / "resnet18.pth")
    models, not_run = runnable(options(weights=str(tmp_path / "resnet18.pth")), cohort)
    assert "ResNet-18" not in not_run
    model = models["ResNet-18"].set_params(resnetclassifier__random_state=0)
    loaded = model.fit(cohort.X, cohort.y)[-1].weights_loaded_
    assert loaded["kind"] == "file"
    assert loaded["file"] == "resnet18.pth"
    assert loaded["n_loaded"] == len(published.state_dict()) - 2
    assert model.predict_proba(cohort.X).shape == (8, 2)

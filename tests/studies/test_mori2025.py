"""Pipelines of mori2025: the paper's order, and what the image models start from."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

import crtkit as ck
from crtkit.studies import mori2025


@pytest.fixture(scope="module")
def pages():
    return np.random.default_rng(0).integers(0, 256, (12, 24, 32, 3), dtype=np.uint8)


def test_models_come_in_the_order_of_the_paper():
    assert [m for m in mori2025.pipelines() if m in mori2025.MODELS] == list(mori2025.MODELS[1:])
    named = list(mori2025.pipelines(weights="resnet18.pth"))
    assert [m for m in named if m in mori2025.MODELS] == list(mori2025.MODELS)


def test_the_encoder_is_of_the_classifiers_size_and_device():
    network = {"width": 16, "device": "cuda", "precision": "bf16", "depth": 34}
    models = mori2025.pipelines(resnet=network, simclr={"max_epochs": 7, "temperature": 0.5})
    classifier = models["SSL + ResNet-18"][-1]
    for name, value in network.items():
        assert getattr(classifier, name) == getattr(classifier.backbone, name) == value
    assert (classifier.backbone.max_epochs, classifier.backbone.temperature) == (7, 0.5)
    assert models["ResNet-18 from scratch"][-1].backbone is None


def test_scratch_and_ssl_differ_in_their_start_alone():
    models = mori2025.pipelines()
    scratch, ssl = (
        models[m][-1].get_params() for m in ("ResNet-18 from scratch", mori2025.MODELS[1])
    )
    shared = {k for k in scratch if k != "backbone"}
    assert {k: scratch[k] for k in shared} == {k: ssl[k] for k in shared}


def test_an_encoder_of_a_pool_is_used_as_it_is(pages):
    encoder = ck.SimCLR(width=8, max_epochs=1, batch_size=4, random_state=0).fit(pages)
    models = mori2025.pipelines(
        resnet={"width": 8, "max_epochs": 1}, encoder=FrozenEstimator(encoder)
    )
    model = models["SSL + ResNet-18"][-1].set_params(finetune=0, augment=None)
    model.fit(pages, np.arange(12) % 2)
    np.testing.assert_array_equal(model.transform(pages), encoder.transform(pages))


def test_the_printed_claim_of_the_smallest_sd_is_not_so():
    sd = mori2025.PUBLISHED[["ppv_sd", "roc_auc_sd"]]
    assert (sd.loc["LightGBM"] < sd.loc["SSL + ResNet-18"]).all()

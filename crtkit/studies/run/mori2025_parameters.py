"""Tables S1 to S3 of mori2025: our training parameters, since the paper's are unpublished."""

import pandas as pd

from crtkit.neural import PageAugment
from crtkit.studies import mori2025 as study

UNKNOWN = "not in our text"


def resnet_parameters(options):
    """Parameters of ResNet-18 that the command line sets."""
    chosen = {"width": options.width, "device": options.device, "precision": options.precision}
    if options.epochs:
        chosen["max_epochs"] = options.epochs
    return chosen


def simclr_parameters(options):
    """Parameters of SimCLR that the command line sets."""
    return {"max_epochs": options.pretrain_epochs} if options.pretrain_epochs else {}


def table_s1(options):
    """Parameters of SimCLR, its augmentation among them."""
    encoder = study.simclr_backbone(resnet_parameters(options), simclr_parameters(options))
    names = ("depth", "width", *study.SIMCLR, "weights", "device", "precision")
    ours = {name: getattr(encoder, name) for name in names}
    ours["size"] = f"{options.size} x {options.size}"
    ours["pages"] = "of the training patients of each split, without their labels"
    augment = PageAugment() if encoder.augment is None else encoder.augment
    ours |= {f"augment: {name}": value for name, value in augment.get_params().items()}
    published = {
        "depth": 18,
        "size": "224 x 224",
        "pages": "about 4,000 of the Mendeley set, which has 928 files, 491 of them distinct",
    }
    table = pd.DataFrame({"published": published, "ours": ours}, index=list(ours), dtype=object)
    table["published"] = table["published"].fillna(UNKNOWN)
    return table.astype(str).rename_axis("parameter")


def table_s2(options):
    """Parameters of ResNet-18: from ImageNet weights, above SimCLR and from scratch."""
    chosen = resnet_parameters(options)
    columns = {
        "published": {**dict.fromkeys(study.RESNET, UNKNOWN), "depth": 18},
        "from ImageNet": {**study.RESNET, **chosen},
        "above SimCLR": {**study.RESNET_ABOVE_SIMCLR, **chosen},
        "from scratch": {**study.RESNET_FROM_SCRATCH, **chosen},
    }
    table = pd.DataFrame(columns).astype(object).rename_axis("parameter")
    table.loc["size"] = ["224 x 224", *[f"{options.size} x {options.size}"] * 3]
    return table.fillna(UNKNOWN).astype(str)


def table_s3():
    """Parameters of LightGBM that differ from its defaults."""
    table = pd.Series(study.LIGHTGBM, name="ours", dtype=object).astype(str).to_frame()
    table.insert(0, "published", UNKNOWN)
    return table.rename_axis("parameter")

"""Tables S1 to S3 of mori2025: our training parameters, since the paper's are unpublished."""

import pandas as pd

from crtkit.neural import PageAugment
from crtkit.studies import mori2025 as study

UNKNOWN = "not in our text"


def pixels(options):
    """Pixels of a page's side: as asked, or of the size."""
    return options.pixels or study.SIZES[options.size]["pixels"][0]


def resnet_parameters(options):
    """Parameters of ResNet-18 that size and command line set."""
    asked = {"width": options.width, "max_epochs": options.epochs}
    return {
        **study.SIZES[options.size]["resnet"],
        **{name: value for name, value in asked.items() if value},
        "device": options.device,
        "precision": options.precision,
    }


def simclr_parameters(options):
    """Parameters of SimCLR that size and command line set."""
    asked = {"max_epochs": options.pretrain_epochs} if options.pretrain_epochs else {}
    return {**study.SIZES[options.size]["simclr"], **asked}


def described(options):
    """Size of the image models, in a sentence below their table."""
    encoder = study.simclr_backbone(resnet_parameters(options), simclr_parameters(options))
    network = {**study.RESNET_FROM_SCRATCH, **resnet_parameters(options)}
    start = (
        ""
        if options.weights
        else " The paper's ResNet-18 starts from ImageNet weights (--weights "
        "names the file); without them it stands here from scratch."
    )
    return (
        f"Size {options.size}: pages of {pixels(options)} x {pixels(options)} pixels, ResNet-18 of "
        f"width {network['width']}, {network['max_epochs']} epochs, SimCLR {encoder.max_epochs} "
        "epochs on the pages of each training part (the paper: 224 x 224 pixels, width 64, about "
        f"4,000 other pages).{start}"
    )


def table_s1(options):
    """Parameters of SimCLR, its augmentation among them."""
    encoder = study.simclr_backbone(resnet_parameters(options), simclr_parameters(options))
    names = ("depth", "width", *study.SIMCLR, "weights", "device", "precision")
    ours = {name: getattr(encoder, name) for name in names}
    ours["size"] = f"{pixels(options)} x {pixels(options)}"
    # Pretraining on test pages would leak; the paper's 4,000 pages are another hospital's.
    ours["pages"] = "of the training patients of each split, without their labels"
    augment = PageAugment() if encoder.augment is None else encoder.augment
    ours |= {f"augment: {name}": value for name, value in augment.get_params().items()}
    published = {
        "depth": 18,
        "size": "224 x 224",
        "pages": "about 4,000 of the Mendeley set, which has 928 files, 491 of them distinct",
    }
    table = pd.DataFrame({"published": published, "ours": ours}, index=list(ours), dtype=object)
    # Absent from the text at hand, which is not the same as unpublished.
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
    table.loc["size"] = ["224 x 224", *[f"{pixels(options)} x {pixels(options)}"] * 3]
    return table.fillna(UNKNOWN).astype(str)


def table_s3():
    """Parameters of LightGBM that differ from its defaults."""
    table = pd.Series(study.LIGHTGBM, name="ours", dtype=object).astype(str).to_frame()
    table.insert(0, "published", UNKNOWN)
    return table.rename_axis("parameter")

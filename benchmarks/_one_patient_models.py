"""Which models the virtual patient is asked with, through which window each looks, their names."""

from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

import crtkit as ck
from benchmarks._results import MITBIH_WEIGHTS
from crtkit.studies import simple

#: Study -> window that its models look through.
WINDOWS = {"mori2025": "page", "he2023": "signal", "lvsd2026": "signal", "he2021": "map"}
#: Models that look through another window than their study's.
ELSEWHERE = {
    "mori2025: LightGBM": "signal",
    "he2023: Guideline": "table",
    "he2021: LVEF + gender + QRS duration": "table",
}
#: Study -> how a reader knows it.
AUTHORS = {
    "mori2025": "Mori 2025",
    "he2023": "He 2023",
    "he2021": "He 2021",
    "lvsd2026": "Kim 2026",
}
EVERYTHING = "Logistic on everything"
#: What the model of everything takes of the table.
TABLE = ("age", "male", "ischaemic", "lvef", "lvesv", "lbbb", "paced", "qrs_duration_ms")
#: Of twelve transformer layers: none and all train.
TRAINABLE_LAYERS = (0, 12)


def models(size="small", device="cpu", cache=None, epochs=None):
    """Every model of the four studies, the two simple ones and one of everything.

    Parameters
    ----------
    size : {"small", "paper"}
        Of all networks, as in every study.
    device : str
        Of the networks.
    cache : Path, optional
        Folder for what several models share: decoded pages and the autoencoder of a fold.
    epochs : int, optional
        Of every network, to see the form of a run in little time.

    Returns
    -------
    dict of str to estimator
        Unfitted; the name begins with the study's.

    Examples
    --------
    >>> from benchmarks.one_patient import models
    >>> [name for name in models() if name.startswith("mori2025")]
    ['mori2025: ResNet-18 from scratch', 'mori2025: SSL + ResNet-18', 'mori2025: LightGBM']
    """
    short = {} if epochs is None else {"max_epochs": epochs}
    network = {"device": device, **short}
    studies = {
        "mori2025": ck.studies.mori2025.pipelines(
            size=size,
            resnet=network,
            simclr=short,
            cache_dir=None if cache is None else cache / "pages",
        ),
        "he2023": _he2023(size, network),
        "he2021": ck.studies.he2021.pipelines(
            size=size,
            autoencoder={} if epochs is None else {"max_iter": epochs},
            memory=None if cache is None else str(cache / "autoencoders"),
        ),
        "lvsd2026": _lvsd2026(size, device, short),
    }
    out = dict(simple.pipelines())
    for study, pipelines in studies.items():
        out.update({f"{study}: {name}": model for name, model in pipelines.items()})
    out[EVERYTHING] = make_pipeline(
        make_union(
            ck.Select([*TABLE, "psd_deg", "pbw_deg"]),
            ck.Select("measurements"),
            make_pipeline(ck.Select("map"), ck.PhaseStatistics()),
        ),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=0.1, max_iter=1000),
    )
    return out


def _he2023(size, network):
    """The study's models; those above MIT-BIH have the small size, which the weights have."""
    out = ck.studies.he2023.pipelines(size=size, network=network)
    above = ck.studies.he2023.pipelines(size="small", network=network, weights=MITBIH_WEIGHTS)
    return out | {name: model for name, model in above.items() if name.endswith(", pretrained")}


def _lvsd2026(size, device, short):
    """The study's models at one threshold, and ECG-FM above our own weights."""
    own, labelled = ck.studies.lvsd2026.OWN_WEIGHTS
    out = ck.studies.lvsd2026.pipelines(
        size=size,
        device=device,
        baseline=short,
        ecgfm=short,
        checkpoint=own,
        finetuned_checkpoint=labelled,
        trainable_layers=TRAINABLE_LAYERS,
    )
    # The study chooses a threshold on its own tuning set, which these patients do not have.
    return {name: model.estimator for name, model in out.items()}


def window(name):
    """Through which window a model looks.

    Examples
    --------
    >>> from benchmarks.one_patient import window
    >>> window("mori2025: LightGBM"), window("he2021: PSD + LVEF + gender"), window("LBBB")
    ('signal', 'map', 'table')
    """
    if name == EVERYTHING:
        return "all"
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    if name in simple.ROWS or name.startswith("QRS area"):
        return "signal"
    if name.startswith(("PSD", "PBW")):
        return "map"
    return WINDOWS.get(name.split(":")[0], "table")


def shown(name):
    """Name of a model as a reader of the picture understands it.

    Examples
    --------
    >>> from benchmarks.one_patient import shown
    >>> shown("he2021: AE + LVEF + gender"), shown("LBBB")
    ('Autoencoder + LVEF + sex, He 2021', 'LBBB')
    >>> shown("lvsd2026: ECG-FM, own pretraining, 1,521 records (SS-AF)")
    'ECG-FM, own weights (SS-AF), Kim 2026'
    """
    study, colon, model = name.partition(": ")
    if not colon:
        return name.replace(">=", "≥").replace("uVs", "µVs").replace(" deg", "°")
    start, own, rest = model.partition(", own pretraining")
    if own:
        model = f"{start}, own weights {rest[rest.index('(') :]}"
    model = model.replace("AE feature", "autoencoder feature").replace("AE +", "autoencoder +")
    model = model.replace("gender", "sex")
    return f"{model[0].upper()}{model[1:]}, {AUTHORS[study]}"

"""Response to CRT from ECG spectrograms, by transfer from MIT-BIH (He et al. 2023).

Reproduced: spectrograms of beats, networks pretrained on arrhythmias, the protocol (five folds by
patient) and the form of the tables. Not reproducible: the patients are private; the hop, padding
and colours of the spectrogram, the features of SVM and random forest, the sampling rate and the way
twelve leads become one answer are unpublished. They are parameters here.
"""

import warnings
from functools import partial
from importlib.resources import files

import numpy as np
import pandas as pd
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from crtkit._leads import default_names
from crtkit.cohort import Select
from crtkit.guidelines import GuidelineClassifier
from crtkit.signals import Resampler
from crtkit.studies.pretraining import pretrain
from crtkit.studies.sizes import chosen_size
from crtkit.studies.spectrograms import (
    FS,
    PICTURE,
    STFT,
    picture_steps,
    representative_beats,
    spectrogram_steps,
)

__all__ = [
    "DEPTHS",
    "FS",
    "LEADS",
    "NETWORK",
    "PATIENTS",
    "PICTURE",
    "PUBLISHED",
    "PUBLISHED_TABLE1",
    "REMARKS",
    "SIZES",
    "STFT",
    "TABLE1_ROWS",
    "picture_steps",
    "pipelines",
    "pretrain",
    "representative_beats",
    "spectrogram_steps",
]

#: Depths of the paper's networks.
DEPTHS = (18, 50, 101)

#: How twelve leads become one answer.
LEADS = ("page", "stack", "mean")

#: Learning rate as printed. The printed batch of 2000 beats is more than a fold's training beats.
NETWORK = {"lr": 1e-3, "max_epochs": 20, "batch_size": 16, "schedule": "cosine"}

#: Heading of what the paper prints.
PATIENTS = "The paper's patients: 71 (46 responders, 25 not), real and private."

#: ``"paper"`` has all depths at full width and wants a GPU; ``"small"`` is for two cores.
SIZES = {
    "paper": {"depths": DEPTHS, "width": 64, "tile": (64, 64), "network": {}},
    "small": {"depths": (18,), "width": 8, "tile": (48, 48), "network": {}},
}

_TABLE2 = pd.read_csv(files("crtkit") / "studies" / "published" / "he2023_table2.csv")

#: Table 2 of the paper: mean and SD over five folds.
PUBLISHED = _TABLE2.drop(columns=["model", "training"]).set_index(
    _TABLE2["model"] + _TABLE2["training"].map({"general": "", "pretrained": ", pretrained"})
)
PUBLISHED.index.name = "model"

#: Table 1 of the paper, as printed.
PUBLISHED_TABLE1 = pd.read_csv(
    files("crtkit") / "studies" / "published" / "he2023_table1.csv", index_col="variable", dtype=str
)

#: Where a cohort's column stands in Table 1.
TABLE1_ROWS = {
    "acei_arb": "ACEI/ARB",
    "age": "Age",
    "male": "Gender",
    "height_cm": "Height (cm)",
    "weight_kg": "Weight (kg)",
    "ckd": "CKD",
    "diabetes": "DM",
    "hypertension": "Hypertension",
    "smoking": "Smoking",
    "beta_blocker": "Beta-blocker",
    "spironolactone": "Spironolactone",
    "digoxin": "Digoxin",
    "diuretic": "Diuretic",
    "qrs_duration_ms": "QRS duration",
    "lbbb": "LBBB",
    "lvef": "LVEF (%)",
    "lvedv": "LVEDV",
    "lvesv": "LVESV",
    "scar": "Scar",
}

#: What is wrong or missing in print, shown beside our tables.
REMARKS = (
    "The best published row (ResNet-50 pretrained) has an accuracy of 0.721 below both its "
    "sensitivity (0.783) and its specificity (0.792): no confusion matrix does that, nor, with the "
    "printed SDs, any mean of five folds.",
    "SDs of about 0.015 are too small for folds of 14 patients, so beats of one patient may have "
    "been on both sides. Ours splits by patient and gives one answer per patient.",
    "The guideline row is impossible: the rule demands LBBB, which 12 of 25 non-responders lack, "
    "so its specificity is at least 0.48, not 0.038.",
    "LBBB alone (44 of 46 against 13 of 25) has sensitivity 0.957, specificity 0.480 and accuracy "
    "0.789, more than any published row; QRS duration alone has an AUC of about 0.75.",
    "No row of Table 2 fits 46 responders and 25 non-responders, pooled or as a mean of five "
    "stratified folds.",
    "Scar of all patients, 26.3 ± 2.1, must be ± 12.1. The p-values of counts in Table 1 are "
    "Student's t-tests on 0 and 1, and so are ours.",
    "The text names a Hamming window once and a Hanning window once; ours is Hann.",
    "Not published: hop, padding, colours, features of SVM and random forest, the sampling rate, "
    "how twelve leads are combined. SVM, random forest and logistic regression on pretrained "
    "features are described, but have no row in print.",
)


def pipelines(
    *,
    fs=500,
    unit="record",
    leads="page",
    n_leads=12,
    weights=None,
    size="paper",
    depths=None,
    width=None,
    stft=None,
    network=None,
):
    """Unfitted pipelines of the study, in the order of Table 2, then those on pretrained features.

    Parameters
    ----------
    fs : float
        Sampling rate of the cohort in Hz; signals are brought to 360 Hz.
    unit : {"record", "beat"}
        ``"record"``: the cohort's rows are records, and each becomes its median beat.
        ``"beat"``: its rows are beats already, from ``segment_beats(cohort, n_samples=...)``; then
        ``evaluate(by="patient")`` votes them to one answer, as the paper's figures would need.
    leads : {"page", "stack", "mean"}
        ``"page"``: the leads' spectrograms are tiles of one picture. ``"stack"``: one encoder per
        lead, features side by side. ``"mean"``: one model per lead, probabilities averaged; those
        of an SVM are calibrated on three folds by patient.
    n_leads : int
        Leads of the signals.
    weights : path-like or dict of int to path-like, optional
        Networks pretrained on MIT-BIH (:func:`pretrain`), by depth; a
        path alone is for the first of ``depths``. Without one, the pretrained twin of that depth is
        left out.
    size : {"paper", "small"} or tuple of int, default="paper"
        A key of ``SIZES``: depths and width of the networks, pixels of one lead's tile, epochs. A
        tuple gives the tile's height and width alone.
    depths : sequence of {18, 34, 50, 101}, optional
        Of the ResNets; default: those of `size`.
    width : int, optional
        Channels of their first stage; that of the weights. Default: that of `size`.
    stft, network : dict, optional
        Replace some of ``STFT`` and of ``NETWORK``.

    Returns
    -------
    dict of str to Pipeline
        Each takes the ``X`` of a cohort. "Guideline" reads ``lvef``, ``qrs_duration_ms`` and
        ``lbbb``; the others ``signal``. Names ending in ", pretrained" start from ``weights``:
        "ResNet-18, pretrained" is fine-tuned, "SVM, pretrained" reads features of the frozen
        network (the first of ``depths`` that has weights). Their general twins read principal
        components of the log-spectrograms.

    Raises
    ------
    ValueError
        An unknown unit, way of combining leads, or size.

    Examples
    --------
    >>> from crtkit.studies import he2023
    >>> list(he2023.pipelines(depths=(18,)))
    ['Guideline', 'SVM', 'Random Forest', 'Logistic regression', 'ResNet-18']
    """
    if unit not in ("record", "beat"):
        raise ValueError(f"unit must be 'record' or 'beat', got {unit!r}.")
    if leads not in LEADS:
        raise ValueError(f"leads must be one of {LEADS}, got {leads!r}.")
    chosen = chosen_size(SIZES, size, pixels="tile")
    depths = chosen["depths"] if depths is None else tuple(depths)
    if weights is not None and not isinstance(weights, dict):
        weights = {depths[0]: weights}
    weights = {depth: path for depth, path in (weights or {}).items() if path is not None}
    # Built separately for every model: pipelines must not share fitted steps.
    front = partial(_front, fs, unit, stft)
    combine = partial(_combine, leads, n_leads, chosen["tile"])
    settings = {**NETWORK, **chosen["network"], "width": width or chosen["width"]}
    settings.update(network or {})
    models = {"Guideline": GuidelineClassifier(rule="he2023")}
    for name, classifier in _classifiers(leads).items():
        models[name] = make_pipeline(*front(), *_general(leads, n_leads, classifier))
    for depth in depths:
        net = partial(_network, depth=depth, **settings)
        models[f"ResNet-{depth}"] = make_pipeline(*front(), *combine(net))
        if depth in weights:
            tuned = partial(net, weights=str(weights[depth]))
            models[f"ResNet-{depth}, pretrained"] = make_pipeline(*front(), *combine(tuned))
    ready = [depth for depth in depths if depth in weights]
    if ready:
        frozen = partial(
            _network,
            depth=ready[0],
            weights=str(weights[ready[0]]),
            finetune=False,
            **{**settings, "max_epochs": 1},  # its head is not used
        )
        for name, classifier in _classifiers(leads).items():
            models[f"{name}, pretrained"] = make_pipeline(*front(), *combine(frozen, classifier))
    return models


def _front(fs, unit, stft):
    """Steps from a cohort's X to spectrograms."""
    resample = [] if fs == FS else [Resampler(fs_in=fs, fs_out=FS)]
    beat = [FunctionTransformer(representative_beats)] if unit == "record" else []
    return [Select("signal"), *resample, *beat, *spectrogram_steps(stft=stft)]


def _network(**parameters):
    from crtkit.neural import ResNetClassifier

    return ResNetClassifier(**parameters)


def _classifiers(leads):
    """The paper's three, by name."""
    # 46 against 25: unweighted, errors on responders would count for nearly twice as much.
    svm = SVC(kernel="rbf", class_weight="balanced")
    return {
        # A mean over leads needs probabilities, which an SVM has only after calibration.
        # With ensemble=False scikit-learn would not pass groups to the splitter.
        "SVM": CalibratedClassifierCV(svm, cv=_PatientFolds(3), ensemble=True)
        if leads == "mean"
        else svm,
        "Random Forest": RandomForestClassifier(
            # At least three patients a leaf: a fold trains on some 57, and single ones are noise.
            n_estimators=300,
            min_samples_leaf=3,
            class_weight="balanced",
            random_state=0,
        ),
        "Logistic regression": LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000),
    }


class _PatientFolds(StratifiedGroupKFold):
    """Stratified folds by patient; without groups every record is its own patient."""

    def split(self, X, y=None, groups=None):
        if groups is None:
            warnings.warn(
                "The SVM of leads='mean' is calibrated by record: fit received no groups. evaluate "
                "passes them; elsewhere enable metadata routing and call fit(X, y, groups=...).",
                UserWarning,
                stacklevel=2,
            )
            # Every record its own patient, which the warning says.
            groups = np.arange(len(y))
        return super().split(X, y, groups)


def _general(leads, n_leads, classifier):
    """Steps from spectrograms to an answer, through principal components."""
    if leads != "mean":
        return [FunctionTransformer(_flat), *_components(), classifier]
    each = [
        (default_names(n_leads)[k], make_pipeline(_one_lead(k), *_components(), classifier))
        for k in range(n_leads)
    ]
    return [VotingClassifier(each, voting="soft")]


def _components():
    # White components: without it the first, loudness, is all that an RBF kernel sees.
    return [StandardScaler(), PCA(0.9, svd_solver="full", whiten=True)]


def _combine(leads, n_leads, size, network, classifier=None):
    """Steps from spectrograms to an answer, through networks.

    Without a classifier the network itself answers, fine-tuned; with one it gives features.
    """
    final = [] if classifier is None else [StandardScaler(), classifier]
    if leads == "page":
        return [*picture_steps(size, n_leads), network(), *final]
    each = [(default_names(n_leads)[k], picture_steps(size, n_leads, k)) for k in range(n_leads)]
    if leads == "mean":
        voters = [(name, make_pipeline(*steps, network(), *final)) for name, steps in each]
        return [VotingClassifier(voters, voting="soft")]
    encoders = FeatureUnion([(name, make_pipeline(*steps, network())) for name, steps in each])
    return [encoders, *(final or [StandardScaler(), _classifiers(leads)["Logistic regression"]])]


def _one_lead(k):
    return FunctionTransformer(_flat, kw_args={"lead": k})


def _flat(spectrograms, lead=None):
    """Spectrograms (n, n_leads, n_freqs, n_frames) as rows, of one lead if asked."""
    spectrograms = np.asarray(spectrograms)
    return (spectrograms if lead is None else spectrograms[:, lead]).reshape(len(spectrograms), -1)

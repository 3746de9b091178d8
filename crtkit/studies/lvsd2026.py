"""LVEF below 40 % in left bundle branch block, from the ECG (Kim et al. 2025, Sci Rep).

Reproduced: the networks, the fourteen ways to fine-tune ECG-FM, the sets (training, tuning, an
internal and two external ones), and the form of every table. Not reproducible: the patients are
private; of the learning rates of fine-tuning the text gives a range and the released script one.
"""

from importlib.resources import files
from importlib.util import find_spec

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crtkit.cohort import Select
from crtkit.resampling import HeldOutThreshold, ResampledClassifier
from crtkit.signals import LeadFilter, LeadSplicer, MiniRocketFeatures, Resampler
from crtkit.studies.sizes import chosen_size

#: Values of a cohort's ``set`` column, and their names in print.
SETS = {"internal": "internal", "external1": "external 1", "external2": "external 2"}
METRICS = (
    *("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1"),
    *("roc_auc", "average_precision"),
)

#: Heading of what the paper prints.
PATIENTS = "The paper's patients: 2,031 pairs of 892, real, of three hospitals, and private."

#: Table 2 as printed: eight metrics of six models on three sets, and their averages.
PUBLISHED = pd.read_csv(
    files("crtkit") / "studies" / "published" / "lvsd2026_table2.csv", index_col=["model", "set"]
)
#: Table 1 as printed.
PUBLISHED_TABLE1 = pd.read_csv(
    files("crtkit") / "studies" / "published" / "lvsd2026_table1.csv",
    index_col="variable",
    dtype=str,
)
#: The row of Table 2 whose specificity and NPV are exchanged.
EXCHANGED = "ECG-FM (SS-FF)"
#: Its confusion matrices, rebuilt from its rates and those of the authors' released result file.
SS_FF_MATRICES = pd.DataFrame(
    [(47, 21, 23, 103), (39, 7, 26, 43), (62, 18, 29, 113)],
    index=pd.Index(list(SETS.values()), name="set"),
    columns=["tp", "fn", "fp", "tn"],
)
#: Averages printed elsewhere: Table 3 and the text.
PUBLISHED_AVERAGES = pd.DataFrame(
    {
        "accuracy": [0.622, None],
        "f1": [None, 0.598],
        "roc_auc": [0.677, None],
    },
    index=pd.Index(["ECG-FM (scratch)", "ECG-FM (SS-AF)"], name="model"),
)

#: What is wrong or missing in print, shown beside our tables.
REMARKS = (
    "In the printed row ECG-FM (SS-FF) specificity and NPV are exchanged: the counts that fit its "
    "other rates give a mean specificity of 0.745 and a mean NPV of 0.851. The row is marked.",
    "The printed F = 16.67 comes out of Table 2 as printed (24 blocks: eight metrics on three "
    "sets); with the two columns put back it is 29.6, so the exchange was in the analysed numbers.",
    "Eight metrics of the same predictions are not independent blocks, so those p-values mean "
    "little; ours are printed in the same form beside a comparison over patients.",
    "The average AUPRC of LSTM-FCN is 0.577, not 0.567. Asterisks mark the best value of a column; "
    "no single cell was tested.",
    "Table 1 counts pairs of ECG and echocardiogram, not patients, prints 45 positives at JNUH "
    "where every row of Table 2 needs 46, and five patients with 37 pairs changed hospital.",
    "Training and tuning are split by patient here; the released code splits by ECG.",
    "Korea's mains are 60 Hz, and 50 Hz was removed; mains= is a parameter here.",
    "Captum's DeepLIFT has no rule for GELU, LayerNorm or attention. On ECG-FM it is gradient x "
    "input, which from a zero reference sums to about zero; each map has its completeness error.",
    "The released script starts from the checkpoint that was already fine-tuned on PhysioNet "
    "labels, which the paper calls sequential; its projection stays at its random start.",
)

#: The paper's baselines, in its order.
BASELINES = ("FCN", "LSTM-FCN", "ResNet", "InceptionTime")
#: A cheap row absent from the paper: thousands of fixed convolutions and a ridge classifier.
CHEAP = "MiniRocket + ridge"
#: Text of its row where it cannot run.
NEEDS_NUMBA = "needs numba: pip install 'crtkit[rocket]'"
#: Transformer layers that train in each of the seven models of a starting point.
TRAINABLE_LAYERS = (0, 2, 4, 6, 8, 10, 12)
#: Learning rate by trainable layers; the script has 5e-7 for all twelve, the text 1e-3 to 5e-7.
LEARNING_RATES = {0: 1e-3, 2: 1e-4, 4: 5e-5, 6: 1e-5, 8: 5e-6, 10: 1e-6, 12: 5e-7}

#: Our own weights of ECG-FM, which come with the package, and the rate of a small ECG-FM, tuned
#: from them or from scratch (``benchmarks.default_rates``).
OWN_WEIGHTS = ("crtkit-small", "crtkit-small-labels")
OWN_RATE = 3e-4

#: Epochs, rates and sizes: ``"paper"`` needs a GPU, ``"small"`` runs on two cores.
SIZES = {
    "paper": {
        "fs": 500,
        "baseline": {"max_epochs": 100, "lr": 5e-6},
        "ecgfm": {"size": "base", "max_epochs": 60, "lr": 1e-4, "window": None},
        "networks": {},
    },
    "small": {
        "fs": 100,
        "baseline": {"max_epochs": 12, "lr": 1e-3, "batch_size": 16},
        "ecgfm": {
            "size": "tiny",
            "max_epochs": 12,
            "lr": OWN_RATE,
            "batch_size": 16,
            "window": None,
        },
        "networks": {
            "FCN": {"n_filters": (32, 64, 32)},
            "LSTM-FCN": {"n_filters": (32, 64, 32)},
            "ResNet": {"n_filters": (16, 32, 32)},
            "InceptionTime": {"n_filters": 8, "bottleneck_size": 8},
        },
    },
}


def tuning_name(start, n_layers, depth=12, n_records=None):
    """Name of a fine-tuned ECG-FM as the paper has it, or of one of our own pretraining.

    Parameters
    ----------
    start : {"SS", "Sq"}
        Single-step or sequential.
    n_layers : int
        How many of the transformer's layers train.
    depth : int, default=12
        How many layers there are.
    n_records : int, optional
        Records of our own pretraining, which no row of the paper's may be taken for.

    Returns
    -------
    str

    Examples
    --------
    >>> from crtkit.studies.lvsd2026 import tuning_name
    >>> tuning_name("SS", 12), tuning_name("Sq", 8), tuning_name("SS", 0)
    ('ECG-FM (SS-FF)', 'ECG-FM (Sq-PF 8)', 'ECG-FM (SS-AF)')
    >>> tuning_name("SS", 3, depth=3, n_records=1521)
    'ECG-FM, own pretraining, 1,521 records (SS-FF)'
    """
    how = {0: "AF", depth: "FF"}.get(n_layers, f"PF {n_layers}")
    own = "" if n_records is None else f", own pretraining, {n_records:,} records"
    return f"ECG-FM{own} ({start}-{how})"


def repaired():
    """Table 2 with the exchanged columns of its SS-FF row put back.

    Returns
    -------
    DataFrame
        As ``PUBLISHED``.

    Examples
    --------
    >>> from crtkit.studies import lvsd2026
    >>> lvsd2026.repaired().loc[("ECG-FM (SS-FF)", "average"), ["specificity", "npv"]].tolist()
    [0.745, 0.851]
    """
    table = PUBLISHED.copy()
    table.loc[EXCHANGED, ["specificity", "npv"]] = PUBLISHED.loc[
        EXCHANGED, ["npv", "specificity"]
    ].to_numpy()
    return table


def blocks(table):
    """Scores as the paper tested them: one row per metric and set, one column per model.

    Parameters
    ----------
    table : DataFrame
        Index (model, set), columns metrics; averages are left out.

    Returns
    -------
    DataFrame of shape (n_metrics * n_sets, n_models)

    Examples
    --------
    >>> from crtkit.statistics import rm_anova
    >>> from crtkit.studies import lvsd2026
    >>> printed, repaired = lvsd2026.PUBLISHED, lvsd2026.repaired()
    >>> [round(float(rm_anova(lvsd2026.blocks(t))["statistic"].iloc[0]), 2)
    ...  for t in (printed, repaired)]
    [16.67, 29.63]
    """
    kept = table[table.index.get_level_values("set") != "average"]
    models = kept.index.get_level_values("model").unique()
    wide = kept[list(METRICS)].stack().unstack("model")
    return wide[list(models)]


def front(fs=500, spliced=True, mains=50):
    """Steps in front of every network: the paper's filter, the page's four channels, the rate.

    Parameters
    ----------
    fs : float, default=500
        Rate that the network gets; cohorts of this study have 500 Hz.
    spliced : bool, default=True
        Three rows of four leads and the rhythm strip; False keeps twelve leads of ten seconds.
    mains : float or None, default=50
        Hz; the paper's 50, though Korea has 60.

    Returns
    -------
    list of transformer

    Examples
    --------
    >>> from crtkit.studies import lvsd2026
    >>> [type(step).__name__ for step in lvsd2026.front(fs=100)]
    ['Select', 'LeadFilter', 'LeadSplicer', 'Resampler']
    """
    # A moving average of one mains period, as NeuroKit2's default cleaning does.
    steps = [Select("signal"), LeadFilter(fs=500, mains=mains, mains_method="moving_average")]
    if spliced:
        steps.append(LeadSplicer(fs=500))
    if fs != 500:
        steps.append(Resampler(fs_in=500, fs_out=fs))
    return steps


def pipelines(
    *,
    size="small",
    spliced=True,
    mains=50,
    checkpoint=None,
    finetuned_checkpoint=None,
    trainable_layers=TRAINABLE_LAYERS,
    oversample=False,
    augment=None,
    minirocket=None,
    baseline=None,
    ecgfm=None,
    device="cpu",
    precision="float32",
):
    """Unfitted models of the study, in the paper's order.

    Parameters
    ----------
    size : {"small", "paper"}, default="small"
        A key of ``SIZES``: 100 Hz, few epochs and a tiny ECG-FM on two cores, or the paper's.
    spliced : bool, default=True
        The paper's four channels; False feeds twelve leads.
    mains : float or None, default=50
    checkpoint, finetuned_checkpoint : path-like, optional
        Of ECG-FM: the pretraining file gives the seven SS models, the one fine-tuned on PhysioNet
        labels the seven Sq ones. Those are of base size at 500 Hz, whatever ``size``. Or our own
        weights, ``"crtkit-small"`` and ``"crtkit-small-labels"``: their rows are named "own
        pretraining, N records", and their network has three layers, so that there are four.
    trainable_layers : tuple of int
        Which of the seven, of twelve layers.
    oversample : bool, default=False
        Draw the smaller class again, patients following their rows; named "… + oversampling".
    augment : {"light"}, callable or None, default=None
        Of the networks' training batches; named "… + augmentation". MiniRocket has no batches and
        is left out.
    minirocket : bool or None, default=None
        MiniRocket with a ridge classifier, whose penalty is chosen by patient. It needs numba; None
        leaves it out where that is not installed.
    baseline, ecgfm : dict, optional
        Replace training parameters of the baselines, and of ECG-FM.
    device, precision : str
        As the networks take them.

    Returns
    -------
    dict of str to HeldOutThreshold
        Each takes the ``X`` of a cohort whose column ``set`` marks the tuning part: the threshold
        is chosen there, for balanced accuracy, and goes frozen to other sets.

    Raises
    ------
    ImportError
        ``minirocket=True`` without numba.
    ValueError
        No such size.

    Examples
    --------
    >>> from crtkit.studies import lvsd2026
    >>> list(lvsd2026.pipelines(minirocket=False))
    ['FCN', 'LSTM-FCN', 'ResNet', 'InceptionTime', 'ECG-FM (scratch)']
    >>> list(lvsd2026.pipelines(augment="light"))[0]
    'FCN + augmentation'
    """
    from crtkit.neural import (
        ECGFMClassifier,
        FCNClassifier,
        InceptionTimeClassifier,
        LSTMFCNClassifier,
        ResNet1dClassifier,
    )

    chosen = chosen_size(SIZES, size)
    classes = (FCNClassifier, LSTMFCNClassifier, ResNet1dClassifier, InceptionTimeClassifier)
    common = {"device": device, "precision": precision, "augment": augment}
    out = {}

    def add(name, steps, fs):
        model = make_pipeline(*front(fs, spliced, mains), *steps)
        if oversample:
            name, model = f"{name} + oversampling", ResampledClassifier(model)
        if augment is not None:
            name = f"{name} + augmentation"
        out[name] = HeldOutThreshold(model, column="set")

    for name, cls in zip(BASELINES, classes):
        settings = {**chosen["baseline"], **chosen["networks"].get(name, {}), **(baseline or {})}
        add(name, [cls(**settings, **common)], chosen["fs"])
    if augment is None and _with_minirocket(minirocket):
        add(CHEAP, _cheap_steps(), chosen["fs"])
    settings = {**chosen["ecgfm"], **(ecgfm or {})}
    scratch = ECGFMClassifier(**settings, fs=chosen["fs"], **common)
    add("ECG-FM (scratch)", [scratch], chosen["fs"])
    for start, path in (("SS", checkpoint), ("Sq", finetuned_checkpoint)):
        if path is None:
            continue
        tuned = _own if str(path) in OWN_WEIGHTS else _published
        for name, network, fs in tuned(start, path, trainable_layers, size, ecgfm or {}):
            add(name, [network.set_params(**common)], fs)
    return out


def _published(start, path, trainable_layers, size, changes):
    """Fine-tunings of a public checkpoint: of base size at 500 Hz, whatever the size."""
    from crtkit.neural import ECGFMClassifier

    settings = {**SIZES["paper"]["ecgfm"], **changes}
    settings.pop("size", None)
    for k in trainable_layers:
        settings["lr"] = changes.get("lr", LEARNING_RATES.get(k, 1e-4))
        network = ECGFMClassifier(
            checkpoint=str(path), trainable_layers=k, **settings, lr_projection=1e-3
        )
        yield tuning_name(start, k), network, 500


def _own(start, path, trainable_layers, size, changes):
    """Fine-tunings of our own weights, as many as their network has layers."""
    from crtkit.neural import ECGFMClassifier
    from crtkit.neural.ecgfm import load_checkpoint

    module, card, _ = load_checkpoint(path)
    depth = module.config.n_layers
    n_records = sum(source["records"] for source in card["data"])
    settings = {**SIZES[size]["ecgfm"], "lr": OWN_RATE, **changes}
    settings.pop("size", None)
    # The asked numbers of the paper's twelve layers say all, none and part of them.
    asked = sorted({round(k / 12 * depth) for k in trainable_layers})
    fs = SIZES[size]["fs"]
    for k in asked:
        network = ECGFMClassifier(
            checkpoint=str(path), trainable_layers=k, fs=fs, **settings,
            lr_projection=1e-3, lr_head=1e-3,
        )  # fmt: skip
        yield tuning_name(start, k, depth, n_records), network, fs


def _with_minirocket(asked):
    """Whether MiniRocket is wanted and can run."""
    # Looked for, not imported: numba takes seconds to load.
    available = find_spec("numba") is not None
    if asked and not available:
        raise ImportError(f"{CHEAP} {NEEDS_NUMBA}; or pass minirocket=False.")
    return available if asked is None else bool(asked)


def _cheap_steps():
    # Folds by patient: the records of one patient are alike, and would choose too small a penalty.
    cv, penalties = StratifiedGroupKFold(5), {"alpha": np.logspace(0, 6, 7)}
    ridge = GridSearchCV(RidgeClassifier(), penalties, scoring="roc_auc", cv=cv)
    # Shares of positive values have a meaningful zero, and the ridge its own intercept.
    return [MiniRocketFeatures(), StandardScaler(with_mean=False), ridge]

"""Whether SimCLR makes ResNet-18 steadier on ECG pages, at 100, 25 and 10 % of the labels.

The question of mori2025, on pages that anyone can have: the network from scratch against the same
network above SimCLR, which pretrained on the pages of the training patients without their labels.
Everything else is the same in both arms: split, labelled patients, seed, learning rate, epochs.

Goals: AUC by record, mean and SD; whether the SD falls; how much of it is the split and how much
the seed. Not a goal: the paper's own comparator, which starts from ImageNet weights.
"""

import math
import sys
import time
from dataclasses import asdict, dataclass

import joblib
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.frozen import FrozenEstimator

import crtkit as ck
from benchmarks._results import (
    Output,
    environment,
    journal_path,
    load_cohort,
    markdown_table,
    stated,
    write_json,
)
from benchmarks._ssl_report import (
    COMPARISON_NOTE,
    answers,
    figure,
    question,
    shown_cells,
    shown_comparison,
    shown_components,
)
from benchmarks._ssl_spread import ARMS, cells, comparison, components
from crtkit.evaluation import RepeatedStratifiedPatientSplit, check_pool
from crtkit.evaluation.resume.fingerprint import versions
from crtkit.evaluation.resume.journal import Journal
from crtkit.evaluation.splits import draw_patients, patient_labels
from crtkit.evaluation.workers import pinned_threads, resolve_threads
from crtkit.images import IdentityEraser, JPEGLoader
from crtkit.metrics import roc_auc
from crtkit.neural import ResNetClassifier
from crtkit.studies import mori2025 as study

FRACTIONS = (1.0, 0.25, 0.1)
SPLITS = 5
BATCH = 16  # a tenth of the labels are some thirty pages: batches of 32 would leave one of two
TEST_SIZE = 0.2


@dataclass(frozen=True)
class Settings:
    """What every fit shares; two runs with the same settings and data have the same results."""

    size: int
    width: int
    epochs: int
    min_steps: int
    pretrain_epochs: int
    batch_size: int
    device: str
    precision: str
    random_state: int


@dataclass(frozen=True)
class Cell:
    """One fit; ``fraction`` None is pretraining alone."""

    arm: str
    split: int
    repeat: int
    fraction: float | None = None

    @property
    def model(self):
        """Name in the journal."""
        return f"{self.arm}, {self.fraction:.0%} of the labels"


def add_arguments(sub):
    """Command line that only this benchmark has."""
    sub.set_defaults(modality="image")
    sub.add_argument("--image", help="page file column of the manifest")
    sub.add_argument("--size", type=int, default=112, help="pixels that pages are resized to")
    sub.add_argument("--width", type=int, default=16, help="width of ResNet-18; 64 is the standard")
    sub.add_argument("--epochs", type=int, default=20, help="epochs of fine-tuning")
    sub.add_argument(
        "--min-steps",
        type=int,
        default=200,
        help="where --epochs make fewer optimizer steps, as on few labels, epochs are added",
    )
    sub.add_argument("--pretrain-epochs", type=int, default=30, help="epochs of SimCLR")
    sub.add_argument("--repeats", type=int, default=2, help="training seeds of each split")
    sub.add_argument("--four-classes", action="store_true", help="classes of the pages, not two")
    sub.add_argument("--device", default="cpu", help="cpu, cuda or auto")
    sub.add_argument("--precision", default="float32", help="float32 or bf16")
    sub.add_argument("--cache", help="folder that keeps unpacked and decoded pages")


def run(options):
    """Fit every cell that the journal does not have, and write tables, figure and results.json.

    Parameters
    ----------
    options : Namespace
        From ``benchmarks.__main__``; ``seeds`` is the number of splits.
    """
    start = time.perf_counter()
    names = ("size", "width", "epochs", "min_steps", "pretrain_epochs", "device", "precision")
    settings = Settings(
        **{name: getattr(options, name) for name in names},
        batch_size=BATCH,
        random_state=options.random_state,
    )
    n_splits = options.seeds
    if n_splits is None:
        n_splits = 2 if options.quick else SPLITS
    if n_splits < 1 or options.repeats < 1:
        raise ValueError(
            f"ssl_pages expects --seeds and --repeats of at least 1, got {n_splits} and "
            f"{options.repeats}."
        )
    cohort = load_pages(options)
    pages = decoded(cohort, options)
    splits = draw_splits(cohort, n_splits, options.random_state)
    for train, test in splits:
        groups = {"pool_groups": cohort.groups[train], "groups": cohort.groups[test]}
        # SimCLR sees all training pages without labels; a copy of a test page among them would
        # leak.
        check_pool(pages[train], pages[test], **groups)
    grid = [
        Cell(arm, split, repeat, fraction)
        for split in range(n_splits)
        for repeat in range(options.repeats)
        for arm in ARMS
        for fraction in FRACTIONS
    ]
    n_threads = resolve_threads(None, options.n_jobs)
    path = journal_path(options)
    identity = {
        "settings": asdict(settings),
        "data": cohort.fingerprint(),
        "versions": versions(),
        "threads": n_threads,
    }
    journal = Journal(path, identity, {cell.model: cell.model for cell in grid})
    data = (pages, cohort.y, cohort.groups)
    # An encoder of other code or versions is another encoder: a journal refuses those, so do we.
    encoders = options.out / "encoders" / joblib.hash(identity)[:16]
    try:
        rows = fit_all(grid, data, splits, settings, options, journal, encoders, n_threads)
    finally:
        journal.close()
    return write(options, cohort, settings, splits, pd.DataFrame(rows), n_threads, start)


def load_pages(options):
    """Cohort with a column of page files."""
    if options.four_classes:
        if options.data is None:
            raise ValueError("--four-classes needs the folder of ECG report pages: give --data.")
        cohort = ck.datasets.load_ecg_images(options.data, cache_dir=options.cache)
    else:
        cohort = load_cohort(options, "mori2025")
    if "image" not in cohort.X:
        raise ValueError(
            "ssl_pages needs pages: a folder with labels.csv, or a manifest with --image; the "
            f"cohort has the columns {list(cohort.X.columns)}."
        )
    return cohort


def decoded(cohort, options):
    """Every page as uint8, what is printed outside its grid erased."""
    loader = JPEGLoader(
        size=(options.size, options.size),
        erase=IdentityEraser(),
        cache_dir=options.cache,
        n_jobs=options.n_jobs,
    )
    return np.asarray(loader.fit_transform(ck.Select("image").fit_transform(cohort.X)))


def draw_splits(cohort, n_splits, random_state):
    """Training and test records of every split, by patient."""
    splitter = RepeatedStratifiedPatientSplit(
        n_splits, test_size=TEST_SIZE, random_state=random_state
    )
    return list(splitter.split(cohort.y, cohort.y, cohort.groups))


def labelled(y, groups, train, fraction, seed):
    """Training records of a share of the patients; a smaller share is part of a larger one."""
    if fraction == 1:
        return train
    _, patient_of, labels = patient_labels("ssl_pages", y[train], groups[train])
    # By patient and class: a tenth of the pages could miss a class or split a patient.
    drawn = draw_patients("ssl_pages", labels, fraction, np.random.default_rng(seed))
    return train[drawn[patient_of]]


def fit_all(grid, data, splits, settings, options, journal, encoders, n_threads):
    """Rows of all fits: those of the journal, and the others as they are finished.

    A split is finished before the next begins, so that an interrupted run can be ended with fewer
    of them. Pretraining goes first and leaves a checkpoint in ``encoders``, from which the fits on
    every share of the labels start.
    """
    left = [c for c in grid if (c.model, c.split, c.repeat) not in journal.cells]
    queues = []
    for split in range(len(splits)):
        scratch = [c for c in left if c.split == split and c.arm != "SimCLR"]
        above = [c for c in left if c.split == split and c.arm == "SimCLR"]
        pretraining = dict.fromkeys(Cell(c.arm, c.split, c.repeat) for c in above)
        # Networks from scratch run beside the pretraining; those above it wait until it is there.
        queues += [[*pretraining, *scratch], above]
    progress = Progress([cell for queue in queues for cell in queue], splits, settings)
    for queue in queues:
        calls = (
            delayed(fit_cell)(cell, *data, *splits[cell.split], settings, str(encoders), n_threads)
            for cell in queue
        )
        for cell, row in Parallel(options.n_jobs, return_as="generator_unordered")(calls):
            if row is not None:
                journal.append(row)
            progress.done(cell, row)
    return [journal.cells[cell.model, cell.split, cell.repeat] for cell in grid]


def fit_cell(cell, pages, y, groups, train, test, settings, folder, n_threads):
    """Pretrain, or train and test one network; None in place of a row is pretraining."""
    start = time.perf_counter()
    root = [settings.random_state, cell.split]
    # Neither arm nor share is in it: what is compared starts from the same numbers.
    seed = int(np.random.SeedSequence([*root, cell.repeat]).generate_state(1)[0])
    network = {"width": settings.width, "device": settings.device, "precision": settings.precision}
    with pinned_threads(n_threads):
        encoder = None
        if cell.arm == "SimCLR":
            encoder = study.simclr_backbone(
                network,
                {"max_epochs": settings.pretrain_epochs, "batch_size": 2 * settings.batch_size},
            ).set_params(random_state=seed, checkpoint_dir=folder)
            encoder.fit(pages[train], groups=groups[train])
        if cell.fraction is None:
            return cell, None
        known = labelled(y, groups, train, cell.fraction, root)
        epochs = n_epochs(len(known), settings)
        model = ResNetClassifier(
            **{
                **study.RESNET_ABOVE_SIMCLR,
                **network,
                "max_epochs": epochs,
                "batch_size": settings.batch_size,
            },
            backbone=None if encoder is None else FrozenEstimator(encoder),
            random_state=seed,
        ).fit(pages[known], y[known])
        proba = model.predict_proba(pages[test])
    return cell, {
        "model": cell.model,
        "seed": cell.split,
        "fold": cell.repeat,
        "arm": cell.arm,
        "fraction": cell.fraction,
        "n_labelled": len(known),
        "n_labelled_patients": len(np.unique(groups[known])),
        "n_test": len(test),
        "n_test_patients": len(np.unique(groups[test])),
        "epochs": epochs,
        "roc_auc": auc(y[test], proba, model.classes_),
        "train_loss": model.history_[-1]["train_loss"],
        "seconds": round(time.perf_counter() - start, 1),
    }


def n_epochs(n_records, settings):
    """Epochs of fine-tuning: ``epochs``, or as many as make ``min_steps`` optimizer steps."""
    return max(
        settings.epochs, math.ceil(settings.min_steps / math.ceil(n_records / settings.batch_size))
    )


def auc(y, proba, classes):
    """AUC by record; of more than two classes the mean of one against the others.

    A class that no labelled record had gets the same score everywhere, so 0.5; one that no test
    record has is left out.
    """
    tested = np.unique(y)
    if len(tested) < 2:
        return math.nan
    if len(classes) == 2 and np.isin(tested, classes).all():
        return roc_auc(y == classes[1], proba[:, 1], pos_label=True)
    column = dict(zip(classes.tolist(), proba.T))
    constant = np.zeros(len(y))
    each = [roc_auc(y == c, column.get(c, constant), pos_label=True) for c in tested.tolist()]
    return float(np.mean(each))


class Progress:
    """A line on stderr for every finished fit, with the time left.

    Parameters
    ----------
    cells : list of Cell
        All that will be fitted.
    splits : list of (ndarray, ndarray)
    settings : Settings
    """

    def __init__(self, cells, splits, settings):
        self.work = {cell: self._work(cell, splits, settings) for cell in cells}
        self.total, self.finished, self.n = sum(self.work.values()), 0, 0
        self.start = time.perf_counter()

    @staticmethod
    def _work(cell, splits, settings):
        """Pages that go through the network, forth and back; checkpoints are read in no time."""
        n = len(splits[cell.split][0])
        if cell.fraction is None:
            return 2 * n * settings.pretrain_epochs
        return max(1, round(n * cell.fraction)) * n_epochs(max(1, n * cell.fraction), settings)

    def done(self, cell, row):
        """One more is finished."""
        self.n += 1
        self.finished += self.work[cell]
        elapsed = time.perf_counter() - self.start
        left = elapsed * (self.total - self.finished) / self.finished
        what = "pretrained" if row is None else f"{cell.fraction:.0%}: AUC {row['roc_auc']:.3f}"
        print(
            f"[{self.n}/{len(self.work)}, {left / 60:.0f} min left] split {cell.split}, seed "
            f"{cell.repeat}, {cell.arm}, {what}",
            file=sys.stderr,
            flush=True,
        )


def write(options, cohort, settings, splits, fits, n_threads, start):
    """Tables, figure, report and results.json."""
    fits = fits.rename(columns={"seed": "split", "fold": "repeat"}).drop(columns="model")
    fits = fits.drop(columns="model_id", errors="ignore")
    # Nadeau and Bengio's variance needs it, since the splits share their patients.
    ratio = float(np.mean([len(test) / len(train) for train, test in splits]))
    table, against = cells(fits), comparison(fits, ratio, options.random_state)
    parts = components(fits)
    output = Output(options.out, "ssl_pages", stated(cohort))
    output.text("What was asked", [question(cohort, settings, fits, len(splits), options.repeats)])
    output.table("auc", "AUC by record, mean ± SD over all fits", shown_cells(table, fits))
    output.table("comparison", "SimCLR against scratch", shown_comparison(against), COMPARISON_NOTE)
    output.table(
        "components",
        "How much of the spread is the split and how much the seed",
        shown_components(parts),
        f"{len(splits)} splits and {options.repeats} training seeds in each say little: the "
        "intervals are 95 % and suppose normal components. The seed's part holds initial weights, "
        "order, views and, with SimCLR, pretraining; the split's holds the luck of the test "
        "patients and of the labelled ones.",
    )
    output.figure("auc", "AUC of every fit", figure(fits, table, parts))
    answer = answers(table, against)
    output.text("The answer", answer)
    output.report()
    write_json(
        options.out / "results.json",
        {
            "benchmark": "ssl_pages",
            "patients": stated(cohort),
            "classes": [str(c) for c in np.unique(cohort.y)],
            "data_sha256": cohort.fingerprint(),
            "settings": asdict(settings),
            "n_splits": len(splits),
            "n_repeats": options.repeats,
            "threads_per_fit": n_threads,
            "n_jobs": options.n_jobs,
            "leaks": "check_pool found no page and no patient of a test part in its pool",
            "resnet": study.RESNET_ABOVE_SIMCLR,
            "simclr": study.SIMCLR,
            "fits": fits,
            "auc": table,
            "comparison": against,
            "components": parts,
            "answer": answer,
            "environment": environment(options.device),
            "seconds": round(time.perf_counter() - start, 1),
            "seconds_of_fits": round(float(fits["seconds"].sum()), 1),
        },
    )
    shown = markdown_table(shown_cells(table, fits))
    return "\n".join([f"\n{stated(cohort)}\n", shown, *answer])

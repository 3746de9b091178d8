"""What every study's benchmark does: load the cohort, keep the journal, write the files."""

import sys
from pathlib import Path

import crtkit as ck
from benchmarks._results import markdown_table


def load_cohort(options, study):
    """Cohort that the command line asks for.

    Parameters
    ----------
    options : Namespace
        ``data``, ``label``, ``group``, ``signal``, ``fs``, ``duration``, ``quick``,
        ``random_state``.
    study : str
        Study whose simulated cohort stands in where no data are given.

    Returns
    -------
    Cohort
    """
    if options.data is None:
        # Sixty patients are enough for two splits that hold both classes.
        n_patients = 60 if options.quick else None
        return ck.datasets.make_cohort(
            study,
            n_patients=n_patients,
            modality=getattr(options, "modality", None),
            random_state=options.random_state,
        )
    if (options.data / "labels.csv").is_file() and not any(options.data.rglob("*.hea")):
        cache = getattr(options, "cache", None)
        return ck.datasets.load_ecg_images(options.data, label="binary", cache_dir=cache)
    if options.data.is_dir():
        return ck.datasets.load_physionet(
            options.data,
            label=options.label or "sinus rhythm",
            duration=options.duration or 10.0,
            fs=options.fs or 500.0,
        )
    image = getattr(options, "image", None)
    return ck.read_manifest(
        options.data,
        label=options.label or "responder",
        group=options.group,
        signal=options.signal or (None if image else "signal"),
        image=image,
        fs=options.fs,
        duration=options.duration,
    )


def journal_path(options, name="journal.jsonl"):
    """Where finished fits are kept; those of an earlier run are set aside, not lost."""
    path = options.out / name
    if path.exists() and not options.resume:
        number = 1
        while (kept := path.with_suffix(f".jsonl.{number}")).exists():
            number += 1
        path.replace(kept)
        print(f"starting anew; the earlier run's fits are kept in {kept.name}", file=sys.stderr)
    return path


class Output:
    """Folder of a run: tables as Markdown and CSV, figures as PNG, and one report of them all.

    Parameters
    ----------
    folder : Path
    title : str
        Heading of the report.
    stated : str
        What the patients are; printed above every table and in every figure.
    """

    def __init__(self, folder, title, stated):
        self.folder = Path(folder)
        self.stated = stated
        self.parts = [f"# {title}\n\n{stated}\n"]
        self.tables = {}

    def table(self, name, title, table, note="", patients=None):
        """Write one table, and add it to the report; `patients` where they are others."""
        write_text(self.folder / f"{name}.csv", table.to_csv())
        text = markdown_table(table)
        body = f"{patients or self.stated}\n\n{text}\n" + (f"\n{note}\n" if note else "")
        write_text(self.folder / f"{name}.md", f"**{title}.** {body}")
        self.parts.append(f"## {title}\n\n{text}\n" + (f"\n{note}\n" if note else ""))
        self.tables[name] = table
        return text

    def figure(self, name, title, figure, patients=None):
        """Save one figure, with `patients`, or whose they are, below it."""
        import matplotlib.pyplot as plt

        stated = patients or self.stated
        figure.text(0.5, 0.005, stated, ha="center", va="bottom", fontsize=7, color="0.35")
        part = self.folder / f".{name}.part.png"
        figure.savefig(part, dpi=150, bbox_inches="tight")
        part.replace(self.folder / f"{name}.png")
        plt.close(figure)
        self.parts.append(f"## {title}\n\n![{title}]({name}.png)\n")

    def text(self, title, lines):
        """Add a list to the report."""
        self.parts.append(f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n")

    def report(self):
        """Write the report, and return its path."""
        path = self.folder / "report.md"
        write_text(path, "\n".join(self.parts))
        return path


def write_text(path, text):
    """Write a file at once: a reader never sees half of it."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def stated(cohort):
    """One sentence that says what the patients are."""
    counts = f"{len(cohort)} records of {cohort.n_patients} patients"
    name = cohort.info["name"]
    if cohort.info["source"] != "simulated":
        return f"Real data, {name}: {counts}."
    best = "; ".join(
        f"{modality}: {value['auc']:.3f} ± {value['se']:.3f}"
        for modality, value in cohort.info["best_auc"].items()
    )
    return f"SIMULATED patients, {name}: {counts}; best reachable AUC ({best})."


def measured_rows(result):
    """Sentence on the reference rows that read the ECG, for want of a column in the table."""
    rows = result.info.get("measured") or {}
    parts = "; ".join(f"{name} ({', '.join(columns)})" for name, columns in rows.items())
    return [f"Measured from the ECG: {parts}."] if parts else []

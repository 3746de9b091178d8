"""What the field asks, answered from the committed results: ``python -m benchmarks.answers``.

A sentence and a number for each question, real data first. Nothing is computed here but the
sentence: every figure stands in the ``results.json`` that is named beside it. The documentation
includes what this writes; nobody types a figure into a page.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks._results import markdown_table, write_text
from crtkit.studies.run.output import interval

RESULTS = Path(__file__).parent / "results"
SIMULATED = "SIMULATED"


@dataclass
class Question:
    """A question, its short answer, and the figures behind it.

    Attributes
    ----------
    asked, short : str
    evidence : list of (str, str, str)
        Whose data ("real" or "SIMULATED"), the sentence, the folder of the result.
    """

    asked: str
    short: str
    evidence: list = field(default_factory=list)

    def add(self, sentence, folder, kind="real"):
        """One more figure."""
        self.evidence.append((kind, sentence, folder))


def load(folder, root=RESULTS):
    """The JSON of a committed run, or None where it has not been run."""
    path = Path(root) / folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def records(run):
    """How many records a run had, as its statement on the patients says."""
    return re.search(r"([\d,]+) records", run["patients"])[1]


def shown(low, high):
    """What an interval of a difference shows."""
    if low > 0:
        return "shown to help"
    return "shown to harm" if high < 0 else "not shown to help"


def pretraining(root):
    """Does pretraining help, and make models steadier?"""
    out = Question("Does pretraining help, and does it make models steadier?", "")
    pages = load("ecg_images_mendeley_ssl", root)
    labels, steadier = [], []
    on_pages = [row["difference"] for row in pages["comparison"]]
    for row in pages["comparison"]:
        labels.append(shown(row["ci_low"], row["ci_high"]))
        steadier.append(row["sd_high"] < 1)
        out.add(
            f"SimCLR on {records(pages)} report pages, {row['fraction']:.0%} of the labels: AUC "
            f"{row['difference']:+.3f} ({interval(row['ci_low'], row['ci_high'], '+')}) against "
            f"scratch; SD {row['sd_ratio']:.2f} times as large ({row['sd_low']:.2f} to "
            f"{row['sd_high']:.2f}).",
            "ecg_images_mendeley_ssl",
        )
    ecgfm = load("ecgfm_pretraining", root)
    gains = []
    for name in ("crtkit-small", "crtkit-small-labels"):
        row = next(
            r
            for r in ecgfm["gain"]
            if (r["label"], r["n"], r["embedding"], r["network"]) == ("NORM", 100, "layers", name)
        )
        gains.append((shown(row["ci_low"], row["ci_high"]), row["difference"]))
        how = "with labels of other patients" if name.endswith("labels") else "without labels"
        seen = sum(source["records"] for source in ecgfm["cards"][name]["data"])
        out.add(
            f"ECG-FM pretrained {how} on {seen:,} open ECGs, frozen, normal or not from 100 "
            f"labelled records of PTB-XL: AUC {row['difference']:+.3f} "
            f"({interval(row['ci_low'], row['ci_high'], '+')}) against the untrained network.",
            "ecgfm_pretraining",
        )
    for n in sorted({r["n"] for r in ecgfm["gain"]} - {100}):
        shown_for = [
            f"{r['label']} {r['difference']:+.3f} ({interval(r['ci_low'], r['ci_high'], '+')})"
            for r in ecgfm["gain"]
            if (r["n"], r["embedding"], r["network"]) == (n, "layers", "crtkit-small")
        ]
        out.add(
            f"The same without labels, from {n} labelled records: {'; '.join(shown_for)}.",
            "ecgfm_pretraining",
        )
    helped = all(verdict == "shown to help" for verdict, _ in gains)
    pages_help = "it does" if "shown to help" in labels else "it is not shown to"
    calm = "and it is steadier there" if any(steadier) else "nor to be steadier there"
    out.short = (
        f"On signals, {'yes' if helped else 'not shown'}: from 100 labels a pretrained network "
        "(ECG-FM, frozen) tells normal ECGs from others better than an untrained one (AUC "
        f"{min(gain for _, gain in gains):+.3f}). On pages {pages_help} help, {calm} (AUC "
        f"{min(on_pages):+.3f} to {max(on_pages):+.3f})."
    )
    return out


def channels(root):
    """Are a page's four channels enough?"""
    out = Question("Are a page's four channels as good as twelve leads of ten seconds?", "")
    rows = load("ecgfm_pretraining", root)["channels"]
    for row in rows:
        out.add(
            f"Normal or not on PTB-XL from {row['n']} labels, ECG-FM ({row['way']}): four channels "
            f"{row['difference']:+.3f} ({interval(row['ci_low'], row['ci_high'], '+')}) against "
            "twelve leads.",
            "ecgfm_pretraining",
        )
    worse = sum(row["ci_high"] < 0 for row in rows)
    better = sum(row["ci_low"] > 0 for row in rows)
    verdict = "No" if worse else "Not shown to be worse"
    out.short = (
        f"{verdict}: of {len(rows)} comparisons four channels are shown to be worse in {worse} "
        f"and better in {better} (AUC {min(r['difference'] for r in rows):+.3f} to "
        f"{max(r['difference'] for r in rows):+.3f})."
    )
    return out


def mitbih(root):
    """Does transfer from MIT-BIH help?"""
    out = Question("Does transfer from MIT-BIH help?", "")
    found = {}
    for n, rows in load("ptbxl_transfer", root)["transfer"].items():
        for row in (r for r in rows if r["metric"] == "AUC"):
            found[n, row["model"]] = row
        row = found[n, "ResNet-18"]
        others = [found[key] for key in found if key[0] == n and key[1] != "ResNet-18"]
        harmed = sum(r["ci_high"] < 0 for r in others)
        out.add(
            f"Block on PTB-XL from {n} labelled patients: ResNet-18 {row['difference']:+.3f} "
            f"({interval(row['ci_low'], row['ci_high'], '+')}); {harmed} of {len(others)} models "
            "of its features are harmed.",
            "ptbxl_transfer",
        )
    run = load("physionet2021_he2023_conduction", root)
    row = next(
        r for r in run["tables"]["transfer"] if r["model"] == "ResNet-18" and r["metric"] == "AUC"
    )
    out.add(
        f"Conduction disturbance, {records(run)} records of the PhysioNet Challenge: ResNet-18 "
        f"{row['difference']} ({row['95 % interval']}).",
        "physionet2021_he2023_conduction",
    )
    beats = {}
    for kind, title in (("S", "supraventricular"), ("V", "ventricular")):
        rows = load("mitbih_transfer", root)["transfer"][kind]
        row = next(r for r in rows if r["metric"] == "AUC" and r["model"] == "ResNet-18")
        beats[kind] = row
        out.add(
            f"{title.capitalize()} beats of other subjects of MIT-BIH, a tenth of the labels: "
            f"{row['difference']:+.3f} ({interval(row['ci_low'], row['ci_high'], '+')}).",
            "mitbih_transfer",
        )
    helps = sum(r["ci_low"] > 0 for r in found.values())
    harms = sum(r["ci_high"] < 0 for r in found.values())
    most = max(beats.values(), key=lambda r: r["difference"])
    inside = "To other subjects of MIT-BIH it does" if most["ci_low"] > 0 else "Not within MIT-BIH"
    out.short = (
        f"{inside} (AUC {most['difference']:+.3f} at best); on conduction, which CRT is about, it "
        f"helps {helps} and harms {harms} of {len(found)} models of PTB-XL "
        f"({min(r['difference'] for r in found.values()):+.3f} to "
        f"{max(r['difference'] for r in found.values()):+.3f})."
    )
    return out


def autoencoder(root):
    """Do autoencoder features add to PSD and to QRS duration?"""
    rows = {r["model"]: r for r in load("he2021_simulated", root)["tables"]["table3"]}
    inside, outside, limits = "AUC in-sample", "AUC out of fold", "95 % interval"

    def figure(name, how):
        return float(rows[name][how].split()[0])

    psd, ae = "PSD + LVEF + gender", "AE + LVEF + gender"
    both, qrs = "AE + LVEF + gender + QRS duration", "LVEF + gender + QRS duration"
    out = Question("Do autoencoder features add to phase SD and to QRS duration?", "")
    for a, b, what in ((ae, psd, "in place of phase SD"), (both, qrs, "beside QRS duration")):
        out.add(
            f"Autoencoder features {what}: out of fold {figure(a, outside):.3f} "
            f"({rows[a][limits]}) against {figure(b, outside):.3f} ({rows[b][limits]}); in-sample, "
            f"as published, {figure(a, inside):.3f} against {figure(b, inside):.3f}.",
            "he2021_simulated",
            SIMULATED,
        )
    gained = [figure(a, outside) - figure(b, outside) for a, b in ((ae, psd), (both, qrs))]
    apart = sum(
        min(ends[1] for ends in pair) < max(ends[0] for ends in pair)
        for pair in (
            [[float(end) for end in rows[name][limits].split(" to ")] for name in names]
            for names in ((ae, psd), (both, qrs))
        )
    )
    overlap = "with intervals that overlap" if not apart else f"{apart} of 2 with intervals apart"
    out.short = (
        "Not shown: there is no open gated SPECT to ask. On simulated patients, out of fold, they "
        f"change AUC by {gained[0]:+.3f} in place of phase SD, by {gained[1]:+.3f} beside QRS "
        f"duration, {overlap}; in-sample, as published, the AUC was {figure(ae, inside):.3f}."
    )
    return out


def page(root):
    """Does a page lose against its signal?"""
    out = Question("Does a page lose against its signal?", "")
    run = load("real_pages", root)
    if run is None:
        out.short = "Not run yet: python -m benchmarks real_pages."
        return out
    rows = {r["model"]: r for r in run["losses"]}
    for name, row in rows.items():
        out.add(
            f"{name}: AUC {row['signal']:.3f} from the signal, {row['digitised']:.3f} from its "
            f"digitised page ({row['difference']:+.3f}, "
            f"{interval(row['low'], row['high'], '+')}).",
            "real_pages",
        )
    change = next(r for r in run["qrs_duration"] if r["diagnosis"] == "all")
    drawn_elsewhere = ""
    if run.get("ludb"):  # a run may leave it out
        theirs = next(r for r in run["ludb_qrs_duration"] if r["diagnosis"] == "all")
        drawn_elsewhere = (
            f"; on LUDB's pages, which another program drew, {theirs['bias']:+.1f} ± "
            f"{theirs['sd']:.1f} ms"
        )
        for line in run["answer"][-2:]:
            out.add(line, "real_pages")
    worse = [name for name, row in rows.items() if row["high"] < 0]
    lost = [row["difference"] for row in rows.values()]
    out.short = (
        f"{'Yes' if worse else 'Not shown'}: of {len(rows)} models {len(worse) or 'none'} "
        f"{'is' if len(worse) < 2 else 'are'} shown to lose on clean pages"
        f"{': ' + ', '.join(worse) if worse else ''} (AUC "
        f"{min(lost):+.3f} to {max(lost):+.3f}); QRS duration through "
        f"paper is {change['bias']:+.1f} ± {change['sd']:.1f} ms off{drawn_elsewhere}."
    )
    return out


def rules(root):
    """Does anything beat LBBB, QRS duration and QRS area?"""
    out = Question("Does anything beat LBBB, QRS duration and QRS area?", "")
    block = run = load("ptbxl_transfer", root)
    best = max(run["auc"], key=lambda row: row["100"])
    out.add(
        f"Block on PTB-XL: QRS duration has an AUC of {run['qrs_duration_auc']:.3f}, the best of "
        f"{len(run['auc'])} models that learn from 100 patients ({best['model']}) "
        f"{best['100']:.3f}.",
        "ptbxl_transfer",
    )
    beaten = False  # by an interval, never by a mean
    run = load("physionet2021_conduction_disturbance", root)
    for row in run["tables"]["against_rules"]:
        beaten |= row["beats it"] == "yes"
        out.add(
            f"Conduction disturbance, {records(run)} records of the PhysioNet Challenge: "
            f"{row['model']} less the best rule ({row['best rule']}) {row['AUC, model less rule']} "
            f"({row['95 % interval']}).",
            "physionet2021_conduction_disturbance",
        )
    out.add(load("crt_trial", root)["answer"][0], "crt_trial")
    virtual = load("one_patient", root)
    if virtual is not None:
        out.add(virtual["answer"][0].removeprefix("SIMULATED patients. "), "one_patient", SIMULATED)
    out.short = (
        "On some of the open data, yes."
        if beaten
        else "No model is shown to, on conduction: of PTB-XL's blocks QRS duration has an AUC of "
        f"{block['qrs_duration_auc']:.3f}, the best of {len(block['auc'])} models "
        f"{best['100']:.3f}. Whether any does on response, no open data tell."
    )
    return out


def patients(root):
    """How many patients would it have taken?"""
    out = Question("How many patients would it have taken?", "")
    run = load("learning", root)
    sizes = sorted({row["n"] for row in run["rows"]})
    enough, left = {}, {}
    for study, line in run["lines"].items():
        rule, given = line["QRS duration"], line["signal can give"]
        bound = "the signal can give" if given else "can be reached"
        given = given or line["best reachable"]
        means = {}
        for row in run["rows"]:
            if row["study"] == study:
                means.setdefault((row["name"], row["n"]), []).append(row["roc_auc"])
        means = {key: sum(v) / len(v) for key, v in means.items()}
        if not means:
            continue
        above = [n for n in sizes if any(k[1] == n and v > rule + 0.02 for k, v in means.items())]
        enough[study] = f"{above[0]:,}" if above else None
        # Not every model was asked of the largest number: the best, wherever it learned.
        (name, most), auc = max(means.items(), key=lambda item: item[1])
        left[study] = given - auc
        largest = max(n for _, n in means)
        out.add(
            f"{study}: QRS duration has {rule:.3f}; the best model ({name}) learning from "
            f"{most:,} patients {auc:.3f}, of {given:.3f} that {bound}; the first size at which "
            f"any model is 0.02 above the rule: "
            f"{f'{above[0]:,}' if above else f'above {largest:,}'}.",
            "learning",
            SIMULATED,
        )
    said = ", ".join(f"{n or 'more than were run'} in {study}" for study, n in enough.items())
    out.short = (
        f"Simulated patients to learn from, for an AUC 0.02 above QRS duration: {said}. The "
        f"best model still misses {min(left.values()):.3f} to "
        f"{max(left.values()):.3f} of what can be had."
    )
    return out


def questions(root=RESULTS):
    """All questions in order, each answered.

    Parameters
    ----------
    root : Path
        Folder of results.

    Returns
    -------
    list of Question

    Examples
    --------
    >>> from benchmarks.answers import questions
    >>> [len(q.evidence) > 0 for q in questions()][:3]
    [True, True, True]
    """
    asked = (pretraining, channels, mitbih, autoencoder, page, rules, patients)
    return [ask(root) for ask in asked]


def as_markdown(root=RESULTS):
    """Questions with their short answers, as a table for the README."""
    import pandas as pd

    rows = {q.asked: q.short for q in questions(root)}
    table = pd.DataFrame({"answer": rows}).rename_axis("question")
    return f"**Answers**, real data first.\n\n{markdown_table(table)}"


def as_rst(root=RESULTS):
    """The page of answers: heading, short answer, figures with whose patients they are."""
    parts = []
    for q in questions(root):
        parts.append(f"{q.asked}\n{'-' * len(q.asked)}\n\n**{q.short}**\n")
        for kind, sentence, folder in q.evidence:
            whose = "" if kind == "real" else f"{SIMULATED}. "
            parts.append(f"- {whose}{sentence} (``{folder}``)")
        parts.append("")
    return "\n".join(parts)


def write():
    """Put the table of answers beside the results, for the README."""
    write_text(RESULTS / "answers.md", as_markdown())


if __name__ == "__main__":
    write()
    print(as_rst())

"""TRIPOD+AI and PROBAST+AI: what a run can answer is answered, the rest is marked for the author.

Items are in our own words under the published numbers: the 27 of TRIPOD+AI with their parts (52
lines), and the signalling questions of PROBAST+AI, 3, 4, 4 and 5 on development and 3, 4, 4 and 7
on evaluation. The published lists prevail: Collins et al., BMJ 385 (2024) e078378, and Moons et
al., BMJ 388 (2025) e082505. Judgements of risk and of applicability are the assessor's alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Printed where only the author knows.
FOR_THE_AUTHOR = "For the author."

# Own words: the lists are their authors' text, and a paraphrase cannot be mistaken for it.
# Number, what is asked, and the name of the function below that answers (none: the author).
TRIPOD = (
    ("1", "Title: development or evaluation of a prediction model, population, outcome", None),
    ("2", "Abstract: after TRIPOD+AI for Abstracts", None),
    ("3a", "Background: clinical context, rationale, earlier models", None),
    ("3b", "Background: target population, purpose in the care pathway, users", None),
    ("3c", "Background: known health inequalities", None),
    ("4", "Objectives: development, evaluation, or both", "objective"),
    ("5a", "Data: sources for development and evaluation, why these, whom they represent", "data"),
    ("5b", "Data: dates of inclusion and of follow-up", None),
    ("6a", "Participants: setting, number and place of centres", "centres"),
    ("6b", "Participants: eligibility", None),
    ("6c", "Participants: treatments and how they were handled", None),
    ("7", "Data preparation and quality checks, and whether alike in all groups", "preparation"),
    ("8a", "Outcome: definition, horizon, why this one, how and when assessed", "outcome"),
    ("8b", "Outcome: who judged it, if it takes judgement", None),
    ("8c", "Outcome: blinding of its assessment", None),
    ("9a", "Predictors: which at the start and why, any selection before modelling", "predictors"),
    ("9b", "Predictors: definition, time and method of measurement, blinding", None),
    ("9c", "Predictors: who judged them, if they take judgement", None),
    ("10", "Sample size: how it came about, and whether it is enough for each part", "size"),
    ("11", "Missing data: how handled, and why records were left out", "missing"),
    ("12a", "Analysis: how data were used and divided", "division"),
    ("12b", "Analysis: how predictors were handled (form, scale, transformation)", "pipelines"),
    ("12c", "Analysis: type of model, building steps, tuning, internal validation", "building"),
    ("12d", "Analysis: differences between clusters, such as hospitals", "clusters"),
    ("12e", "Analysis: measures and plots of performance, comparison of models", "measures"),
    ("12f", "Analysis: updating, such as recalibration", "updating"),
    ("12g", "Analysis: how predictions were computed in the evaluation", "predictions"),
    ("13", "Class imbalance: methods, and recalibration after them", "imbalance"),
    ("14", "Fairness: what was done, and why", "fairness"),
    ("15", "Output of the model, and how thresholds were found", "output"),
    ("16", "Differences between development and evaluation data", "differences"),
    ("17", "Ethical approval and consent", None),
    ("18a", "Open science: funding", None),
    ("18b", "Open science: conflicts of interest", None),
    ("18c", "Open science: protocol, or that there is none", None),
    ("18d", "Open science: registration, or that there is none", None),
    ("18e", "Open science: data sharing", None),
    ("18f", "Open science: code sharing", "code"),
    ("19", "Involvement of patients and the public", None),
    ("20a", "Results: flow of participants, with and without the outcome, follow-up", "flow"),
    ("20b", "Results: characteristics of participants, what is missing", "characteristics"),
    ("20c", "Results: development against evaluation data", "differences"),
    ("21", "Results: participants and outcomes in each analysis", "each_analysis"),
    ("22", "Results: the full model, so that others can use it, and its licence", "full_model"),
    ("23a", "Results: performance with intervals, subgroups included", "performance"),
    ("23b", "Results: differences of performance between clusters", "clusters"),
    ("24", "Results: the updated model, and how well it does", "updating"),
    ("25", "Discussion: interpretation, fairness included", None),
    ("26", "Discussion: limitations, and what they may have done to the figures", "limitations"),
    ("27a", "Usability: poor or absent input", None),
    ("27b", "Usability: what users must do and know", None),
    ("27c", "Usability: next steps", None),
)

# Asked of either part; a new domain begins at 1 of its number.
_BOTH = (
    ("1.1", "Was the source of the data right for the purpose?", "data"),
    ("1.2", "Was the design of the study right for it?", None),
    ("1.3", "Do those who are in, after all exclusions, stand for those it is meant for?", "flow"),
    ("2.1", "Were predictors defined and measured in everybody alike?", None),
    ("2.2", "Were they prepared (filtered, scaled, turned into features) alike?", "pipelines"),
    ("2.3", "Were they measured by somebody who did not know the outcome?", None),
    ("2.4", "Are they known at the moment at which the model is to be used?", "leaks"),
    ("3.1", "Was the outcome defined and determined in a sound way?", "outcome"),
    ("3.2", "Was it defined and determined in everybody alike?", None),
    ("3.3", "Was it determined without the predictors, and are none a part of it?", "leaks"),
    ("3.4", "Was the time from predictors to outcome right?", None),
)
_DEVELOPMENT = (
    ("4.1", "Is there evidence that enough patients were there to develop a model?", "size"),
    ("4.2", "Were numbers kept as numbers, and categories handled properly?", "pipelines"),
    ("4.3", "Were missing values, and patients lost to follow-up, handled properly?", "missing"),
    ("4.4", "If classes were balanced: were the risks put right afterwards?", "imbalance"),
    ("4.5", "Was something done against overfitting?", "building"),
)
_EVALUATION = (
    ("4.1", "Do figures rest on more than the patients that the model was fitted on?", "apparent"),
    ("4.2", "Is there evidence that enough patients were there to evaluate it?", "size"),
    ("4.3", "Were missing values, and patients lost to follow-up, handled properly?", "missing"),
    ("4.4", "If classes were balanced: were the tested patients left as they are?", "imbalance"),
    ("4.5", "If data were split: is there evidence that nothing leaked?", "division"),
    ("4.6", "If data were drawn again: was every step of development done again?", "building"),
    ("4.7", "Were discrimination, calibration and net benefit looked at?", "measures"),
)
_DOMAINS = {"1": "participants and data sources", "2": "predictors", "3": "outcome",
            "4": "analysis"}  # fmt: skip
#: Development first, then evaluation: 16 and 18 questions, as the tool has.
PROBAST = tuple(
    (f"{part} {number}, {_DOMAINS[number[0]]}", question, name)
    for part, questions in (("Development", _DEVELOPMENT), ("Evaluation", _EVALUATION))
    for number, question, name in (*_BOTH, *questions)
)


def checklists(result: Any, answers: dict[str, str] | None = None) -> dict[str, list[list[str]]]:
    """Rows of number, item, answer and who answers ("run", "author").

    Parameters
    ----------
    result : Evaluation
    answers : dict of str to str, optional
        What the author answers, by item of TRIPOD+AI: ``{"17": "Approved by ..."}``. It comes after
        what the run says.

    Raises
    ------
    ValueError
        There is no such item.
    """
    answers = dict(answers or {})
    unknown = set(answers) - {number for number, _, _ in TRIPOD}
    if unknown:
        raise ValueError(
            f"answers names items {sorted(unknown)} that TRIPOD+AI has not; it has "
            f"{', '.join(number for number, _, _ in TRIPOD)}."
        )
    # Each answer is made once: several items of both lists share it.
    known = {name: answer(result) for name, answer in _ANSWERS.items()}
    tripod = []
    for number, item, name in TRIPOD:
        parts = [known[name] if name else "", answers.get(number, "")]
        text = " ".join(part for part in parts if part)
        # The author's word counts as his even where the run has one, so that he can find it again.
        who = "author" if not text or (not name and number not in answers) else "run"
        tripod.append(
            [number, item, text or FOR_THE_AUTHOR, "author" if answers.get(number) else who]
        )
    probast = [
        [domain, item, (known[name] if name else "") or FOR_THE_AUTHOR,
         "run" if name and known[name] else "author"]
        for domain, item, name in PROBAST
    ]  # fmt: skip
    return {"TRIPOD+AI": tripod, "PROBAST+AI": probast}


def _external(result: Any) -> list[str]:
    return [name for name in result.sets if name != "test"]


def _objective(result: Any) -> str:
    outside = _external(result)
    return "Development with internal validation" + (
        f" and external validation on {', '.join(outside)}." if outside else "; no external cohort."
    )


def _data(result: Any) -> str:
    info = result.info
    whose = "SIMULATED patients" if info.get("source") == "simulated" else f"{info['source']} data"
    return f"{info['cohort']}: {whose}. Whom they represent is for the author."


def _centres(result: Any) -> str:
    outside = _external(result)
    return f"Beside the cohort: {', '.join(outside)}." if outside else ""


def _outcome(result: Any) -> str:
    label = result.info.get("label")
    return f"{label or result.classes[1]}; how and when assessed is for the author."


def _size(result: Any) -> str:
    rows = result.predictions[result.predictions["set"] == "test"].drop_duplicates("group")
    events = int((rows["y_true"] == result.classes[1]).sum())
    n = result.info["n_patients"]
    chance = result.info.get("chance")
    if chance is None:  # made before evaluations asked: silence is not an answer
        chance = "Whether that is enough is for the author."
    return f"{n} patients; {events} of the {len(rows)} tested had the outcome. " + (
        chance or "Riley's criteria for ten parameters are met."
    )


def _missing(result: Any) -> str:
    excluded = [
        f"{k} ({-int(v)})" for k, v in (result.info.get("flow") or {}).items() if int(v) < 0
    ]
    left = f"Left out: {', '.join(excluded)}. " if excluded else "No record was left out. "
    return left + "Imputation, where there is any, is a step of the pipeline, fitted in training."


def _division(result: Any) -> str:
    return (
        f"{len(result.splits)} splits by patient, also inside the models; preparation was fitted "
        "on training patients only; records under two patients are refused by their content; "
        f"intervals are by patient. The audit named {len(result.leaks_)} leak(s)."
    )


def _apparent(result: Any) -> str:
    outside = _external(result)
    return "Every figure is of patients whom the fitted model had not seen" + (
        f", in test parts and in {', '.join(outside)}." if outside else "."
    )


def _measures(result: Any) -> str:
    return (
        f"{', '.join(result.scoring)}; calibration slope, intercept, O:E, ICI; net benefit; ROC, "
        "calibration and decision curves; paired differences."
    )


def _updating(result: Any) -> str:
    outside = _external(result)
    return (
        "Recalibration in the large beside the frozen model."
        if outside
        else "No model was updated."
    )


def _imbalance(result: Any) -> str:
    return (
        "No record was drawn again or weighted outside the models; what a pipeline does to balance "
        "classes is a step of it, inside training."
    )


def _fairness(result: Any) -> str:
    names = list(result.subgroups.get("test", {}))
    if not names:
        return "No subgroup was looked at (evaluate(..., subgroups=))."
    return f"Performance and interactions in {', '.join(names)}."


def _output(result: Any) -> str:
    kinds = result.predictions.drop_duplicates("model").set_index("model")["kind"]
    risks = [str(m) for m in kinds.index if kinds[m] == "probability"]
    return (
        f"Risks from {len(risks)} of {len(kinds)} models, others a score or an answer; thresholds "
        "are those of the fitted models, never of test patients."
    )


def _clusters(result: Any) -> str:
    outside = _external(result)
    return f"Forest over centres: test, {', '.join(outside)}." if outside else "One centre only."


def _differences(result: Any) -> str:
    return "Case-mix table." if _external(result) else "No external data."


def _flow(result: Any) -> str:
    return (
        f"Flow diagram; {result.info['n_records']} records of {result.info['n_patients']} patients."
    )


def _performance(result: Any) -> str:
    return "Main table, every metric with its 95 % interval; forest plot."


def _leaks(result: Any) -> str:
    found = len(result.leaks_)
    return (
        "When each column is known is for the author; columns were looked through for the label "
        f"in another form, and the audit named {found} leak(s)."
    )


def _limitations(result: Any) -> str:
    if result.info.get("source") == "simulated":
        return "Patients are SIMULATED: no figure here is one of a hospital."
    return ""


_ANSWERS: dict[str, Callable[[Any], str]] = {
    "objective": _objective,
    "data": _data,
    "centres": _centres,
    "preparation": lambda result: "Steps of each pipeline, fitted in training folds.",
    "outcome": _outcome,
    "predictors": lambda result: "Columns that the pipelines read; any screening is a step inside.",
    "size": _size,
    "missing": _missing,
    "division": _division,
    "apparent": _apparent,
    "pipelines": lambda result: "Steps of each pipeline, fitted in training folds.",
    "building": lambda result: (
        "Searches and early stopping are inside the training part of each split; "
        f"{len(result.info['seeds'])} seed(s); the best seed is never the result."
    ),
    "clusters": _clusters,
    "measures": _measures,
    "updating": _updating,
    "predictions": lambda result: "By the fitted pipelines; Evaluation.refit repeats one.",
    "imbalance": _imbalance,
    "fairness": _fairness,
    "output": _output,
    "differences": _differences,
    "code": lambda result: "crtkit, with the versions and hashes below.",
    "flow": _flow,
    "characteristics": lambda result: "Table 1.",
    "each_analysis": lambda result: "Splits table: training and test patients of each split.",
    "full_model": lambda result: "crtkit.save(result.refit(model, seed), path) writes one file.",
    "performance": _performance,
    "limitations": _limitations,
    "leaks": _leaks,
}  # fmt: skip

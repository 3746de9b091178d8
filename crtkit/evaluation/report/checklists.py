"""TRIPOD+AI and PROBAST+AI: what a run can answer is answered, the rest is marked for the author.

Items are in our own words: the 27 of TRIPOD+AI with their parts (52 lines) under its numbers, the
16 questions of PROBAST+AI on development and 18 on evaluation by domain. The published lists
prevail: Collins et al., BMJ 385 (2024) e078378, and Moons et al., BMJ 388 (2025) e082505.
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
    ("5a", "Data: sources for development and evaluation, and whom they represent", "data"),
    ("5b", "Data: dates of inclusion and of follow-up", None),
    ("6a", "Participants: setting, number and place of centres", "centres"),
    ("6b", "Participants: eligibility", None),
    ("6c", "Participants: treatments and how they were handled", None),
    ("7", "Data preparation and quality checks", "preparation"),
    ("8a", "Outcome: definition, horizon, how and when assessed", "outcome"),
    ("8b", "Outcome: who judged it, if it takes judgement", None),
    ("8c", "Outcome: blinding of its assessment", None),
    ("9a", "Predictors: which at the start, and any selection before modelling", "predictors"),
    ("9b", "Predictors: definition, time and method of measurement", None),
    ("9c", "Predictors: who judged them, if they take judgement", None),
    ("10", "Sample size: how it came about, and whether it is enough", "size"),
    ("11", "Missing data: how handled, and why records were left out", "missing"),
    ("12a", "Analysis: how data were used and divided", "division"),
    ("12b", "Analysis: how predictors were handled", "pipelines"),
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
    ("18c", "Open science: protocol", None),
    ("18d", "Open science: registration", None),
    ("18e", "Open science: data sharing", None),
    ("18f", "Open science: code sharing", "code"),
    ("19", "Involvement of patients and the public", None),
    ("20a", "Results: flow of participants, with and without the outcome", "flow"),
    ("20b", "Results: characteristics of participants", "characteristics"),
    ("20c", "Results: development against evaluation data", "differences"),
    ("21", "Results: participants and outcomes in each analysis", "each_analysis"),
    ("22", "Results: the full model, so that others can predict with it", "full_model"),
    ("23a", "Results: performance with intervals, subgroups included", "performance"),
    ("23b", "Results: differences of performance between clusters", "clusters"),
    ("24", "Results: the updated model", "updating"),
    ("25", "Discussion: interpretation, fairness included", None),
    ("26", "Discussion: limitations", "limitations"),
    ("27a", "Usability: poor or absent input", None),
    ("27b", "Usability: what users must do and know", None),
    ("27c", "Usability: next steps", None),
)

_QUESTIONS = (
    ("participants", "Was the data source right for the intended use?", "data"),
    ("participants", "Were inclusions and exclusions right?", "flow"),
    ("participants", "Do participants represent the target population?", None),
    ("predictors", "Were predictors defined and assessed alike for all?", None),
    ("predictors", "Were predictors assessed without knowledge of the outcome?", None),
    ("predictors", "Are predictors there when the model is to be used?", "leaks"),
    ("outcome", "Was the outcome determined by a right and standard method?", "outcome"),
    ("outcome", "Were predictors kept out of the outcome's definition?", "leaks"),
    ("outcome", "Was it determined alike for all, without knowledge of predictors?", None),
    ("outcome", "Was the time between predictors and outcome right?", None),
)
_DEVELOPMENT = (
    ("analysis", "Was the sample large enough?", "size"),
    ("analysis", "Were predictors and data prepared properly?", "pipelines"),
    ("analysis", "Were missing data handled properly?", "missing"),
    ("analysis", "Was class imbalance handled properly, if at all?", "imbalance"),
    ("analysis", "Was overfitting addressed, tuning included?", "building"),
    ("analysis", "Was leakage between development and test avoided?", "division"),
)
_EVALUATION = (
    ("analysis", "Was the sample large enough for the evaluation?", "size"),
    ("analysis", "Were missing data handled properly?", "missing"),
    ("analysis", "Were all participants in the analysis?", "flow"),
    ("analysis", "Were several records of a patient accounted for?", "records"),
    ("analysis", "Were evaluated data apart from development data?", "division"),
    ("analysis", "Were discrimination and calibration assessed?", "measures"),
    ("analysis", "Were thresholds fixed beforehand?", "output"),
    ("analysis", "Was performance looked at in subgroups?", "fairness"),
)
#: Development first, then evaluation: 16 and 18 questions, as the tool has.
PROBAST = tuple(
    (f"{part}, {domain}", question, name)
    for part, questions in (("Development", _DEVELOPMENT), ("Evaluation", _EVALUATION))
    for domain, question, name in (*_QUESTIONS, *questions)
)


def checklists(result: Any, answers: dict[str, str] | None = None) -> dict[str, list[list[str]]]:
    """Rows of number or domain, item, answer and who answers ("run", "author").

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
        "on training patients only; records under two patients are refused by their content."
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


def _records(result: Any) -> str:
    n, patients = result.info["n_records"], result.info["n_patients"]
    if n == patients:
        return "One record per patient."
    return f"{n} records of {patients} patients: splits and intervals by patient."


def _leaks(result: Any) -> str:
    found = len(result.leaks_)
    return f"Columns were looked through for the label in another form: {found} leak(s) found."


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
    "records": _records,
    "leaks": _leaks,
}  # fmt: skip

"""Facts about the cohort: where it comes from, who is in it, what was measured, who is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fusion.audit.finding import counted
from fusion.guidelines.claim import Claim, Evidence, Fact, fact, in_config, in_manifest, in_metrics
from fusion.guidelines.facts.settings import (
    branches,
    counts_text,
    hash_text,
    recorded,
    setting,
    share_text,
    value_at,
    values_text,
)
from fusion.report.flow import kept_without, labels_text
from fusion.report.inner import listed
from fusion.report.run_folder import FinishedRun
from fusion.storage import file_digest

# Of a split; others may stand beside them in the configuration and mean nothing.
_OWN_SETTINGS = {
    "holdout": ("test_fraction", "n_divisions"),
    "kfold": ("n_folds",),
    "nested": ("n_folds",),
    "repeated_kfold": ("n_repeats", "n_folds"),
}
_PARTS = {"train": "training", "validation": "inner", "test": "test"}
_FLOW = "patient_flow.json"
_TABLE_ONE = "table_one.json"
_SMALL_P = 0.05
# Austin, Stat Med 2009;28:3083.
_IMBALANCE = 0.1


def source(run: FinishedRun) -> Fact:
    """Which files the data came from, and how to tell that they are the same."""
    counts = run.manifest.get("cohort")
    digests = run.manifest.get("sha256")
    simulated = Claim("The cohort is simulated: it is of no patient.", in_config("cohort.simulation"))
    counted = counts and Claim(
        f"The cohort “{setting(run, 'cohort.name')}” has {counts['patients']} patients and {counts['cases']} cases "
        f"({counts_text(counts['labels'])}).",
        (*in_manifest("cohort"), *in_config("cohort.name")),
    )
    hashed = digests and Claim(
        "The files that were read are known by their sha256: "
        + ", ".join(f"{name} {hash_text(digest)}" for name, digest in digests.items())
        + ".",
        in_manifest("sha256"),
    )
    return fact(simulated if setting(run, "cohort.simulation") is not None else None, counted or None, hashed or None)


def excluded(run: FinishedRun) -> Fact:
    """Which rows of the table were left out."""
    cohort = run.config["cohort"]
    if "exclude" not in cohort:
        return fact()
    rules = [
        f"{column} is {_words_text(run, column, list(map(str, words)))}" for column, words in cohort["exclude"].items()
    ]
    text = f"Rows of the table were left out where {listed(rules)}." if rules else "No row of the table was left out."
    return fact(Claim(text, in_config("cohort.exclude")))


def _words_text(run: FinishedRun, column: str, words: Sequence[str]) -> str:
    """What leaves a row out; an answer names no patient and no case."""
    if column in (setting(run, "cohort.key"), setting(run, "cohort.patient")):
        return f"one of {counted(len(words), 'name')}"
    return " or ".join(words)


def outcome(run: FinishedRun) -> Fact:
    """Which column the outcome is, and its labels."""
    if not recorded(run, "cohort.label.column"):
        return fact()
    names = run.patients.label_names
    return fact(
        Claim(
            f"The outcome is the table's column “{setting(run, 'cohort.label.column')}” with the labels "
            f"{listed(list(names))}; {names[-1]} is the positive one.",
            (*in_config("cohort.label"), Evidence("predictions.csv", f"prob_{names[-1]}")),
        )
    )


def centers(run: FinishedRun) -> Fact:
    """How many centers there are; what the table does not name is not known."""
    if "center" not in run.config["cohort"]:
        return fact()
    if setting(run, "cohort.center") is None:
        text = "The cohort's table names no center, so the run cannot tell one from another."
        return fact(Claim(text, in_config("cohort.center")))
    counts = value_at(run.manifest, "cohort.centers")
    if not counts:
        return fact()
    n = len(counts)
    text = f"{n} {'center' if n == 1 else 'centers'} by the column “{setting(run, 'cohort.center')}”: " + ", ".join(
        f"{name} ({count} patients)" for name, count in counts.items()
    )
    return fact(Claim(f"{text}.", (*in_config("cohort.center"), *in_manifest("cohort.centers"))), met=n > 1)


def predictors(run: FinishedRun) -> Fact:
    """The clinical columns and their kinds, and what was kept out of them."""
    if "clinical" not in branches(run) or not recorded(run, "cohort.clinical"):
        return fact(_without(run, "clinical"))
    columns = [_column_text(name, column) for name, column in setting(run, "cohort.clinical").items()]
    used = Claim(
        f"Inputs beside the image: {'; '.join(columns) if columns else 'no column'}.", in_config("cohort.clinical")
    )
    banned = setting(run, "cohort.banned")
    kept_out = banned and Claim(
        f"Banned from the inputs: {listed(list(map(str, banned)))}.",
        in_config("cohort.banned"),
    )
    return fact(used, kept_out or None, _reader(run))


def _column_text(name: str, column: Mapping[str, object]) -> str:
    details = [str(column.get("kind")), *([str(column["unit"])] if column.get("unit") else [])]
    seen = ", seen in the scan" if column.get("source") == "ultrasound" else ""
    return f"{name} ({', '.join(details)}{seen})"


def _reader(run: FinishedRun) -> Claim | None:
    column = setting(run, "cohort.reader_score.column")
    if column is None:
        return None
    how = "an input" if setting(run, "cohort.reader_score.as_input") else "no input, but evaluated beside the model"
    return Claim(f"The reader's own score ({column}) is {how}.", in_config("cohort.reader_score"))


def _without(run: FinishedRun, branch: str) -> Claim | None:
    if not recorded(run, "model"):
        return None
    return Claim(f"Does not apply: the model takes no {branch} data.", in_config("model"))


def segmentation(run: FinishedRun) -> Fact:
    """Which masks there are."""
    if "mask" not in run.config["cohort"]:
        return fact()
    if setting(run, "cohort.mask") is None:
        return fact(Claim("The cohort has no lesion masks.", in_config("cohort.mask")))
    second = "a second reader's outline" if setting(run, "cohort.second_mask") else "no second reader's outline"
    return fact(
        Claim(
            "Lesion masks were read from files of the cohort, at most one an image; Fusion drew none. The cohort names "
            f"{second}.",
            in_config("cohort.mask", "cohort.second_mask"),
        )
    )


def missing_data(run: FinishedRun) -> Fact:
    """What becomes of what is missing."""
    taken = branches(run)
    clinical = Claim(
        "A missing clinical value counts as the training mean (numbers, yes or no, ordered levels) or as no level "
        "(categories, sets); where the training part of a fold has missing values of a column, one more input says "
        "that a value is missing.",
        in_config("cohort.clinical", "tabular"),
    )
    radiomics = Claim(
        "A missing value of a radiomics feature counts as the median of the training part.", in_config("tabular")
    )
    absent = Claim(_absent_text(run), in_config("model"))
    failed = setting(run, "radiomics.on_error")
    left_out = Claim(
        "An image whose features cannot be extracted stops the run."
        if failed == "stop"
        else "An image whose features cannot be extracted goes without the radiomics branch.",
        in_config("radiomics.on_error"),
    )
    return fact(
        clinical if "clinical" in taken else None,
        radiomics if "radiomics" in taken else None,
        absent if taken else None,
        left_out if "radiomics" in taken and failed is not None else None,
    )


def _absent_text(run: FinishedRun) -> str:
    if not run.is_classical:
        dropout = setting(run, "model.branch_dropout")
        trained = (
            f"it was trained for that by leaving branches out at random (branch_dropout {dropout:g})"
            if dropout
            else "it was not trained for that (branch_dropout is 0)"
        )
        return f"A patient without one of the branches is scored by the network on the others; {trained}."
    if setting(run, "model.combine") == "mean":
        return "A patient without a block is scored by the weighted mean of the other blocks' scores."
    return "A patient without a block is scored with the training means in its place."


def missing_values(run: FinishedRun) -> Fact:
    """How many values are missing; half of it is no answer."""
    if run.table_one is None or run.flow is None:
        return fact()
    return fact(_missing_by_column(run.table_one), _incomplete(run))


def _missing_by_column(table_one: Mapping[str, Any]) -> Claim:
    missing: dict[str, int] = {}
    for variable in table_one["label"]["variables"]:
        # An element of a set is missing where the set is.
        missing[variable["name"].partition("=")[0]] = variable["all"]["missing"]
    some = [f"{name} {count}" for name, count in missing.items() if count]
    without = len(missing) - len(some)
    complete = f"{counted(without, 'column')} without any" if some and without else ""
    text = "; ".join(filter(None, (", ".join(some) or "none", complete)))
    sentence = (
        f"Patients with a missing value, of {table_one['patients']}: {text}."
        if missing
        else "The cohort names no clinical column that could miss a value."
    )
    return Claim(sentence, (Evidence(_TABLE_ONE, "label"),))


def _incomplete(run: FinishedRun) -> Claim | None:
    if run.flow is None:
        return None
    lacking = kept_without(run.flow)
    text = f"Kept, though incomplete: {', '.join(lacking)}." if lacking else "No case lacks an input as a whole."
    return Claim(text, (Evidence(_FLOW, "without"),))


def flow(run: FinishedRun) -> Fact:
    """How many rows became how many patients, and how many are in which part."""
    patients = run.patients
    labels = dict(zip(patients.patient_ids, patients.labels, strict=True))
    counts = {name: list(labels.values()).count(name) for name in patients.label_names}
    tested = len(set(run.test.patient_ids))
    unseen = ", each scored by a model that had not seen them" if is_disjoint(run) else ""
    analyzed = Claim(
        f"{len(labels)} patients were analyzed ({counts_text(counts)}); {tested} of them were test patients{unseen}.",
        (Evidence("predictions.csv", "part"),),
    )
    return fact(*_rows(run), _incomplete(run), analyzed)


def _rows(run: FinishedRun) -> Iterator[Claim]:
    if run.flow is None:
        return
    out = [
        f"{counted(each['rows'], 'row')} of {counted(each['patients'], 'patient')} where {each['column']} is "
        f"{_words_text(run, each['column'], [each['word']])}"
        for each in run.flow["excluded"]
    ]
    yield Claim(
        f"The table has {counted(run.flow['rows'], 'row')}; {'left out: ' + '; '.join(out) if out else 'none left out'}"
        f"; {counted(run.flow['cases'], 'case')} of {counted(run.flow['patients'], 'patient')} came into the run.",
        tuple(Evidence(_FLOW, key) for key in ("rows", "excluded", "cases", "patients")),
    )
    if run.flow["unused"]:
        text = f"In no part of the split, and not used: {labels_text(run.flow['unused'])}."
        yield Claim(text, (Evidence(_FLOW, "unused"),))


def parts(run: FinishedRun) -> Fact:
    """Patients and outcomes of every part of every fold."""
    rows = zip(run.patients.folds, run.patients.parts, run.patients.labels, strict=True)
    counts = Counter(rows)
    texts = []
    for fold in sorted(set(run.patients.folds)):
        shown = [
            f"{sum(of.values())} {title} ({counts_text(of)})"
            for part, title in _PARTS.items()
            if sum((of := {name: counts[fold, part, name] for name in run.patients.label_names}).values())
        ]
        texts.append(f"fold {fold}: {listed(shown)}")
    return fact(Claim(f"Patients, {'; '.join(texts)}.", (Evidence("predictions.csv", "part"),)))


def characteristics(run: FinishedRun) -> Fact:
    """Who the patients are."""
    if run.table_one is None:
        return fact()
    variables = run.table_one["label"]["variables"]
    if not variables:
        text = "The run describes no patient beyond the outcome: the cohort names no clinical column."
        return fact(Claim(text, (Evidence(_TABLE_ONE, "label"),)))
    return fact(
        Claim(
            f"table_one.json describes the {run.table_one['patients']} patients, in all and by label, by "
            f"{_columns_text([each['name'] for each in variables])}, with values missing, a test and the standardized "
            f"difference of each. {_differences_text(variables)}",
            (Evidence(_TABLE_ONE, "label"),),
        )
    )


def part_differences(run: FinishedRun) -> Fact:
    """In which characteristics training and test patients differ."""
    if run.table_one is None:
        return fact()
    part, n = run.table_one["part"], run.table_one["n_folds"]
    if part is None:
        return fact(
            Claim(
                f"Training and test patients were not compared: each of the {n} folds has others, and who is tested "
                "in one trains in another.",
                (Evidence(_TABLE_ONE, "n_folds"), Evidence(_TABLE_ONE, "part")),
            )
        )
    variables = part["variables"]
    return fact(
        Claim(
            f"table_one.json compares training and test patients by "
            f"{_columns_text([each['name'] for each in variables])}. {_differences_text(variables)}",
            (Evidence(_TABLE_ONE, "part"),),
        )
    )


def _differences_text(variables: Sequence[Mapping[str, Any]]) -> str:
    """How many differ, and which one most."""
    low = sum(each["p"] is not None and each["p"] < _SMALL_P for each in variables)
    known = [each for each in variables if each["smd"] is not None]
    high = sum(each["smd"] > _IMBALANCE for each in known)
    most = max(known, key=lambda each: float(each["smd"]), default=None)
    largest = "" if most is None else f" (largest: {most['name']}, {most['smd']:.2f})"
    return (
        f"Of {counted(len(variables), 'characteristic')} {low} have p below {_SMALL_P} (not corrected for their "
        f"number), {high} a standardized difference above {_IMBALANCE}{largest}."
    )


def _columns_text(levels: Iterable[str]) -> str:
    # An element of a set stands for itself, `Signs=palpable`: too many to name them all.
    return listed(list(dict.fromkeys(name.partition("=")[0] for name in levels)))


def sample_size(run: FinishedRun) -> Fact:
    """Whether the training patients are as many as are advised."""
    size = run.metrics.get("sample_size")
    if not size:
        return fact()
    required = size.get("required_n")
    if required is None:
        text = f"{size['n_train']} training patients. {size.get('warning') or ''}"
        return fact(Claim(text.strip(), in_metrics("sample_size")))
    enough = size["n_train"] >= required
    return fact(
        Claim(
            f"The smallest training part, its inner part included, has {size['n_train']} patients, "
            f"{size['n_events']} of the rarer label, for "
            f"{size['n_parameters']} candidate predictors; the criteria for a regression with as many (Riley et al., "
            f"BMJ 2020;368:m441) ask for {required}: {'reached' if enough else 'not reached'}. The run computed it "
            "itself; it says nothing of how the number of patients came about.",
            in_metrics("sample_size.n_train", "sample_size.required_n"),
        ),
        met=enough,
    )


def confounders(run: FinishedRun) -> Fact:
    """What was done about differences between centers and between groups of patients."""
    probe = value_at(run.metrics, "between_centers.probe")
    probed = probe and Claim(
        f"Whether the features give the center away was probed. {probe['text']}", in_metrics("between_centers.probe")
    )
    groups = run.metrics.get("subgroups")
    grouped = groups and Claim(f"Figures were computed by level of {_columns_text(groups)}.", in_metrics("subgroups"))
    return fact(harmonization_claim(run), probed or None, grouped or None)


def harmonization(run: FinishedRun) -> Fact:
    """Whether centers were harmonized."""
    taken = branches(run)
    return fact(_without(run, "radiomics") if taken and "radiomics" not in taken else harmonization_claim(run))


def harmonization_claim(run: FinishedRun) -> Claim | None:
    """Whether centers were harmonized; None where there are no radiomics features."""
    settings = run.config.get("harmonization")
    if not isinstance(settings, Mapping) or "radiomics" not in branches(run):
        return None
    if settings["name"] == "none":
        text = "Features were not harmonized between the centers."
    else:
        others = {key: value for key, value in settings.items() if key != "name"}
        text = (
            f"Radiomics features were harmonized between the centers by {settings['name']} "
            f"({values_text(others)}), fitted on the training part of each fold."
        )
    return Claim(text, in_config("harmonization.name"))


def split(run: FinishedRun) -> Fact:
    """How the patients were divided."""
    name, digest = setting(run, "split.name"), run.metrics.get("split_sha256")
    if name is None or digest is None:
        return fact()
    path = run.path / "split.csv"
    if path.is_file() and file_digest(path) != digest:
        text = "split.csv is not the division that the figures are of: its sha256 is another one."
        return fact(Claim(text, (*in_metrics("split_sha256"), Evidence("split.csv", "part"))), met=False)
    used = {key: setting(run, f"split.{key}") for key in (*_OWN_SETTINGS.get(name, ()), "n_inner_folds")}
    divided = Claim(
        f"Patients were divided by the split “{name}” ({values_text(used)}; seed {run.config.get('seed')}) before "
        f"anything was fitted; the division is kept in split.csv (sha256 {hash_text(digest)}).",
        (*in_config("split", "seed"), *in_metrics("split_sha256"), Evidence("split.csv", "part")),
    )
    unfinished = run.n_folds < run.n_planned_folds
    missing = Claim(f"The run is not finished: {run.n_folds} of {run.n_planned_folds} folds.", in_metrics("folds"))
    return fact(divided, _spread(run), _level(run), missing if unfinished else None, met=is_disjoint(run) or None)


def _spread(run: FinishedRun) -> Claim | None:
    name = setting(run, "split.name")
    if name in ("holdout", "kfold", "repeated_kfold", "nested"):
        also = " and the centers" if setting(run, "cohort.center") is not None else ""
        text = f"They were drawn at random, spread evenly over the labels{also}."
    elif name == "center":
        text = f"Centers trained ({_names(run, 'train')}) and other centers tested ({_names(run, 'test')})."
    elif name == "leave_one_center_out":
        text = "Each center in turn was tested by a model of all others."
    elif name == "column":
        text = f"The division came with the cohort (column “{setting(run, 'cohort.fold')}”)."
    else:
        return None
    return Claim(text, in_config("split.name"))


def _names(run: FinishedRun, part: str) -> str:
    return ", ".join(map(str, setting(run, f"split.{part}") or ()))


def level(run: FinishedRun) -> Fact:
    """At which level the parts share nobody."""
    return fact(_level(run))


def _level(run: FinishedRun) -> Claim | None:
    if not is_disjoint(run):
        return None
    case_level = "" if run.cases is None else ", all images of a patient in the same part"
    # A given column may name the inner part; a classical model has none.
    has_inner = run.has_epochs and setting(run, "split.name") != "column"
    inner = setting(run, "split.validation_fraction") if has_inner else None
    held = f" {share_text(inner)} of the training patients of a fold are its inner part." if inner else ""
    return Claim(
        f"The parts of a fold share no patient{case_level}.{held}",
        (
            Evidence("predictions.csv", "part"),
            *(() if run.cases is None else (Evidence("predictions_cases.csv", "patient_id"),)),
            *(in_config("split.validation_fraction") if inner else ()),
        ),
    )


def is_disjoint(run: FinishedRun) -> bool:
    """Whether the parts of a fold share no patient: counted from the predictions, not taken from what was meant."""
    tables = [run.patients, *([] if run.cases is None else [run.cases])]
    found = {row for table in tables for row in zip(table.folds, table.patient_ids, table.parts, strict=True)}
    return len(found) == len({(fold, patient) for fold, patient, _ in found})


def train_test(run: FinishedRun) -> Fact:
    """In what training and test patients differ by the way they were divided."""
    kind = tested_on(run)
    if kind is None:
        return fact()
    texts = {
        "same": "Training and test patients are rows of one table, under the same exclusions, outcome and predictor "
        "definitions; every center of the test patients also gave training patients.",
        "unnamed": "Training and test patients are rows of one table, under the same exclusions, outcome and predictor "
        "definitions; the table names no center.",
        "other": "Training and test patients are rows of one table, under the same outcome and predictor definitions; "
        "no center of the test patients gave training patients of the same fold.",
        "mixed": "Training and test patients are rows of one table, under the same outcome and predictor definitions; "
        "some centers of the test patients gave no training patients of the same fold.",
    }
    return fact(
        Claim(texts[kind], (*in_config("cohort.table", "cohort.center"), Evidence("predictions.csv", "center")))
    )


def tested_on(run: FinishedRun) -> str | None:
    """Whether the centers of test patients gave training patients of the same fold: same, other, mixed, unnamed."""
    if "center" not in run.config["cohort"]:
        return None
    if setting(run, "cohort.center") is None:
        return "unnamed"
    rows = list(zip(run.patients.folds, run.patients.centers, run.patients.parts, strict=True))
    fitted = {(fold, center) for fold, center, part in rows if part != "test"}
    tested = {(fold, center) for fold, center, part in rows if part == "test"}
    if tested <= fitted:
        return "same"
    return "mixed" if tested & fitted else "other"


FACTS = (
    source,
    excluded,
    outcome,
    centers,
    predictors,
    segmentation,
    missing_data,
    missing_values,
    flow,
    parts,
    characteristics,
    part_differences,
    sample_size,
    confounders,
    harmonization,
    split,
    level,
    train_test,
)

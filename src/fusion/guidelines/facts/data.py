"""Facts about the cohort: where it comes from, who is in it, what was measured, who is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

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
from fusion.report.inner import listed
from fusion.report.run_folder import FinishedRun

# Of a split; others may stand beside them in the configuration and mean nothing.
_OWN_SETTINGS = {
    "holdout": ("test_fraction",),
    "kfold": ("n_folds",),
    "nested": ("n_folds",),
    "repeated_kfold": ("n_repeats", "n_folds"),
}
_PARTS = {"train": "training", "validation": "inner", "test": "test"}


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
    rules = [f"{column} is {' or '.join(map(str, words))}" for column, words in cohort["exclude"].items()]
    text = f"Rows of the table were left out where {listed(rules)}." if rules else "No row of the table was left out."
    return fact(Claim(text, in_config("cohort.exclude")))


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
        f"Kept out, since they are known only afterwards: {listed(list(map(str, banned)))}.",
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
        return "A patient without one of the branches is scored on the others, with a learned vector in its place."
    if setting(run, "model.combine") == "mean":
        return "A patient without a block is scored by the weighted mean of the other blocks' scores."
    return "A patient without a block is scored with the training means in its place."


def flow(run: FinishedRun) -> Fact:
    """How many patients are in which part."""
    patients = run.patients
    labels = dict(zip(patients.patient_ids, patients.labels, strict=True))
    counts = {name: list(labels.values()).count(name) for name in patients.label_names}
    tested = len(set(run.test.patient_ids))
    return fact(
        Claim(
            f"{len(labels)} patients were analyzed ({counts_text(counts)}); {tested} of them were test patients, each "
            "scored by a model that had not seen them.",
            (Evidence("predictions.csv", "part"),),
        )
    )


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
    """How the test patients are made up."""
    subgroups = run.metrics.get("subgroups")
    if not subgroups:
        return fact()
    levels = sum(len(of) for of in subgroups.values())
    return fact(
        Claim(
            f"The test patients are counted by {levels} levels of {_columns_text(subgroups)}; the counts are under "
            "subgroups in metrics.json.",
            in_metrics("subgroups"),
        )
    )


def _columns_text(subgroups: Mapping[str, object]) -> str:
    # One level of a set is one subgroup, `Signs=palpable`: too many to name them all.
    names = list(dict.fromkeys(name.partition("=")[0] for name in subgroups))
    return f"{'the clinical column' if len(names) == 1 else 'the clinical columns'} {listed(names)}"


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
            f"The smallest training part has {size['n_train']} patients, {size['n_events']} of the rarer label, for "
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


def harmonization_claim(run: FinishedRun) -> Claim | None:
    """Whether centers were harmonized."""
    harmonization = run.config.get("harmonization")
    if not isinstance(harmonization, Mapping) or "radiomics" not in branches(run):
        return None
    if harmonization["name"] == "none":
        text = "Features were not harmonized between the centers."
    else:
        others = {key: value for key, value in harmonization.items() if key != "name"}
        text = (
            f"Radiomics features were harmonized between the centers by {harmonization['name']} "
            f"({values_text(others)}), fitted on the training part of each fold."
        )
    return Claim(text, in_config("harmonization.name"))


def split(run: FinishedRun) -> Fact:
    """How the patients were divided."""
    name, digest = setting(run, "split.name"), run.metrics.get("split_sha256")
    if name is None or digest is None:
        return fact()
    used = {key: setting(run, f"split.{key}") for key in (*_OWN_SETTINGS.get(name, ()), "n_inner_folds")}
    divided = Claim(
        f"Patients were divided by the split “{name}” ({values_text(used)}; seed {run.config.get('seed')}) before "
        f"anything was fitted; the division is kept in split.csv (sha256 {hash_text(digest)}).",
        (*in_config("split", "seed"), *in_metrics("split_sha256"), Evidence("split.csv", "part")),
    )
    unfinished = run.n_folds < run.n_planned_folds
    missing = Claim(f"The run is not finished: {run.n_folds} of {run.n_planned_folds} folds.", in_metrics("folds"))
    return fact(divided, _spread(run), _level(run), missing if unfinished else None, met=_is_disjoint(run) or None)


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
    if not _is_disjoint(run):
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


def _is_disjoint(run: FinishedRun) -> bool:
    """Counted from the predictions, not taken from what was meant."""
    tables = [run.patients, *([] if run.cases is None else [run.cases])]
    found = {row for table in tables for row in zip(table.folds, table.patient_ids, table.parts, strict=True)}
    return len(found) == len({(fold, patient) for fold, patient, _ in found})


def train_test(run: FinishedRun) -> Fact:
    """In what training and test patients differ by the way they were divided."""
    kind = tested_on(run)
    if kind is None:
        return fact()
    texts = {
        "same": "Training and test patients are rows of one table, under the same eligibility, outcome and predictor "
        "definitions; every center of the test patients also gave training patients.",
        "unnamed": "Training and test patients are rows of one table, under the same eligibility, outcome and "
        "predictor definitions; the table names no center.",
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
    flow,
    parts,
    characteristics,
    sample_size,
    confounders,
    split,
    level,
    train_test,
)

"""Run folders → models whose test rows stand side by side, or a refusal that says in what they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fusion.comparison.names import leaves, name_runs, of_the_model
from fusion.comparison.published import Published, read_published
from fusion.errors import FusionError, InputError, Problem
from fusion.evaluation.evaluate import of_part
from fusion.evaluation.pooling import pool_cases
from fusion.records import Predictions
from fusion.runs.folder import INNER, RunFolder
from fusion.runs.tables import read_predictions

_ADVICE = (
    "Models are compared on the same patients in the same folds only: train them with the same cohort, split and seed, "
    "and finish their folds (python train.py resume=RUN)."
)

# Groups of the configuration that decide who is in which part.
_DIVIDES = ("seed", "split", "cohort")
# What is in them and divides nobody: where the cohort lies, and what is done within the training patients.
_DIVIDES_NOT = ("cohort.root", "split.n_inner_folds", "split.grid")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One model of a comparison.

    Attributes:
        name: Unique among the models.
        aliases: Other words that mean this model where one is asked for: the parts of its name, its folder, the options
            of its groups.
        source: Where it comes from.
        config: Of its run.
        test: Labeled test rows, one per patient and fold; the same rows in the same order for all models.
        thresholds: Operating point → fold → frozen threshold of this model; empty with more than two labels.
        inner: Labeled inner predictions of training patients, one per patient and fold; None where the run has none.
        published: What a paper reported of the same kind of model, if the run says so.
    """

    name: str
    aliases: frozenset[str]
    source: Path
    config: Mapping[str, Any]
    test: Predictions
    thresholds: Mapping[str, Mapping[int, float]]
    inner: Predictions | None
    published: Published | None


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Models on one split.

    Attributes:
        models: In the order given.
        split_sha256: Of their common split.csv.
        fold_sizes: Finished fold → patients that the models learned from (training and validation) and were tested on.
        n_planned: Folds of the split, finished or not.
    """

    models: tuple[Entry, ...]
    split_sha256: str
    fold_sizes: Mapping[int, tuple[int, int]]
    n_planned: int


def read_entries(runs: Sequence[str]) -> Entries:
    """Read runs that can be compared.

    Args:
        runs: Run folders, or NAME=FOLDER to call a run NAME; at least two.

    Raises:
        InputError: With everything in which a run differs from the first: split, labels, folds, test patients.
        FusionError: For fewer than two runs, or a folder or name that is given twice.
    """
    given = [_parse(run) for run in runs]
    folders = [RunFolder.open(path) for _, path in given]
    _refuse_too_few(folders)
    tables, inner = _read(folders)
    problems = [problem for folder in folders[1:] for problem in _differences(folders[0], folder, tables)]
    if problems:
        raise InputError("These runs cannot be compared", problems, _ADVICE)
    if not _test(tables[folders[0].path]).labels:
        raise FusionError(f"{folders[0].path}: required labeled test patients, came none; there is nothing to compare")
    tests = _aligned([_test(tables[folder.path]) for folder in folders])
    parts = name_runs([folder.config for folder in folders], [folder.path for folder in folders])
    names = [name or ", ".join(of_run) for (name, _), of_run in zip(given, parts, strict=True)]
    _refuse_same_names(names)
    finished = sorted(set(tests[0].folds))
    planned = folders[0].read_parts()
    return Entries(
        models=tuple(
            Entry(
                name=name,
                aliases=frozenset(
                    {name, ", ".join(of_run), *of_run, folder.path.name, *_options(of_the_model(folder.config))}
                ),
                source=folder.path,
                config=folder.config,
                test=replace(test, model=name),
                thresholds=folder.thresholds,
                inner=inner.get(folder.path),
                published=read_published(folder.config, folder.path),
            )
            for name, of_run, folder, test in zip(names, parts, folders, tests, strict=True)
        ),
        split_sha256=folders[0].split_sha256,
        fold_sizes={number: _sizes(planned, number) for number in finished},
        n_planned=len({number for folds in planned.values() for number in folds}),
    )


def _options(config: Mapping[str, Any]) -> Iterator[str]:
    """``model=radiomics`` and ``model.name=radiomics`` for every group that has a name; and the kind of model."""
    for group, content in config.items():
        if isinstance(content, Mapping) and isinstance(content.get("name"), str):
            yield from (f"{group}={content['name']}", f"{group}.name={content['name']}")
            if group == "model":
                yield content["name"]


def _parse(run: str) -> tuple[str | None, Path]:
    """``NAME=FOLDER`` or ``FOLDER``; the folder of a sweep's run has equals signs of its own."""
    if Path(run).is_dir():
        return None, Path(run)
    for position in (i for i, character in enumerate(run) if character == "=" and i):
        if Path(run[position + 1 :]).is_dir():
            return run[:position], Path(run[position + 1 :])
    return None, Path(run)


def _refuse_too_few(folders: Sequence[RunFolder]) -> None:
    repeated = [str(path) for path, n in Counter(folder.path.resolve() for folder in folders).items() if n > 1]
    if repeated:
        raise FusionError(f"required runs that differ, came the same folder more than once: {', '.join(repeated)}")
    if len(folders) < 2:
        raise FusionError(f"required at least two run folders to compare, came {len(folders)}")


def _refuse_same_names(names: Sequence[str]) -> None:
    repeated = [name for name, n in Counter(names).items() if n > 1]
    if repeated:
        raise FusionError(
            f"required a name of its own for every run, came more than once: {', '.join(repeated)}; "
            "name them on the command line: NAME=RUN"
        )


def _read(folders: Sequence[RunFolder]) -> tuple[dict[Path, Predictions], dict[Path, Predictions]]:
    """Predictions, and inner predictions of the runs that have them, by folder."""
    tables: dict[Path, Predictions] = {}
    inner: dict[Path, Predictions] = {}
    problems: list[Problem] = []
    for folder in folders:
        missing = [name for name in ("split.csv", "predictions.csv") if not (folder.path / name).is_file()]
        problems += [
            Problem(where=str(folder.path / name), required="a file of a finished run", came="no such file")
            for name in missing
        ]
        if missing:
            continue
        try:
            tables[folder.path] = read_predictions(folder.path / "predictions.csv", model=folder.path.name)
            _ = folder.read_parts(), folder.thresholds
            if (folder.path / INNER).is_file():
                cases = read_predictions(folder.path / INNER, model=folder.path.name)
                inner[folder.path] = of_part(pool_cases(cases), "validation")
        except (ValueError, KeyError, OSError) as error:
            required = "split.csv, tables of predictions and fold.json as a run writes them"
            came = f"{type(error).__name__}: {error}"
            problems.append(Problem(where=str(folder.path), required=required, came=came))
    if problems:
        raise InputError("Runs to compare", problems, "Finish the runs first: python train.py resume=RUN")
    return tables, inner


def _differences(first: RunFolder, other: RunFolder, tables: Mapping[Path, Predictions]) -> Iterator[Problem]:
    if first.split_sha256 != other.split_sha256:
        yield _other_split(first, other)
        return
    required, came = tables[first.path], tables[other.path]
    if required.label_names != came.label_names:
        yield Problem(
            where=str(other.path / "predictions.csv"),
            required=f"the labels {', '.join(required.label_names)} of {first.path}, in this order",
            came=", ".join(came.label_names),
        )
        return
    if set(required.folds) != set(came.folds):
        yield Problem(
            where=str(other.path),
            required=f"the finished folds of {first.path}, {_numbers(required.folds)}",
            came=_numbers(came.folds) or "none",
        )
        return
    yield from _other_rows(first, other, _test(required), _test(came))


def _other_split(first: RunFolder, other: RunFolder) -> Problem:
    required, came = first.read_parts(), other.read_parts()
    both = [patient for patient in required if patient in came]
    moved = [patient for patient in both if required[patient] != came[patient]]
    said = [f"{len(came)} patients"]
    if moved:
        said += [f"{len(moved)} patients are in other folds or parts; first: {moved[0]}"]
    for what, patients in (
        ("are missing", [patient for patient in required if patient not in came]),
        ("are only here", [patient for patient in came if patient not in required]),
    ):
        said += [f"{len(patients)} patients {what}; first: {patients[0]}"] if patients else []
    if len(said) == 1:
        said += ["the same folds, but other centers or another order of the rows"]
    said += [_likely_cause(first.config, other.config)]
    return Problem(
        where=str(other.path / "split.csv"),
        required=f"the split of {first.path}: {len(required)} patients",
        came="; ".join(said),
    )


def _likely_cause(first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """In what the configurations differ that divides patients, e.g. ``seed 2 against 1``."""
    required, came = (
        {key: value for key, value in leaves(config) if key.partition(".")[0] in _DIVIDES and key not in _DIVIDES_NOT}
        for config in (first, other)
    )
    differ = [key for key in dict.fromkeys((*required, *came)) if required.get(key) != came.get(key)]
    # Another split has other settings, which say nothing more.
    named = {key.partition(".")[0] for key in differ if key in ("split.name", "cohort.name")}
    told = [key for key in differ if key.partition(".")[0] not in named or key in ("split.name", "cohort.name")]
    if not told:
        return "seed, split and cohort are configured alike, so probably the cohort’s table has changed in between"
    return "the likely cause: " + ", ".join(f"{key} {came.get(key)} against {required.get(key)}" for key in told)


def _other_rows(first: RunFolder, other: RunFolder, required: Predictions, came: Predictions) -> Iterator[Problem]:
    labels, others = _by_key(required), _by_key(came)
    where = str(other.path / "predictions.csv")
    apart = [key for key in {**labels, **others} if (key in labels) != (key in others)]
    if apart:
        yield Problem(
            where=where,
            required=f"the labeled test patients of {first.path}: {len(labels)} rows",
            came=f"{len(others)} rows; {len(apart)} are in only one of the two, first: {_row(apart[0])}",
        )
    changed = [key for key, label in labels.items() if others.get(key, label) != label]
    if changed:
        one = changed[0]
        yield Problem(
            where=where,
            required=f"the labels of {first.path}",
            came=f"{len(changed)} other ones; first: {_row(one)} is {others[one]}, required {labels[one]}",
        )


def _test(predictions: Predictions) -> Predictions:
    return of_part(predictions, "test")


def _by_key(predictions: Predictions) -> dict[tuple[str, int], str]:
    return dict(zip(zip(predictions.patient_ids, predictions.folds, strict=True), predictions.labels, strict=True))


def _aligned(tests: Sequence[Predictions]) -> list[Predictions]:
    """The rows of each in the order of the first."""
    order = list(_by_key(tests[0]))
    aligned = []
    for test in tests:
        place = {key: row for row, key in enumerate(_by_key(test))}
        rows = [place[key] for key in order]
        columns: dict[str, Any] = {
            name: tuple(getattr(test, name)[row] for row in rows)
            for name in ("patient_ids", "centers", "parts", "folds", "labels")
        }
        aligned.append(replace(test, probabilities=test.probabilities[rows], **columns))
    return aligned


def _sizes(parts: Mapping[str, Mapping[int, str]], number: int) -> tuple[int, int]:
    counts = Counter(folds.get(number) for folds in parts.values())
    return counts["train"] + counts["validation"], counts["test"]


def _numbers(folds: Sequence[int]) -> str:
    return ", ".join(map(str, sorted(set(folds))))


def _row(key: tuple[str, int]) -> str:
    return f"patient {key[0]} in fold {key[1]}"

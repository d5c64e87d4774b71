"""The command ``fusion``: what is neither training nor predicting. Heavy packages load inside the subcommands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion.errors import FusionError, InputError, Problem

if TYPE_CHECKING:
    from rich.table import Table

    from fusion.cohorts.summary import CenterSummary
    from fusion.records import Case, Cohort

_CONF_DIR = Path(__file__).parents[2] / "conf"
_CHECK_EXAMPLES = """\
examples:
  fusion check                                   the simulated cohort that training uses by default
  fusion check cohort=breast cohort.root=DIR     a cohort that conf/cohort/ describes
  fusion check cohort=mine cohort.root=DIR       yours, once conf/cohort/mine.yaml exists (see conf/cohort/table.yaml)
"""
_EXTRACT_EXAMPLES = """\
examples:
  fusion extract cohort=breast cohort.root=DIR
  fusion extract cohort=breast cohort.root=DIR radiomics=single_slice_3d --out breast_3d.csv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, 1 for what the user has to mend."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except FusionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fusion",
        description="Tools around training and predicting; train.py and predict.py do those.",
        epilog="example:\n  fusion check cohort=breast cohort.root=DIR\n\n`fusion COMMAND --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    check = commands.add_parser(
        "check",
        help="audit a cohort before anything is trained",
        description="Read the table, every image and every mask of a cohort; report all problems, or print a summary "
        "of patients, cases, labels and missing values by center.",
        epilog=_CHECK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.set_defaults(command=_check)
    extract = commands.add_parser(
        "extract",
        help="extract the radiomics features of a cohort into the cache and a table",
        description="Extract the radiomics features of every case that has an image and a mask. They are kept in the "
        "cache, where train.py and predict.py find them, also under a Python without PyRadiomics (3.12 and later).",
        epilog=_EXTRACT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    extract.add_argument("--out", type=Path, default=Path("radiomics.csv"), help="the table (default: radiomics.csv)")
    extract.set_defaults(command=_extract)
    for command in (check, extract):
        command.add_argument(
            "overrides", nargs="*", metavar="KEY=VALUE", help="values of the configuration in conf/, as for train.py"
        )
    return parser


def _extract(options: argparse.Namespace) -> None:
    from fusion.cohorts.load import load_cohort
    from fusion.radiomics.extract import extract_features
    from fusion.runs.tables import write_rows

    config = _compose(options.overrides, "cohort", "radiomics")
    cache_dir = Path(config["cache_dir"])
    cohort = load_cohort(config["cohort"], cache_dir=cache_dir, require_labels=False)
    features = extract_features(cohort.cases, radiomics=config["radiomics"], cache_dir=cache_dir)
    rows = zip(features.case_ids, features.values.tolist(), strict=True)
    write_rows(options.out, ("case_id", *features.names), ((case_id, *values) for case_id, values in rows))
    n_left_out = len(cohort.cases) - len(features.case_ids)
    left_out = f"; {n_left_out} cases have none" if n_left_out else ""
    print(f"{len(features.names)} features of {len(features.case_ids)} cases{left_out}: {options.out}")


def _check(options: argparse.Namespace) -> None:
    from rich.console import Console

    from fusion.cohorts.load import load_cohort
    from fusion.cohorts.summary import summarize

    config = _compose(options.overrides, "cohort")
    cohort = load_cohort(config["cohort"], cache_dir=Path(config["cache_dir"]), require_labels=True)
    _read_images(cohort)
    Console().print(_summary_table(cohort.name, summarize(cohort)))


def _compose(overrides: Sequence[str], *groups: str) -> dict[str, Any]:
    """The plain groups and ``cache_dir`` of conf/train.yaml under the overrides."""
    if not _CONF_DIR.is_dir():
        raise FusionError(
            f"required the folder of the configuration {_CONF_DIR}, came no such folder.\n"
            "Run from a clone of the repository that is installed editable: `make setup`."
        )
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(_CONF_DIR)):
            config = compose("train", overrides=list(overrides))
        plain = {group: OmegaConf.to_container(config[group], resolve=True) for group in groups}
        return plain | {"cache_dir": config.cache_dir}
    except (HydraException, OmegaConfBaseException, YAMLError) as error:
        raise FusionError(
            f"The configuration {' '.join(overrides)} cannot be composed: {error}\n"
            f"Required KEY=VALUE for keys of {_CONF_DIR / 'train.yaml'} and the groups beside it."
        ) from error


def _read_images(cohort: Cohort) -> None:
    """Read every image with its mask, and report all that cannot be used."""
    from joblib import Parallel, delayed

    from fusion.imaging.progress import show_progress

    results: Iterable[tuple[Problem, ...]] = Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        delayed(_problems_of)(case) for case in cohort.cases
    )
    progress = show_progress(results, total=len(cohort.cases), description="Reading images")
    problems = [problem for of_case in progress for problem in of_case]
    if problems:
        advice = "Mend the files, leave their cells in the table empty, or leave the rows out with cohort.exclude."
        raise InputError(f"Images of cohort {cohort.name}", problems, advice)


def _problems_of(case: Case) -> tuple[Problem, ...]:
    from fusion.imaging.lesion import read_lesion
    from fusion.imaging.read import read_pixels

    try:
        if case.image is not None and case.mask is not None:
            read_lesion(case)
        elif case.image is not None:
            read_pixels(case.image, frame=case.frame)
    except InputError as error:
        row = f" (case {case.case_id})"
        return tuple(replace(problem, where=problem.where.removesuffix(row) + row) for problem in error.problems)
    return ()


def _summary_table(name: str, summaries: Sequence[CenterSummary]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"Cohort {name}"))
    table.add_column("", no_wrap=True)
    for summary in summaries:
        table.add_column(escape(summary.center), justify="right")
    for lines in zip(*map(_lines, summaries), strict=True):
        table.add_row(escape(lines[0][0]), *(shown for _, shown in lines))
    return table


def _lines(summary: CenterSummary) -> list[tuple[str, str]]:
    """The measures of one center, each with what is shown of it; those of a group are indented."""
    of_cases = {**summary.cases_by_label, "no image": summary.n_without_image, "no mask": summary.n_without_mask}
    groups = (
        ("patients", summary.n_patients, summary.patients_by_label),
        ("cases", summary.n_cases, of_cases),
        ("cases without", None, summary.n_missing),
    )
    lines = []
    for group, n_all, parts in groups:
        lines.append((group, "" if n_all is None else str(n_all)))
        total = n_all or summary.n_cases
        lines += [(f"  {part or 'no label'}", f"{n} ({n / total:.0%})") for part, n in parts.items()]
    return lines if summary.n_missing else lines[:-1]


if __name__ == "__main__":
    sys.exit(main())

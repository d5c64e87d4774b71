"""The command ``fusion``: what is neither training nor predicting. Heavy packages load inside the subcommands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fusion.errors import FusionError
from fusion.guidelines.command import add_checklist

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
_COMPARE_EXAMPLES = """\
examples:
  fusion compare runs/breast/RUN runs/breast/OTHER
  fusion compare ours=RUN lasso=OTHER forest=THIRD --primary ours --out comparison
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
        description="Read the table, every image and every mask of a cohort; report what cannot be used, suspected "
        "leaks, duplicates, odd masks, calipers, identifying tags, shifts between centers and what is left out. "
        "Exit status 1 where there is an error.",
        epilog=_CHECK_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("--out", type=Path, help="folder of check.html and check.json (default: checks/NAME)")
    check.set_defaults(command=_check)
    extract = commands.add_parser(
        "extract",
        help="extract the radiomics features of a cohort into the cache and a table",
        description="Extract the radiomics features of every case that has an image and a mask. They are kept in the "
        "cache, where train.py and predict.py find them, also under a Python without PyRadiomics (3.12 and later). "
        "With stability=perturbation or stability=readers, those of the other outlines are kept there, too.",
        epilog=_EXTRACT_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    extract.add_argument("--out", type=Path, default=Path("radiomics.csv"), help="the table (default: radiomics.csv)")
    extract.set_defaults(command=_extract)
    _add_compare(commands)
    add_checklist(commands)
    for command in (check, extract):
        command.add_argument(
            "overrides", nargs="*", metavar="KEY=VALUE", help="values of the configuration in conf/, as for train.py"
        )
    return parser


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare runs on the same patients and folds, with tests and what luck gives",
        description="Compare models on the same patients in the same folds; runs whose splits differ are refused. "
        "Writes comparison.json, figures and one page.",
        epilog=_COMPARE_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="run folder, or NAME=FOLDER to call it NAME")
    compare.add_argument(
        "--primary", metavar="NAME", help="the model that all are compared with (default: config.yaml)"
    )
    compare.add_argument("--reclassification", action="store_true", help="NRI and IDI too, with their warning")
    compare.add_argument("--permutations", type=int, default=2000, metavar="N", help="for the best of k (2000)")
    compare.add_argument("--within-centers", action="store_true", help="shuffle labels within centers only")
    at = "threshold probabilities of the net benefit (0.1 0.2 0.5)"
    compare.add_argument("--net-benefit-at", type=float, nargs="+", default=[0.1, 0.2, 0.5], metavar="P", help=at)
    compare.add_argument("--out", type=Path, metavar="DIR", help="(comparison/ in the folder that holds the runs)")
    compare.set_defaults(command=_compare)


def _compare(options: argparse.Namespace) -> None:
    from fusion.comparison.compare import Asked
    from fusion.report.comparison import report_comparison

    asked = Asked(
        primary=options.primary,
        reclassification=options.reclassification,
        n_permutations=options.permutations,
        within_centers=options.within_centers,
        net_benefit_at=options.net_benefit_at,
    )
    report_comparison(options.runs, asked, out_dir=options.out)


def _extract(options: argparse.Namespace) -> None:
    from fusion.cohorts.load import load_cohort
    from fusion.radiomics.extract import extract_features
    from fusion.radiomics.stability import measure_again
    from fusion.runs.tables import write_rows

    config = _compose(options.overrides, "cohort", "radiomics", "stability")
    cache_dir = Path(config["cache_dir"])
    cohort = load_cohort(config["cohort"], cache_dir=cache_dir, require_labels=False)
    features = extract_features(cohort.cases, radiomics=config["radiomics"], cache_dir=cache_dir)
    if config["stability"]["name"] != "none":
        complete = [case for case in cohort.cases if case.image is not None and case.mask is not None]
        # Of every case: which of them a fold measures on is not known here.
        stability = {**config["stability"], "n_cases": None}
        measure_again(complete, radiomics=config["radiomics"], stability=stability, cache_dir=cache_dir)
    rows = zip(features.case_ids, features.values.tolist(), strict=True)
    write_rows(options.out, ("case_id", *features.names), ((case_id, *values) for case_id, values in rows))
    n_left_out = len(cohort.cases) - len(features.case_ids)
    left_out = f"; {n_left_out} cases have none" if n_left_out else ""
    print(f"{len(features.names)} features of {len(features.case_ids)} cases{left_out}: {options.out}")


def _check(options: argparse.Namespace) -> None:
    from fusion.audit.check import check_cohort

    config = _compose(options.overrides, "cohort")
    check_cohort(config["cohort"], cache_dir=Path(config["cache_dir"]), out_dir=options.out)


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


if __name__ == "__main__":
    sys.exit(main())

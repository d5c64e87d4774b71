"""`fusion checklist`. Nothing heavy is imported here: every `fusion` command reads this file."""

from __future__ import annotations

import argparse
from pathlib import Path

_EXAMPLES = """\
examples:
  fusion checklist runs/breast/RUN
  fusion checklist runs/breast/RUN --study study.yaml    with what only the authors know; docs/guidelines.md says how
"""


def add_checklist(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the command."""
    checklist = commands.add_parser(
        "checklist",
        help="fill in reporting guidelines from a finished run, and write its model card",
        description="Answer CLEAR, METRICS, TRIPOD+AI and CLAIM item by item from the files of a finished run; what "
        "only the authors know is read from study.yaml, and otherwise said to be open.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    checklist.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    checklist.add_argument(
        "--study", type=Path, metavar="FILE", help="what the authors say (default: study.yaml in the folder, if any)"
    )
    checklist.set_defaults(command=_checklist)


def _checklist(options: argparse.Namespace) -> None:
    from fusion.guidelines.terminal import print_checklists
    from fusion.guidelines.write import write_guidelines

    print_checklists(write_guidelines(options.run, study=options.study), run_dir=options.run)

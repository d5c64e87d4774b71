"""What is wrong with an image or mask file, in the words of `InputError`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fusion.errors import InputError, Problem

ADVICE = "Mend these files, or take their cases out of the table."
_MESSAGE_LENGTH = 160


def file_problem(path: Path, *, required: str, came: str) -> InputError:
    """One problem of one file."""
    return InputError("images and masks", [Problem(where=str(path), required=required, came=came)], ADVICE)


@contextmanager
def decoding(path: Path, *, required: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into an `InputError` that names the file.

    Every exception is meant: Pillow, pydicom and SimpleITK raise at least ten unrelated types on damaged bytes.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise file_problem(path, required=required, came="no such file") from error
    except Exception as error:
        # ITK puts its source's path and line before the reason.
        reason = textwrap.shorten(str(error).rpartition("ERROR: ")[2], _MESSAGE_LENGTH)
        raise file_problem(path, required=required, came=f"{type(error).__name__}: {reason}") from error

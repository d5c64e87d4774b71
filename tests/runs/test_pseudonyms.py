import hashlib
import stat
from pathlib import Path

import pytest

from fusion.errors import FusionError
from fusion.runs.pseudonyms import plain_names, pseudonyms


def test_an_id_has_the_same_hash_for_who_holds_the_secret_and_another_for_who_does_not(tmp_path: Path) -> None:
    name, same = pseudonyms(tmp_path / "key"), pseudonyms(tmp_path / "key")
    other = pseudonyms(tmp_path / "other")
    assert name("patient", "P 17") == same("patient", "P 17") != other("patient", "P 17")
    assert len({name("patient", f"P {number}") for number in range(1000)}) == 1000
    # A case that is called like its patient must not tell so.
    assert name("patient", "P 17").partition("-")[2] != name("case", "P 17").partition("-")[2]
    # No hash that can be made without the secret.
    plain = hashlib.sha256(b"P 17").hexdigest()
    assert name("patient", "P 17") not in (plain, f"patient-{plain[:16]}")


def test_the_secret_is_for_its_owner_alone(tmp_path: Path) -> None:
    pseudonyms(tmp_path / "deep/er/key")
    mode = (tmp_path / "deep/er/key").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert [path.name for path in (tmp_path / "deep/er").iterdir() if path.suffix != ".lock"] == ["key"]


def test_a_secret_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("abc\n")
    with pytest.raises(FusionError, match=r"short: required a secret of at least 16 bytes, came 3"):
        pseudonyms(tmp_path / "short")
    with pytest.raises(FusionError, match="id_key=FILE"):
        pseudonyms(tmp_path / "short/within")


def test_plain_ids_stay_as_they_are() -> None:
    assert plain_names("patient", "P 17") == "P 17"

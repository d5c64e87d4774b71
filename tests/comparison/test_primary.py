from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fusion.comparison.entries import Entry
from fusion.comparison.primary import find_primary
from fusion.errors import FusionError


def models(*declared: str | None) -> list[Entry]:
    names = [("l1=0", "backbone.name=vit"), ("l1=0.1", "backbone.name=vit"), ("l1=0.1", "backbone.name=tiny")]
    made: list[Any] = [
        SimpleNamespace(
            name=", ".join(parts),
            aliases=frozenset({*parts, ", ".join(parts), f"folder{place}"}),
            config={"primary": primary},
            source=Path(f"folder{place}"),
        )
        for place, (parts, primary) in enumerate(zip(names, declared, strict=True))
    ]
    return cast("list[Entry]", made)


NONE = (None, None, None)


def test_without_a_declaration_there_is_none() -> None:
    assert find_primary(models(*NONE), None) is None


@pytest.mark.parametrize(
    ("wanted", "place"),
    [("l1=0.1, backbone.name=vit", 1), ("l1=0", 0), ("backbone.name=tiny", 2), ("folder1", 1)],
)
def test_a_model_answers_to_its_name_its_part_and_its_folder(wanted: str, place: int) -> None:
    assert find_primary(models(*NONE), wanted) == (place, "the command line")
    assert find_primary(models(wanted, wanted, None), None) == (place, "config.yaml")


def test_the_command_line_goes_before_the_configuration() -> None:
    assert find_primary(models("l1=0", "folder1", "no such"), "folder2") == (2, "the command line")


def test_what_several_or_none_answer_to_is_refused() -> None:
    with pytest.raises(
        FusionError, match=r"--primary: required one of the models .*, came l1=0\.1, which is 2 of them"
    ):
        find_primary(models(*NONE), "l1=0.1")
    with pytest.raises(FusionError, match=r"primary in config\.yaml: .* came resnet, which is none of them"):
        find_primary(models("resnet", "resnet", "resnet"), None)
    with pytest.raises(FusionError, match="required one model, came l1=0, folder1 in the runs"):
        find_primary(models("l1=0", "folder1", None), None)

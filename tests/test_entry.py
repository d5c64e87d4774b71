import warnings
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from fusion.entry import messages_for_people, plain_config, register_resolvers, require_only, resumable
from fusion.errors import FusionError
from fusion.runs.folder import LAST_OF_FOLD


def test_configuration_becomes_plain_with_interpolations_resolved() -> None:
    config = OmegaConf.create({"seed": 1, "name": "${cohort.name}", "cohort": {"name": "a", "labels": ["x", "y"]}})
    plain = plain_config(config)
    assert plain == {"seed": 1, "name": "a", "cohort": {"name": "a", "labels": ["x", "y"]}}
    assert (type(plain), type(plain["cohort"]), type(plain["cohort"]["labels"])) == (dict, dict, list)


def test_the_languages_own_words() -> None:
    register_resolvers()
    config = OmegaConf.create(
        {"a": "${first:null,x}", "b": "${either:${none},yes,no}", "none": None, "long": "ä" * 300, "c": "${brief:abc}"}
    )
    config["d"] = "${brief:${long}}"
    plain = plain_config(config)
    assert (plain["a"], plain["b"], plain["c"]) == ("x", "no", "abc")
    assert plain["d"].startswith("ä" * 100 + "…")
    assert len(plain["d"].encode()) < 255


def test_every_missing_value_is_named_with_what_to_type() -> None:
    config = OmegaConf.create({"run": "???", "cohort": {"root": "???", "name": "a"}, "join": [{"by": "???"}]})
    with pytest.raises(FusionError) as raised:
        plain_config(config)
    assert str(raised.value) == (
        "required a value for cohort.root, join[0].by, run, came none; "
        "add to the command: cohort.root=... join[0].by=... run=..."
    )


def test_a_value_that_leads_to_a_missing_one_names_the_missing_one() -> None:
    with pytest.raises(FusionError, match=r"required a value for cohort\.name, came none; .*: cohort\.name=\.\.\.$"):
        plain_config(OmegaConf.create({"name": "${cohort.name}", "cohort": {"name": "???"}}))


@pytest.mark.parametrize("value", ["${nowhere}", "${oc.env:FUSION_NO_SUCH_VARIABLE}", "${no_such_resolver:1}"])
def test_an_interpolation_that_leads_nowhere_is_a_message(value: str) -> None:
    with pytest.raises(FusionError, match="the configuration cannot be resolved: "):
        plain_config(OmegaConf.create({"a": value}))


def test_what_the_user_can_mend_is_a_message_and_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, messages_for_people():
        raise FusionError("required a table, came none")
    captured = capsys.readouterr()
    assert left.value.code == 1
    assert captured.err == "\nrequired a table, came none\n"
    assert captured.out == ""


def test_any_other_error_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), messages_for_people():
        raise ZeroDivisionError


def test_advice_for_other_programmers_is_silent_and_warnings_for_people_are_not() -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with messages_for_people():
            warnings.warn("old name", DeprecationWarning, stacklevel=1)
            warnings.warn("new default", FutureWarning, stacklevel=1)
            warnings.warn("look at this", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["look at this"]


def interrupt_as_lightning_does(error: type[BaseException]) -> None:
    """Ctrl-C arrives, and what runs then answers it with an error of its own."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise error from None


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    return tmp_path


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_an_interrupted_run_says_what_is_kept_and_how_to_go_on(
    begun: Path, capsys: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    (begun / "fold_0").mkdir()
    (begun / "fold_0" / LAST_OF_FOLD).touch()
    with pytest.raises(SystemExit) as left, resumable(begun):
        interrupt_as_lightning_does(error)
    said = capsys.readouterr().err
    assert left.value.code == 130
    assert f"1 finished folds are kept in {begun}; predict.py can use them." in said
    assert f"python train.py resume={begun}" in said


def test_a_run_interrupted_in_its_first_fold_promises_nothing(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), resumable(begun):
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert "predict.py" not in said
    assert f"python train.py resume={begun}" in said


def test_a_run_interrupted_before_it_began_is_not_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left, resumable(tmp_path):
        raise KeyboardInterrupt
    said = capsys.readouterr().err
    assert left.value.code == 130
    assert "nothing was begun yet" in said
    assert "resume=" not in said


@pytest.mark.parametrize("error", [FusionError("no"), SystemExit(2), ZeroDivisionError()])
def test_what_is_no_interruption_passes(begun: Path, capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, resumable(begun):
        raise error
    assert raised.value is error
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("given", "expected"), [(None, "b"), ("", "b"), ("a", "a")])
def test_first_is_the_first_value_that_is_there(given: str | None, expected: str) -> None:
    register_resolvers()
    assert OmegaConf.create({"given": given, "found": "${first:${given},b}"}).found == expected


def test_values_without_effect_are_refused() -> None:
    require_only(["resume=runs/a", "fold=3"], "resume", "fold")
    with pytest.raises(FusionError, match=r"came calibration=isotonic \+evaluation\.level=0\.9; leave them out"):
        require_only(["resume=runs/a", "calibration=isotonic", "+evaluation.level=0.9"], "resume", "fold")

from collections.abc import Callable
from typing import Any

import pytest

from fusion.errors import InputError
from fusion.tracking import check as module
from fusion.tracking.check import check_logger

Logger = Callable[..., dict[str, Any]]


def test_every_option_can_be_had_offline(logger: Logger) -> None:
    check_logger(logger("csv", "wandb", "tensorboard", "mlflow"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wandb__mode": "somewhere"}, r"logger\.wandb\.mode: required offline or online, came 'somewhere'"),
        ({"wandb__figures_every": 0}, r"logger\.wandb\.figures_every: required null, or a number of epochs from 1"),
        ({"wandb__mode": "online"}, r"required a login for online \(`wandb login`, once\)"),
    ],
)
def test_what_cannot_be_had_is_refused(logger: Logger, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_logger(logger("wandb", **changes))


def test_a_login_is_enough_for_online_and_nothing_is_sent(logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    check_logger(logger("wandb", wandb__mode="online"))


def test_a_name_that_is_no_logger_is_refused() -> None:
    with pytest.raises(InputError, match="required some of csv, wandb, tensorboard, mlflow, came name"):
        check_logger({"name": "csv"})


def test_a_package_that_is_lacking_is_named(logger: Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'fusion-radiomics\[mlflow\]'"):
        check_logger(logger("mlflow"))


@pytest.mark.parametrize("name", ["csv", "wandb"])
def test_an_agent_that_would_wait_for_ever_is_refused(
    logger: Logger, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    with pytest.raises(InputError, match=r"required logger=wandb logger\.wandb\.mode=online under `wandb agent`"):
        check_logger(logger(name))

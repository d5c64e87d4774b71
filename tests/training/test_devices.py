import pytest
import torch

from fusion.errors import FusionError
from fusion.training.devices import describe_device, resolve_precision, scoring_device


@pytest.fixture(params=[False, True], ids=["without a GPU", "with a GPU"])
def has_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    there: bool = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    return there


def test_a_gpu_is_taken_where_it_is_allowed_and_there(has_gpu: bool) -> None:
    assert scoring_device("cpu") == "cpu"
    assert scoring_device("auto") == ("cuda" if has_gpu else "cpu")


@pytest.mark.parametrize("accelerator", ["gpu", "cuda"])
def test_a_gpu_that_is_asked_for_has_to_be_there(has_gpu: bool, accelerator: str) -> None:
    if has_gpu:
        assert scoring_device(accelerator) == "cuda"
        return
    with pytest.raises(
        FusionError, match=rf"trainer.accelerator={accelerator}: required a CUDA GPU, .*accelerator=cpu"
    ):
        scoring_device(accelerator)


@pytest.mark.parametrize("has_bf16", [False, True])
def test_auto_is_bf16_where_the_device_computes_in_it(monkeypatch: pytest.MonkeyPatch, has_bf16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_bf16})
    assert resolve_precision("auto", "cpu") == ("bf16-mixed" if has_bf16 else "32-true")
    # What the CPU can do says nothing of the GPU.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: not has_bf16)
    assert resolve_precision("auto", "auto") == ("32-true" if has_bf16 else "bf16-mixed")


def test_a_precision_that_is_named_is_left_alone() -> None:
    assert resolve_precision("32-true", "cpu") == "32-true"
    assert resolve_precision("64-true", "cpu") == "64-true"


def test_a_run_says_what_it_computed_on() -> None:
    device = describe_device({"accelerator": "cpu", "precision": "32-true"})
    assert (device["device"], device["precision"], device["threads"]) == ("cpu", "32-true", torch.get_num_threads())
    assert isinstance(device["name"], str)

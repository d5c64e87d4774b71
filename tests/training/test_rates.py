import pytest

from fusion.training.rates import scale_rates

OPTIMIZER = {"lr": 3e-3, "lr_backbone": 1e-3, "lr_gates": 1e-2, "weight_decay": 0.01, "warmup_fraction": 0.1}


@pytest.mark.parametrize(("lr_scaling", "factor"), [("linear", 4.0), ("sqrt", 2.0)])
def test_every_rate_grows_with_the_batch_and_nothing_else(lr_scaling: str, factor: float) -> None:
    trainer = {"batch_size": 128, "reference_batch_size": 32, "lr_scaling": lr_scaling}
    scaled = scale_rates(OPTIMIZER, trainer=trainer)
    expected = {name: value * factor if name.startswith("lr") else value for name, value in OPTIMIZER.items()}
    assert scaled == pytest.approx(expected)


@pytest.mark.parametrize("size", [32, 128])
def test_rates_are_left_alone_unless_asked_for(size: int) -> None:
    trainer = {"batch_size": size, "reference_batch_size": 32, "lr_scaling": "none"}
    assert scale_rates(OPTIMIZER, trainer=trainer) == OPTIMIZER


def test_the_reference_batch_has_the_rates_as_they_are() -> None:
    trainer = {"batch_size": 32, "reference_batch_size": 32, "lr_scaling": "linear"}
    assert scale_rates(OPTIMIZER, trainer=trainer) == OPTIMIZER

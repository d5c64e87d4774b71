import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete
from numpy.typing import NDArray
from torch import Tensor, nn

from fusion.calibration.platt import Platt
from fusion.errors import FusionError
from fusion.explanation.network_inputs import _GivenImage, explain_network_inputs
from fusion.explanation.shap_values import ShapTable
from fusion.training.background import Background

Floats = NDArray[np.float64]
Make = Callable[..., Any]
SETTINGS = {"n_cases": 6, "n_background": 50, "max_evaluations": 64}


def explain(example: Any, **settings: int) -> ShapTable | None:
    model = example.model
    bare = [case.case_id for case in example.cases if not any(has(example, case).values())]
    cases = [case for case in example.cases if case.case_id not in bare]
    found = model.score_cases(cases, crops=example.crops, features=example.features, accelerator="cpu")
    return explain_network_inputs(
        model,
        cases,
        probabilities=found.probabilities[:, -1],
        crops=example.crops,
        features=example.features,
        settings=SETTINGS | settings,
    )


def table_of(example: Any, **settings: int) -> ShapTable:
    table = explain(example, **settings)
    assert table is not None
    return table


def has(example: Any, case: Any) -> Mapping[str, bool]:
    present = example.model.presence([case], crops=example.crops, features=example.features)
    return {name: bool(of_case[0]) for name, of_case in present.items()}


def scores(example: Any, row: int, radiomics: Floats, clinical: Floats) -> Floats:
    """(M,) what the whole network says of a case with M other radiomics and clinical rows."""
    inputs = example.inputs()
    again = np.full(len(radiomics), row)
    mixed = replace(
        inputs,
        cases=tuple(inputs.cases[row] for _ in again),
        crop_rows=inputs.crop_rows[again],
        radiomics=radiomics.astype(np.float32),
        clinical=clinical.astype(np.float32),
        present=inputs.present[again],
        labels=inputs.labels[again],
    )
    return np.asarray(example.model.score(mixed, device="cpu").probabilities[:, -1])


def planted(example: Any) -> Any:
    """The example with weights and gates of a formula, whatever torch draws; the third gate is closed."""
    for parameter in example.model.network.parameters():
        wave = torch.sin(1.7 * torch.arange(parameter.numel(), dtype=torch.float32) + 0.3)
        size = math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 4.0
        parameter.data.copy_((2.0 * wave / size).reshape(parameter.shape))
    example.model.network.branches["radiomics"].gates.data.copy_(torch.tensor([1.5, -1.0, 0.0, 0.7]))
    calibrator = Platt(slopes=(1.8,), intercepts=(-3.5,))
    return replace(example, model=replace(example.model, calibrator=calibrator))


def columns(example: Any) -> dict[str, tuple[str, list[int]]]:
    """Branch and columns of the inputs that ``planted`` leaves open."""
    features = {f"feature {k}": ("radiomics", [k]) for k in (0, 1, 3)}
    ends = np.cumsum([len(column.inputs) for column in example.model.encoder.columns]).tolist()
    spans = zip(example.model.encoder.columns, [0, *ends[:-1]], ends, strict=True)
    return features | {column.name: ("clinical", list(range(start, end))) for column, start, end in spans}


def mean_score(example: Any, row: int, known: tuple[str, ...]) -> float:
    """Over the background, where only these inputs are the case's own."""
    inputs, background = example.inputs(), example.model.background
    mixed = {"radiomics": background.radiomics.copy(), "clinical": background.clinical.copy()}
    own = {"radiomics": inputs.radiomics[row], "clinical": inputs.clinical[row]}
    for name in known:
        branch, places = columns(example)[name]
        mixed[branch][:, places] = own[branch][places]
    return float(scores(example, row, mixed["radiomics"], mixed["clinical"]).mean())


def by_definition(example: Any, row: int) -> Floats:
    """(F,) mean contribution over all orders, from what the whole network says of patients who never were."""
    names = list(columns(example))
    found = {
        known: mean_score(example, row, known)
        for n in range(len(names) + 1)
        for known in itertools.combinations(names, n)
    }
    values = np.zeros(len(names))
    for place, name in enumerate(names):
        for known, without in found.items():
            if name not in known:
                joined = tuple(other for other in names if other in (*known, name))
                weight = 1 / (len(names) * math.comb(len(names) - 1, len(known)))
                values[place] += weight * (found[joined] - without)
    return values


def test_values_are_those_of_the_definition_whatever_a_case_lacks(make_example: Make) -> None:
    example = planted(make_example())
    table = table_of(example)
    assert table.names == ("feature 0", "feature 1", "feature 3", "age", "shape")
    assert table.case_ids == tuple(f"case {k}" for k in range(6))
    assert table.unit == "probability"
    # Case 1 lacks its image and radiomics, case 2 its clinical row.
    expected = np.stack([by_definition(example, row) for row in range(3)])
    assert expected[1, :3] == pytest.approx([0, 0, 0], abs=1e-7)
    expected[1, :3] = expected[2, 3:] = np.nan
    assert table.values[:3] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert np.array_equal(np.isnan(table.standard_error[:3]), np.isnan(expected))
    assert table.method == "coalitions"
    assert np.nanmax(np.abs(table.values)) > 0.02


def test_beside_them_stands_what_the_cases_had_before_all_scaling(make_example: Make) -> None:
    example = planted(make_example())
    table = table_of(example, n_cases=3)
    assert table.given is not None
    assert table.given.scales == ("extracted",) * 3 + ("table",) * 2
    features = dict(zip(example.features.case_ids, example.features.values, strict=True))
    clinical = {case.case_id: case.clinical for case in example.cases}
    assert len(table.case_ids) == 3
    for case_id, texts in zip(table.case_ids, table.given.texts.tolist(), strict=True):
        own = features.get(case_id)
        # The third gate is closed.
        assert texts[:3] == (["", "", ""] if own is None else [repr(float(own[k])) for k in (0, 1, 3)])
        row = clinical[case_id]
        assert texts[3:] == [f"{row['age']:g}", row["shape"]] if row else ["", ""]


def test_values_and_base_add_up_to_what_is_reported(make_example: Make) -> None:
    example = planted(make_example())
    table = table_of(example)
    reported = example.model.score(example.inputs(), device="cpu").probabilities[:, 1]
    base = [mean_score(example, row, ()) for row in range(6)]
    assert np.nansum(table.values, axis=1) + base == pytest.approx(reported, abs=1e-6)
    assert table.completeness_error.max() < 1e-6


def test_of_the_network_as_the_shap_package(make_example: Make) -> None:
    # shap 0.51: ExactExplainer(f, masker)(np.zeros((1, 5))).values of cases 0 and 3. f is `scores` of the case by the
    # whole network; masker(mask, _) is the background with the columns of each input in the mask set to the case's.
    table = table_of(planted(make_example()))
    expected = [
        [-0.006820473, -0.000837412, 0.002841250, -0.014427785, 0.032459982],
        [-0.035290462, 0.006928784, -0.000955605, -0.048753307, -0.035828128],
    ]
    assert table.values[[0, 3]] == pytest.approx(np.array(expected), abs=1e-5)


class Weights(nn.Module):
    """A weighted sum of features behind their gates."""

    def __init__(self, gates: list[float], directions: list[float]) -> None:
        super().__init__()
        self.gates = nn.Parameter(torch.tensor(gates))
        self.directions = nn.Parameter(torch.tensor([directions]))

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.gates) @ self.directions.T


class Additive(nn.Module):
    """Log-odds that are a weighted sum of everything."""

    def __init__(self, clinical: list[float]) -> None:
        super().__init__()
        self.names = ("image", "radiomics", "clinical")
        image = nn.Sequential(nn.Flatten(), nn.Linear(2 * 32 * 32, 8))
        radiomics = Weights([0.5, 0.0, -2.0, 1.0], [0.3, 9.0, 0.1, 0.2])
        self.branches = nn.ModuleDict({"image": image, "radiomics": radiomics})
        self.clinical = nn.Parameter(torch.tensor(clinical))

    def forward(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Tensor:
        logits: Tensor = self.fuse(image, radiomics, clinical, present).logits
        return logits

    def fuse(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor) -> Any:
        odds = self.branches["image"](image).sum(1) + self.branches["radiomics"](radiomics).sum(1)
        logits = torch.stack([torch.zeros(len(odds)), odds + clinical @ self.clinical], dim=1)

        @dataclass
        class Output:
            logits: Tensor
            opinions: Tensor
            gates: None = None

        return Output(logits, logits[:, None].expand(-1, 3, -1))


class LogOdds:
    """A calibration that undoes the softmax."""

    def apply(self, p: Floats) -> Floats:
        odds = np.log(p[:, 1] / p[:, 0])
        return np.stack([-odds, odds], axis=1)


def test_of_an_additive_network_by_hand(make_example: Make) -> None:
    example = make_example()
    of_clinical = [0.7, -0.3, 0.2, 0.4, 0.1][: len(example.model.encoder.inputs)]
    additive = Additive(of_clinical).eval()
    example = replace(example, model=replace(example.model, network=additive, calibrator=LogOdds()))
    inputs, background = example.inputs(), example.model.background
    table = table_of(example)
    radiomics = np.array([0.15, -0.2, 0.2]) * (inputs.radiomics - background.radiomics.mean(0))[:, [0, 2, 3]]
    clinical = np.array(of_clinical) * (inputs.clinical - background.clinical.mean(0))
    n_age = len(example.model.encoder.columns[0].inputs)
    by_column = np.stack([clinical[:, :n_age].sum(1), clinical[:, n_age:].sum(1)], axis=1)
    expected = np.concatenate([radiomics, by_column], axis=1)
    complete = [0, 3, 4, 5]
    assert table.values[complete] == pytest.approx(expected[complete], abs=1e-5)
    # Sampled orders find the same: nothing interacts.
    sampled = table_of(example, max_evaluations=1)
    assert sampled.values[complete] == pytest.approx(expected[complete], abs=1e-5)


def test_columns_that_encode_one_column_are_mixed_together(make_example: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Floats] = []
    whole = _GivenImage.probabilities

    def spy(stage: Any, X: Floats) -> Floats:
        seen.append(X)
        return whole(stage, X)

    monkeypatch.setattr(_GivenImage, "probabilities", spy)
    example = planted(make_example())
    table_of(example, max_evaluations=1)
    encoder = example.model.encoder
    # The last column says whether there is a clinical row.
    rows = np.concatenate([X[X[:, -1] == 1, 3 : 3 + len(encoder.inputs)] for X in seen])
    shapes = rows[:, [encoder.inputs.index(name) for name in encoder.inputs if name.startswith("shape=")]]
    assert set(np.unique(shapes)) == {0.0, 1.0}
    # No mixture has two shapes, or none.
    assert (shapes.sum(axis=1) == 1).all()


def test_a_planted_column_comes_first(make_data: Make) -> None:
    data = complete(make_data(n_patients=40))
    # Of the clinical columns, age tells the outcome and the others are noise.
    model = data.fit(model__branches=["clinical"], trainer__max_epochs=12, optimizer__lr=0.02)
    cases = data.cases("test")
    found = model.score_cases(cases, crops=data.crops, features=data.features, accelerator="cpu")
    table = explain_network_inputs(
        model,
        cases,
        probabilities=found.probabilities[:, 1],
        crops=data.crops,
        features=data.features,
        settings=SETTINGS | {"n_cases": 20},
    )
    assert table is not None
    strengths = dict(zip(table.names, np.abs(table.values).mean(0).tolist(), strict=True))
    assert set(strengths) == {"age", "shape", "grade"}
    assert strengths["age"] > 2 * max(strengths["shape"], strengths["grade"])
    ages = [case.clinical["age"] for case in cases if case.case_id in table.case_ids]
    assert np.corrcoef(ages, table.values[:, table.names.index("age")])[0, 1] > 0.9


@pytest.mark.parametrize("branches", [("clinical",), ("radiomics", "clinical")], ids="+".join)
def test_networks_without_an_image_are_explained(make_example: Make, branches: tuple[str, ...]) -> None:
    example = make_example(branches=branches)
    table = table_of(example)
    assert ("feature 0" in table.names) == ("radiomics" in branches)
    if "radiomics" not in branches:
        assert "case 2" not in table.case_ids
    assert table.completeness_error.max() < 1e-6


def test_a_case_that_has_no_input_is_not_explained(make_example: Make) -> None:
    table = table_of(make_example(branches=("image", "radiomics")))
    assert table.case_ids == ("case 0", "case 2", "case 3", "case 4", "case 5")
    assert len(table_of(make_example(branches=("image", "radiomics")), n_cases=2).case_ids) == 2


def test_where_the_network_listens_to_no_table_there_is_nothing(make_example: Make) -> None:
    assert explain(make_example(branches=("image",))) is None
    example = make_example(branches=("image", "radiomics"))
    example.model.network.branches["radiomics"].gates.data.zero_()
    assert explain(example) is None


def test_of_several_labels_it_is_the_last(make_example: Make) -> None:
    example = make_example(label_names=("normal", "benign", "malignant"))
    inputs, table = example.inputs(), table_of(example)
    last = example.model.score(inputs, device="cpu").probabilities[:, 2]
    inner = example.model.background
    base = [scores(example, row, inner.radiomics, inner.clinical).mean() for row in range(6)]
    assert np.nansum(table.values, axis=1) + base == pytest.approx(last, abs=1e-6)


def test_the_model_stays_as_it_was(make_example: Make) -> None:
    example = make_example()
    weights = {name: tensor.clone() for name, tensor in example.model.network.state_dict().items()}
    first, second = table_of(example), table_of(example)
    assert np.array_equal(first.values, second.values, equal_nan=True)
    after = example.model.network.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())


def test_a_model_without_training_rows_is_told(make_example: Make) -> None:
    example = make_example()
    example = replace(example, model=replace(example.model, background=Background.from_state(None)))
    with pytest.raises(FusionError, match=r"fold 0: required training rows to explain the network against"):
        explain(example)

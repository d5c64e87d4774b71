import csv
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from number_cohort import complete

from fusion.calibration.identity import Identity
from fusion.calibration.platt import Platt
from fusion.classical.classifier import Classifier
from fusion.classical.late import WeightedMean
from fusion.classical.model import ClassicalModel
from fusion.classical.rows import Outcomes
from fusion.errors import FusionError
from fusion.explanation import branch_table
from fusion.explanation.branch_shapley import explain_classical_branches, explain_network_branches
from fusion.explanation.branch_table import PAIRS, BranchValues, write_branch_values
from fusion.models.branches import BRANCHES
from fusion.training.fitted import network_for

Make = Callable[..., Any]
Floats = np.ndarray
Say = Callable[[set[str]], float]


def planted(example: Any, head: str = "gated") -> Any:
    """The example with weights of a formula, whatever torch draws, stand-ins and a calibration among them."""
    settings = {**example.model.settings, "head": {"name": head, "d_hidden": 8, "dropout": 0.0}}
    model = replace(example.model, settings=settings)
    network = network_for(settings, model.encoder, model.scaler, len(model.label_names), pretrained=False).eval()
    for parameter in network.parameters():
        wave = torch.sin(1.7 * torch.arange(parameter.numel(), dtype=torch.float32) + 0.3)
        size = math.sqrt(parameter[0].numel()) if parameter.ndim > 1 else 4.0
        parameter.data.copy_((2.0 * wave / size).reshape(parameter.shape))
    calibrator = model.calibrator if len(model.label_names) > 2 else Platt(slopes=(1.8,), intercepts=(-0.4,))
    return replace(example, model=replace(model, network=network, calibrator=calibrator))


def says(example: Any, row: int) -> Say:
    """What the whole network says of a case who has some of its branches alone."""
    inputs = example.inputs()

    def say(branches: set[str]) -> float:
        present = inputs.present & np.isin(BRANCHES, sorted(branches))
        with torch.no_grad():
            batch = example.model.network_inputs(next(iter(loader(inputs))))
            logits = example.model.network(*batch[:3], torch.from_numpy(present))
        return float(example.model.probabilities(logits)[row, -1])

    return say


def loader(inputs: Any) -> Any:
    from fusion.training.inputs import make_loader

    return make_loader(inputs, weights=np.ones(len(inputs), dtype=np.float32), batch_size=len(inputs), shuffle=False)


def by_definition(say: Say, base: float, players: set[str]) -> tuple[list[float], list[float]]:
    """Values of the branches, and interactions of the pairs, over all orders; NaN for who is no player."""
    worth = {
        frozenset(members): say(set(members)) if members else base
        for n in range(len(players) + 1)
        for members in itertools.combinations(sorted(players), n)
    }
    values = dict.fromkeys(players, 0.0)
    orders = list(itertools.permutations(sorted(players)))
    for order in orders:
        for place, name in enumerate(order):
            values[name] += (worth[frozenset(order[: place + 1])] - worth[frozenset(order[:place])]) / len(orders)
    pairs = []
    for pair in PAIRS:
        if not players.issuperset(pair):
            pairs.append(math.nan)
            continue
        # With three players at most, the third is there in half of the orders in which the pair joins at once.
        rests = [frozenset(), frozenset(players - {*pair})]
        both, one, other = ([worth[rest | {*part}] for rest in rests] for part in (pair, pair[:1], pair[1:]))
        pairs.append(float(np.mean([b - x - y + worth[r] for b, x, y, r in zip(both, one, other, rests, strict=True)])))
    return [values.get(name, math.nan) for name in BRANCHES], pairs


def has(example: Any, row: int) -> set[str]:
    return {name for name, there in zip(BRANCHES, example.inputs().present[row], strict=True) if there} & {
        *example.model.network.names
    }


@pytest.mark.parametrize("head", ["gated", "concat"])
@pytest.mark.parametrize("label_names", [("benign", "malignant"), ("normal", "benign", "malignant")], ids=len)
def test_values_are_those_of_the_definition_whatever_a_case_lacks(
    make_example: Make, head: str, label_names: tuple[str, ...]
) -> None:
    example = planted(make_example(label_names=label_names), head)
    table = explain_network_branches(example.model, example.inputs())
    reported = example.model.score(example.inputs(), device="cpu").probabilities[:, -1]
    assert table.probabilities == pytest.approx(reported, abs=1e-6)
    # The first three lack nothing, image and radiomics, and the clinical row.
    for row in range(3):
        values, pairs = by_definition(says(example, row), table.base, has(example, row))
        assert table.values[row] == pytest.approx(values, abs=1e-6, nan_ok=True)
        assert table.interactions[row] == pytest.approx(pairs, abs=1e-6, nan_ok=True)
    assert np.nansum(table.values, axis=1) == pytest.approx(table.probabilities - table.base, abs=1e-12)
    assert np.nanmax(np.abs(table.values)) > 0.05
    assert np.nanmax(np.abs(table.interactions)) > 0.01
    assert np.isnan(table.values[1]).tolist() == [True, True, False]
    assert np.isnan(table.interactions[2]).tolist() == [False, True, True]


@pytest.mark.parametrize("branches", [("clinical",), ("image", "radiomics"), ("radiomics", "clinical")], ids="+".join)
def test_networks_of_fewer_branches(make_example: Make, branches: tuple[str, ...]) -> None:
    example = planted(make_example(branches=branches))
    cases = [row for row in range(6) if has(example, row)]
    inputs = example.model.assemble(
        [example.cases[row] for row in cases], crops=example.crops, features=example.features
    )
    table = explain_network_branches(example.model, inputs)
    assert np.isnan(table.values[0]).tolist() == [name not in branches for name in BRANCHES]
    assert np.nansum(table.values, axis=1) == pytest.approx(table.probabilities - table.base, abs=1e-12)
    together = [name for name, pair in zip(PAIRS, table.interactions[0], strict=True) if not np.isnan(pair)]
    assert together == [pair for pair in PAIRS if {*branches}.issuperset(pair)]


def test_the_base_is_the_share_of_the_positive_label_among_the_training_patients(make_data: Make) -> None:
    data = complete(make_data(n_patients=24))
    model = data.fit(model__branches=["clinical"], trainer__max_epochs=1)
    inputs = model.assemble(data.cases("test"), crops=data.crops, features=data.features)
    labels = {case.patient_id: case.label for case in data.cases("train")}
    shares = np.mean([label == "malignant" for label in labels.values()])
    assert shares != 0.5
    assert explain_network_branches(model, inputs).base == pytest.approx(shares)


def test_gates_are_the_networks_own(make_example: Make) -> None:
    example = planted(make_example())
    table = explain_network_branches(example.model, example.inputs())
    expected = example.model.score(example.inputs(), device="cpu").gates
    assert np.nan_to_num(table.gates) == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(np.isnan(table.gates), np.isnan(table.values))
    concatenated = planted(make_example(), "concat")
    assert np.isnan(explain_network_branches(concatenated.model, concatenated.inputs()).gates).all()


def test_the_model_stays_as_it_was(make_example: Make) -> None:
    example = planted(make_example())
    weights = {name: tensor.clone() for name, tensor in example.model.network.state_dict().items()}
    explain_network_branches(example.model, example.inputs())
    after = example.model.network.state_dict()
    assert list(after) == list(weights)
    assert all(torch.equal(after[name], tensor) for name, tensor in weights.items())


def test_a_case_without_any_branch_is_refused(make_example: Make) -> None:
    example = make_example(branches=("image",))
    with pytest.raises(FusionError, match="at least one of the branches image"):
        explain_network_branches(example.model, example.inputs())


def classical(kind: str) -> tuple[ClassicalModel, Floats]:
    """A model of a clinical block of two columns, a radiomics and a deep score, and rows of which some lack a block."""
    rng = np.random.default_rng(3)
    y = np.arange(60) % 3 == 0
    X = rng.normal(size=(60, 4)) + 1.2 * y[:, None]
    names = {"clinical": ("age", "edge"), "radiomics": ("radiomics score",), "deep": ("deep score",)}
    if kind == "mean":
        names, X = {**names, "clinical": ("clinical score",)}, X[:, 1:]
    patients = np.arange(60)
    if kind == "mean":
        final: Any = WeightedMean.fit(X, Outcomes(y=y.astype(float), weights=np.ones(60), patients=patients))
    else:
        estimator = {
            "lr": {"_target_": "sklearn.linear_model.LogisticRegression"},
            "knn": {"_target_": "sklearn.neighbors.KNeighborsClassifier", "n_neighbors": 9},
        }[kind]
        classifier = {"name": kind, "estimator": estimator, "grid": {}, "imbalance": "none"}
        final = Classifier.fit(X, y.astype(int), classifier=classifier, weights=np.ones(60), patients=patients, seed=0)
    model = ClassicalModel(
        settings={"model": {"name": "composite"}},
        entries={block: SimpleNamespace(names=of_block) for block, of_block in names.items()},  # type: ignore[misc]
        fills=X.mean(axis=0),
        chosen=np.arange(X.shape[1]),
        coefficients=None,
        final=final,
        background=X,
        ranges=np.zeros((X.shape[1], 2)),
        numbers={},
        label_names=("benign", "malignant"),
        calibrator=Identity() if kind == "knn" else Platt(slopes=(1.3,), intercepts=(0.2,)),
        thresholds={},
        threshold=None,
        fold=1,
    )
    rows = X[:4].copy()
    rows[1, :-2] = np.nan
    rows[2, -1] = np.nan
    rows[3, :-1] = np.nan
    return model, rows


@pytest.mark.parametrize("kind", ["mean", "lr", "knn"])
def test_of_a_classical_model_a_coalition_is_a_patient_who_lacks_the_other_blocks(kind: str) -> None:
    model, rows = classical(kind)
    table = explain_classical_branches(model, ["a", "b", "c", "d"], rows)
    n_clinical = rows.shape[1] - 2
    places = {"clinical": list(range(n_clinical)), "radiomics": [n_clinical], "image": [n_clinical + 1]}
    for row, lacking in enumerate([set(), {"clinical"}, {"image"}, {"clinical", "radiomics"}]):

        def say(branches: set[str], row: int = row) -> float:
            kept = rows[row].copy()
            for name, columns in places.items():
                if name not in branches:
                    kept[columns] = np.nan
            return float(model.output.probabilities(model.final_rows(kept[None]))[0])

        values, pairs = by_definition(say, 1 / 3, set(BRANCHES) - lacking)
        assert table.values[row] == pytest.approx(values, abs=1e-9, nan_ok=True)
        assert table.interactions[row] == pytest.approx(pairs, abs=1e-9, nan_ok=True)
    assert table.base == pytest.approx(1 / 3)
    assert table.probabilities == pytest.approx(model.output.probabilities(model.final_rows(rows)))
    assert np.isnan(table.gates).all()


def test_the_branches_are_those_of_the_network() -> None:
    assert branch_table.BRANCHES == BRANCHES


def values_of(values: list[list[float]], gates: list[list[float]]) -> BranchValues:
    n = len(values)
    return BranchValues(
        case_ids=tuple(f"case {row}" for row in range(n)),
        probabilities=np.full(n, 0.5),
        base=0.25,
        values=np.array(values),
        interactions=np.full((n, 3), 0.125),
        gates=np.array(gates),
    )


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_table_of_a_fold_says_where_gates_and_values_disagree(tmp_path: Path) -> None:
    gone = math.nan
    table = values_of(
        [[0.1, -0.3, 0.2], [0.1, -0.3, 0.2], [0.25, gone, gone], [0.3, gone, 0.1], [0.1, 0.2, 0.3]],
        [[0.1, 0.7, 0.2], [0.6, 0.2, 0.2], [1.0, gone, gone], [0.7, gone, 0.3], [gone, gone, gone]],
    )
    write_branch_values(tmp_path / "fold_4" / "shapley.csv", table, 4)
    rows = read(tmp_path / "fold_4" / "shapley.csv")
    assert list(rows[0]) == [
        *("case_id", "fold", "probability", "base", "image", "radiomics", "clinical"),
        *("image_radiomics", "image_clinical", "radiomics_clinical"),
        *("gate_image", "gate_radiomics", "gate_clinical", "largest_gate", "largest_value", "agree"),
    ]
    assert [row["largest_gate"] for row in rows] == ["radiomics", "image", "image", "image", ""]
    assert [row["largest_value"] for row in rows] == ["radiomics", "radiomics", "image", "image", "clinical"]
    # With one branch there is nothing to agree on.
    assert [row["agree"] for row in rows] == ["yes", "no", "", "yes", ""]
    assert (rows[0]["fold"], rows[0]["probability"], rows[0]["base"]) == ("4", "0.5", "0.25")
    assert (rows[2]["radiomics"], rows[2]["gate_radiomics"], rows[2]["image_radiomics"]) == ("", "", "0.125")

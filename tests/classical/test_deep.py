from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusion.classical import deep
from fusion.classical.deep import Embedder, fit_embedder
from fusion.errors import FusionError
from fusion.records import ClinicalColumn, Fold


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of every fit that is made."""
    made: list[dict[str, Any]] = []
    fit_fold = deep.fit_fold

    def spy(cohort: Any, **arguments: Any) -> Any:
        made.append({"cohort": cohort, **arguments})
        return fit_fold(cohort, **arguments)

    monkeypatch.setattr(deep, "fit_fold", spy)
    return made


@pytest.fixture(scope="module")
def fitted_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for tests of what a fit can do, which may find it as another test has left it."""
    return tmp_path_factory.mktemp("fitted")


@pytest.fixture
def fit(tmp_path: Path, deep_config: Callable[..., Any]) -> Callable[..., Embedder]:
    """Fit, with groups of the configuration changed; anew in each test, unless its cache is elsewhere."""

    def run(
        images: Any, *, cache: str | Path = "cache", fold_number: int = 0, keeps_network: bool = True, **changes: Any
    ) -> Embedder:
        return fit_embedder(
            images.cohort,
            images.patients,
            fold_number=fold_number,
            crops=images.crops,
            config=deep_config(**changes),
            cache_dir=tmp_path / cache,
            keeps_network=keeps_network,
            title="deep",
        )

    return run


class Asked(Exception):  # noqa: N818 -- it is an answer
    """Ends a fit where it has told what a test wants to know."""


@pytest.fixture
def plan_of(monkeypatch: pytest.MonkeyPatch, fit: Callable[..., Embedder]) -> Callable[..., tuple[str, frozenset[str]]]:
    """The key that a fit would be kept under, and whom it would hold out for early stopping; nothing is fitted."""

    def plan(images: Any, **changes: Any) -> tuple[str, frozenset[str]]:
        keys = []

        def ask_key(cache_dir: Path, key: str, *, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            keys.append(key)
            return compute()

        def ask_fold(cohort: Any, *, fold: Fold, **arguments: Any) -> Any:
            raise Asked(fold)

        monkeypatch.setattr(deep, "kept", ask_key)
        monkeypatch.setattr(deep, "fit_fold", ask_fold)
        with pytest.raises(Asked) as asked:
            fit(images, **changes)
        fold: Fold = asked.value.args[0]
        return keys[0], fold.validation

    return plan


@pytest.fixture
def key_of(plan_of: Callable[..., tuple[str, frozenset[str]]]) -> Callable[..., str]:
    return lambda images, **changes: plan_of(images, **changes)[0]


def weights(embedder: Embedder) -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in embedder.network.state_dict().values())


def embed(embedder: Embedder, images: Any, cases: Any = None) -> Any:
    return embedder.embed(images.cohort.cases if cases is None else cases, crops=images.crops, accelerator="cpu")


def test_a_second_call_neither_fits_nor_embeds_nor_speaks(
    images: Any,
    fit: Callable[..., Embedder],
    fits: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = fit(images)
    assert "deep: 1 epochs" in capsys.readouterr().err
    monkeypatch.setattr(deep, "_pool", None)
    second = fit(images)
    assert len(fits) == 1
    assert capsys.readouterr() == ("", "")
    assert weights(first) == weights(second)
    np.testing.assert_array_equal(embed(first, images), embed(second, images))


def test_a_fresh_cache_gives_the_same_bytes(images: Any, fit: Callable[..., Embedder], tmp_path: Path) -> None:
    torch.manual_seed(1)
    fit(images, cache="a")
    torch.manual_seed(2)
    fit(images, cache="b")
    first, second = (next((tmp_path / name).rglob("*.pt")).read_bytes() for name in "ab")
    assert first == second


def test_random_numbers_after_it_do_not_depend_on_whether_it_was_kept(images: Any, fit: Callable[..., Any]) -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002 -- Lightning seeds the old generator
        fit(images)
        drawn.append((torch.rand(1).item(), np.random.random()))  # noqa: NPY002
    assert drawn[0] == drawn[1]


def test_it_learns_from_the_patients_alone(images: Any, fit: Callable[..., Embedder], fits: list[Any]) -> None:
    fit(images)
    (seen,) = fits
    fold = seen["fold"]
    assert fold.train | fold.validation == images.patients == {case.patient_id for case in seen["cohort"].cases}
    assert fold.test == frozenset(images.cohort.patients) - images.patients
    # A quarter of 9 and 9 patients.
    labels = [images.cohort.patients[patient_id][0].label for patient_id in sorted(fold.validation)]
    assert sorted((labels.count("benign"), labels.count("malignant"))) in ([2, 2], [2, 3])
    assert seen["config"]["model"]["branches"] == ["image"]
    assert seen["features"].names == ()


def test_the_early_stopping_part_depends_on_the_patients_the_seed_and_the_fold_only(
    images: Any, plan_of: Callable[..., tuple[str, frozenset[str]]]
) -> None:
    backward = tuple(case for case in images.cohort.cases[::-1] if case.patient_id != "patient 20")
    _, plain = plan_of(images)
    assert plan_of(replace(images, cohort=replace(images.cohort, cases=backward)))[1] == plain
    assert plan_of(images, fold_number=1)[1] != plain
    assert plan_of(images, seed=4)[1] != plain
    assert plan_of(replace(images, patients=images.patients - plain))[1] != plain


def test_the_key_follows_a_label_also_where_the_same_patients_are_held_out(
    images: Any, key_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held_out = frozenset(f"patient {number}" for number in range(4))
    monkeypatch.setattr(deep, "draw_fraction", lambda *_: held_out)
    assert key_of(images) != key_of(images.relabel("patient 6"))


@pytest.mark.parametrize("change", ["repaint", "relabel"])
def test_other_patients_do_not_touch_the_weights(
    images: Any, fit: Callable[..., Embedder], fits: list[Any], fitted_before: Path, change: str
) -> None:
    plain = fit(images, cache=fitted_before)
    changed = getattr(images, change)("patient 20")
    fits.clear()
    other = fit(changed)
    assert len(fits) == 1
    assert weights(plain) == weights(other)
    differ = (embed(plain, images) != embed(other, changed)).any(axis=1)
    moved = {case.patient_id for case, row in zip(images.cohort.cases, differ, strict=True) if row}
    assert moved == ({"patient 20"} if change == "repaint" else set())


@pytest.mark.parametrize("change", ["repaint", "relabel"])
def test_the_patients_do(images: Any, fit: Callable[..., Embedder], fitted_before: Path, change: str) -> None:
    assert weights(fit(images, cache=fitted_before)) != weights(fit(getattr(images, change)("patient 6")))


def test_the_key_follows_what_the_fit_depends_on(
    images: Any,
    key_of: Callable[..., str],
    deep_config: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    first.write_bytes(b"first")
    second.write_bytes(b"second")
    keys = [
        key_of(images),
        key_of(images.relabel("patient 6")),
        key_of(images.repaint("patient 20")),
        key_of(replace(images, crops=replace(images.crops, case_ids=images.crops.case_ids[::-1]))),
        key_of(replace(images, patients=images.patients - {"patient 6"})),
        key_of(images, fold_number=1),
        key_of(images, seed=4),
        key_of(images, trainer={"max_epochs": 2}),
        key_of(images, trainer={"batch_size": 4}),
        key_of(images, trainer={"precision": "bf16-mixed"}),
        key_of(images, optimizer={"lr": 1e-2}),
        key_of(images, head={"name": "mean"}),
        key_of(images, imaging={"channels": "image"}),
        key_of(images, backbone={"name": "test_resnet2"}),
        key_of(images, backbone={"weights": str(first)}),
        key_of(images, backbone={"weights": str(second)}),
        key_of(images, deep={"network": {**deep_config()["deep"]["network"], "dropout": 0.5}}),
        key_of(images, split={"validation_fraction": 0.5}),
    ]
    monkeypatch.setattr(deep, "version", lambda name: "0")
    keys.append(key_of(images))
    monkeypatch.setattr(deep, "_RECIPE", 0)
    keys.append(key_of(images))
    assert len(set(keys)) == len(keys)


def test_the_key_does_not_follow_what_it_does_not_depend_on(
    images: Any, key_of: Callable[..., str], tmp_path: Path
) -> None:
    first, second = tmp_path / "first.pth", tmp_path / "second.pth"
    for path in (first, second):
        path.write_bytes(b"the same")
    column = ClinicalColumn(name="age", kind="number")
    cases = tuple(replace(case, clinical={"age": 50.0}) for case in images.cohort.cases)
    clinical = replace(images.cohort, name="another", cases=cases, clinical_columns=(column,))
    same = [
        key_of(images),
        key_of(images.relabel("patient 20")),
        key_of(replace(images, cohort=clinical)),
        key_of(images, trainer={"accelerator": "auto"} if not torch.cuda.is_available() else {}),
        key_of(images, l1=1.0, tabular={"clip": 3.0}, harmonization={"name": "combat"}, model={"name": "composite"}),
        key_of(images, deep={"n_components": 4}),
    ]
    assert len(set(same)) == 1
    assert key_of(images, backbone={"weights": str(first)}) == key_of(images, backbone={"weights": str(second)})


def test_a_damaged_fit_is_made_again(
    images: Any, fit: Callable[..., Embedder], fits: list[Any], tmp_path: Path
) -> None:
    first = fit(images)
    (path,) = (tmp_path / "cache").rglob("*.pt")
    path.write_bytes(path.read_bytes()[:-1])
    second = fit(images)
    assert len(fits) == 2
    assert weights(first) == weights(second)


def test_an_embedding_is_the_pooled_layer(images: Any, fit: Callable[..., Embedder], fitted_before: Path) -> None:
    embedder = fit(images, cache=fitted_before)
    embeddings = embed(embedder, images)
    crop = torch.tensor(images.crops.array[3:4]).float() / 255
    with torch.no_grad():
        pooled = embedder.network.branches["image"].get_submodule("backbone")(crop)
    assert embeddings.dtype == np.float64
    assert embeddings.shape == (len(images.cohort.cases), embedder.d_out)
    np.testing.assert_allclose(embeddings[3], pooled[0].double().numpy(), rtol=1e-4, atol=1e-6)


def test_a_case_without_a_crop_has_no_embedding_and_is_not_learned_from(
    images: Any, fit: Callable[..., Embedder], fits: list[Any]
) -> None:
    # A patient of one image, one of two images, and one of the others.
    fewer = images.without_crop("case 1/0", "case 5/1", "case 20/0")
    embedder = fit(fewer)
    for known in (embedder, Embedder.from_state(embedder.state())):
        missing = np.isnan(embed(known, fewer))
        cases = [case.case_id for case, row in zip(images.cohort.cases, missing, strict=True) if row.all()]
        assert cases == ["case 1/0", "case 5/1", "case 20/0"]
        assert missing.any(axis=1).sum() == 3
    fold = fits[0]["fold"]
    assert fold.train | fold.validation == images.patients - {"patient 1"}
    assert "case 5/1" not in [case.case_id for case in fits[0]["cohort"].cases]


def test_an_embedding_does_not_depend_on_the_other_cases(
    images: Any, fit: Callable[..., Embedder], fitted_before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = fit(images, cache=fitted_before)
    together = embed(fitted, images)
    embedder = Embedder.from_state(fitted.state())
    alone = np.concatenate([embed(embedder, images, [case]) for case in images.cohort.cases])
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-6)
    backward = embed(embedder, images, images.cohort.cases[::-1])
    np.testing.assert_allclose(backward[::-1], together, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(deep, "_BATCH", 5)
    np.testing.assert_allclose(embed(embedder, images), together, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(embed(fitted, images, images.cohort.cases[::-1])[::-1], together)


def test_cases_of_other_crops_are_computed(images: Any, fit: Callable[..., Embedder], fitted_before: Path) -> None:
    embedder, changed = fit(images, cache=fitted_before), images.repaint("patient 6")
    differ = (embed(embedder, images) != embed(embedder, changed)).any(axis=1)
    assert differ[[case.patient_id == "patient 6" for case in images.cohort.cases]].all()
    assert embed(embedder, images, []).shape == embed(embedder, changed, []).shape == (0, embedder.d_out)


def test_the_state_goes_through_a_checkpoint(
    images: Any, fit: Callable[..., Embedder], fitted_before: Path, tmp_path: Path
) -> None:
    fitted = fit(images, cache=fitted_before)
    torch.save(fitted.state(), tmp_path / "model.ckpt")
    read = Embedder.from_state(torch.load(tmp_path / "model.ckpt", weights_only=True))
    assert not read.network.training
    assert (read.settings, read.label_names) == (fitted.settings, fitted.label_names)
    assert weights(read) == weights(fitted)
    np.testing.assert_allclose(embed(read, images), embed(fitted, images), rtol=1e-4, atol=1e-6)


def test_a_part_without_a_label_is_refused(images: Any, fit: Callable[..., Embedder], fits: list[Any]) -> None:
    benign = frozenset(f"patient {number}" for number in range(0, 18, 2))
    for patients, part in (
        (benign, "fitting"),
        (benign | {"patient 1"}, r"(fitting|early stopping)"),
        (frozenset(), "fitting"),
    ):
        with pytest.raises(FusionError, match=rf"came no \['.*'\] among the \d+ for {part}"):
            fit(replace(images, patients=patients))
    malignant = [case.case_id for case in images.cohort.cases if case.label == "malignant"]
    with pytest.raises(FusionError, match="9 of 18 training patients have an image and a mask"):
        fit(images.without_crop(*malignant))
    assert not fits


def test_the_whole_cohort_is_refused(images: Any, fit: Callable[..., Embedder]) -> None:
    with pytest.raises(ValueError, match="a part without patients"):
        fit(replace(images, patients=frozenset(images.cohort.patients)))


def test_without_its_network_a_fit_leaves_its_embeddings_alone(
    images: Any, fit: Callable[..., Embedder], tmp_path: Path
) -> None:
    def size(cache: str) -> int:
        return sum(path.stat().st_size for path in (tmp_path / cache).rglob("*.pt"))

    whole, bare = fit(images, cache="whole"), fit(images, cache="bare", keeps_network=False)
    cases = images.cohort.cases
    embeddings = [each.embed(cases, crops=images.crops, accelerator="cpu") for each in (whole, bare)]
    np.testing.assert_array_equal(*embeddings)
    assert bare.d_out == whole.d_out
    assert size("bare") < size("whole") / 4
    with pytest.raises(AssertionError, match="not kept"):
        bare.embed(cases, crops=images.repaint("patient 0").crops, accelerator="cpu")

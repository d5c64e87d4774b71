import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fusion.cohorts.load import load_cohort
from fusion.cohorts.phantom import simulate_cohort
from fusion.cohorts.simulation.patient import Scan
from fusion.errors import InputError

CONF = Path(__file__).parents[2] / "conf" / "cohort"


@pytest.fixture
def simulation() -> dict[str, Any]:
    """The default cohort's settings with few small pictures."""
    settings = yaml.safe_load((CONF / "phantom.yaml").read_text())["simulation"]
    settings |= {"n_patients": 6, "frame": {"depth_px": 96, "width_px": 128, "pixel_mm": 0.36, "rf_per_pixel": 12}}
    return settings


@pytest.fixture
def composed() -> Callable[[str], dict[str, Any]]:
    """The plain mapping of a file in conf/cohort."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    def compose_plain(name: str) -> dict[str, Any]:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = OmegaConf.to_container(compose(name), resolve=True)
        assert isinstance(config, dict)
        return {str(key): value for key, value in config.items()}

    return compose_plain


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels_of(folder: Path, kind: str) -> dict[str, bytes]:
    return {name: content for name, content in files_of(folder).items() if name.startswith(kind)}


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "table.csv").open() as stream:
        return list(csv.DictReader(stream))


def truth_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "truth.json").read_text())


def auc_of(scores: list[float], positive: list[bool]) -> float:
    above = [score for score, is_positive in zip(scores, positive, strict=True) if is_positive]
    below = [score for score, is_positive in zip(scores, positive, strict=True) if not is_positive]
    return sum(a > b for a in above for b in below) / (len(above) * len(below))


def test_same_settings_give_the_same_bytes_on_one_core_and_on_many(
    simulation: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = simulate_cohort(simulation, cache_dir=tmp_path / "many")
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    one = simulate_cohort(simulation, cache_dir=tmp_path / "one")
    assert files_of(many) == files_of(one)
    assert many.name == one.name


def test_another_seed_gives_another_cohort(simulation: dict[str, Any], tmp_path: Path) -> None:
    first = simulate_cohort(simulation, cache_dir=tmp_path)
    second = simulate_cohort({**simulation, "seed": simulation["seed"] + 1}, cache_dir=tmp_path)
    assert first != second
    assert not set(pixels_of(first, "images").values()) & set(pixels_of(second, "images").values())


def test_a_whole_cohort_is_used_again(simulation: dict[str, Any], tmp_path: Path) -> None:
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert simulate_cohort(simulation, cache_dir=tmp_path) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == written


@pytest.mark.parametrize(
    ("name", "damaged"),
    [
        ("images/P002.png", None),
        ("images/P002.png", b"\x89PNG"),
        ("masks/P003.png", b""),
        ("table.csv", b"id,center\n"),
        ("truth.json", b"{"),
        ("files.json", b"[1, 2"),
        ("files.json", None),
    ],
)
def test_a_damaged_cohort_is_made_again(
    simulation: dict[str, Any], tmp_path: Path, name: str, damaged: bytes | None
) -> None:
    simulation["n_patients"] = 3
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    whole = files_of(folder)
    (folder / name).unlink() if damaged is None else (folder / name).write_bytes(damaged)
    assert simulate_cohort(simulation, cache_dir=tmp_path) == folder
    assert files_of(folder) == whole
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_two_at_once_get_the_same_whole_cohort(simulation: dict[str, Any], tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        folders = list(pool.map(lambda _: simulate_cohort(simulation, cache_dir=tmp_path), range(3)))
    assert len(set(folders)) == 1
    assert len(rows_of(folders[0])) == 6
    assert [path.name for path in (tmp_path / "phantom").iterdir()] == [folders[0].name]


def test_a_failure_leaves_nothing_behind(
    simulation: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("fusion.cohorts.phantom._write_table", full)
    with pytest.raises(OSError, match="no space left"):
        simulate_cohort(simulation, cache_dir=tmp_path)
    assert list((tmp_path / "phantom").iterdir()) == []


def test_the_table_reader_reads_it(
    simulation: dict[str, Any], composed: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    cohort = load_cohort({**composed("phantom"), "simulation": simulation}, cache_dir=tmp_path, require_labels=True)
    assert len(cohort.cases) == 6
    assert cohort.label_names == ("benign", "malignant")
    assert len(cohort.clinical_columns) == 17
    for case in cohort.cases:
        assert case.image is not None
        assert case.mask is not None
        image, mask = np.asarray(Image.open(case.image)), np.asarray(Image.open(case.mask))
        assert image.shape == mask.shape == (96, 128)
        assert set(np.unique(mask)) == {0, 255}


def test_sizes_and_words_from_the_configuration_are_honored(simulation: dict[str, Any], tmp_path: Path) -> None:
    simulation["n_patients"] = 20
    simulation["lesion"] |= {"length_mm": [10, 10], "aspect": [0.8, 0.8], "reader_jitter": 0.0}
    simulation["labels"] = ["primary", "secondary"]
    simulation["missing"] = {"word": "unknown", "fraction": 0.5, "columns": ["pain"]}
    for name, share in (("north", 3), ("east", 1), ("south", 4), ("west", 2)):
        simulation["centers"][name]["share"] = share
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    rows = rows_of(folder)
    assert [sum(row["center"] == name for row in rows) for name in ("north", "east", "south", "west")] == [6, 2, 8, 4]
    assert {row["diagnosis"] for row in rows} == {"primary", "secondary"}
    unknown = [name for row in rows for name, value in row.items() if value == "unknown"]
    assert set(unknown) == {"pain"}
    assert 4 <= len(unknown) <= 16
    for row in rows:
        area_mm2 = (np.asarray(Image.open(folder / "masks" / f"{row['id']}.png")) > 0).sum() * 0.36**2
        assert area_mm2 == pytest.approx(np.pi / 4 * 10 * 8, rel=0.06)


def test_a_design_is_met_exactly(simulation: dict[str, Any], tmp_path: Path) -> None:
    simulation["n_patients"] = 18
    simulation["design"] = {
        "north": {"n": 8, "positive": 1},
        "east": {"n": 5, "positive": 4},
        "south": {"n": 3, "positive": 2},
        "west": {"n": 2, "positive": 1},
    }
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    rows = rows_of(folder)
    assert Counter((row["center"], row["diagnosis"]) for row in rows) == {
        ("north", "benign"): 7,
        ("north", "malignant"): 1,
        ("east", "benign"): 1,
        ("east", "malignant"): 4,
        ("south", "benign"): 1,
        ("south", "malignant"): 2,
        ("west", "benign"): 1,
        ("west", "malignant"): 1,
    }
    # Neither centers nor outcomes come one after the other.
    assert len({row["center"] for row in rows[:8]}) > 1
    assert len({row["diagnosis"] for row in rows[:8]}) == 2
    assert truth_of(folder)["settings"]["design"] == simulation["design"]
    for patient in truth_of(folder)["patients"].values():
        logit = np.log(patient["probability"] / (1 - patient["probability"]))
        assert logit == pytest.approx(patient["logit"])
    assert len(set(pixels_of(folder, "images").values())) == 18


def test_a_center_s_part_is_a_column(simulation: dict[str, Any], tmp_path: Path) -> None:
    plain = simulate_cohort(simulation, cache_dir=tmp_path)
    parts = {"north": "train", "east": "train", "south": "test", "west": "validation"}
    folder = simulate_cohort({**simulation, "parts": parts}, cache_dir=tmp_path)
    rows = rows_of(folder)
    assert [row.pop("part") for row in rows] == [parts[row["center"]] for row in rows]
    assert rows == rows_of(plain)
    assert pixels_of(folder, "images") == pixels_of(plain, "images")


@pytest.mark.parametrize(
    ("name", "labels", "per_center", "parts"),
    [
        ("phantom_xia", {"primary": 68, "secondary": 72}, [49, 42, 28, 21], {None: (140, 72)}),
        (
            "phantom_su",
            {"no metastasis": 156, "metastasis": 58},
            [80, 64, 40, 30],
            {"train": (144, 39), "test": (70, 19)},
        ),
    ],
)
def test_a_paper_s_numbers(
    name: str,
    labels: dict[str, int],
    per_center: list[int],
    parts: dict[str | None, tuple[int, int]],
    composed: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Nobody looks at the pictures here, and they take all the time.
    pixel = np.zeros((1, 1), np.uint8)
    monkeypatch.setattr("fusion.cohorts.simulation.patient._scan", lambda *_: (Scan(image=pixel, mask=pixel), 12.0))
    cohort = load_cohort(composed(name), cache_dir=tmp_path, require_labels=True)
    assert cohort.name == name
    assert Counter(case.label for case in cohort.cases) == labels
    assert cohort.label_names == tuple(labels)
    assert [sum(case.center == center for case in cohort.cases) for center in ("north", "east", "south", "west")] == (
        per_center
    )
    positive = cohort.label_names[-1]
    for part, (n, n_positive) in parts.items():
        of_part = [case.label for case in cohort.cases if case.fold == part]
        assert (len(of_part), of_part.count(positive)) == (n, n_positive)
    assert [column.name for column in cohort.clinical_columns if column.source == "patient"] == [
        "sex", "age", "pain", "gland", "side"
    ]  # fmt: skip
    assert len(cohort.clinical_columns) == 17


def test_truth_agrees_with_the_table(simulation: dict[str, Any], tmp_path: Path) -> None:
    simulation["n_patients"] = 30
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    truth, rows = truth_of(folder), rows_of(folder)
    weights = {name: factor["weight"] for name, factor in truth["factors"].items()}
    assert weights == simulation["weights"]
    for row in rows:
        patient = truth["patients"][row["id"]]
        logit = truth["intercepts"][patient["center"]] + sum(weights[name] * patient[name] for name in weights)
        assert patient["logit"] == pytest.approx(logit)
        assert patient["probability"] == pytest.approx(1 / (1 + np.exp(-logit)))
        assert (patient["label"], patient["center"]) == (row["diagnosis"], row["center"])
    patients = [truth["patients"][row["id"]] for row in rows]
    positive = [row["diagnosis"] == "malignant" for row in rows]
    assert truth["auc"]["bayes"] == pytest.approx(auc_of([patient["probability"] for patient in patients], positive))
    for name in weights:
        expected = auc_of([patient[name] for patient in patients], positive)
        assert truth["factors"][name]["auc"] == pytest.approx(expected)
    assert truth["factors"]["clinical"]["carriers"]["clinical"].keys() == {
        "age", "pain", "us_node_status", "node_long_short_ratio"
    }  # fmt: skip


def test_the_clinical_factor_is_nowhere_in_the_picture(simulation: dict[str, Any], tmp_path: Path) -> None:
    with_factor = simulate_cohort(simulation, cache_dir=tmp_path)
    for column in (*simulation["numbers"].values(), *simulation["categories"].values()):
        column["loading"] = 0.0
    without = simulate_cohort({**simulation, "weights": dict.fromkeys(simulation["weights"], 0.0)}, cache_dir=tmp_path)
    for kind in ("images", "masks"):
        assert pixels_of(with_factor, kind) == pixels_of(without, kind)
    assert [row["age"] for row in rows_of(with_factor)] != [row["age"] for row in rows_of(without)]


def test_texture_and_shape_are_nowhere_in_the_clinical_row(simulation: dict[str, Any], tmp_path: Path) -> None:
    both = simulate_cohort(simulation, cache_dir=tmp_path)
    simulation["lesion"] |= {"scatterers_per_mm2": [10, 10], "irregularity": [0.05, 0.05]}
    neither = simulate_cohort(simulation, cache_dir=tmp_path)
    assert pixels_of(both, "images") != pixels_of(neither, "images")
    assert pixels_of(both, "masks") != pixels_of(neither, "masks")
    assert (both / "table.csv").read_bytes() == (neither / "table.csv").read_bytes()


def test_texture_changes_the_speckle_but_neither_brightness_nor_shape(
    simulation: dict[str, Any], tmp_path: Path
) -> None:
    frame = {"depth_px": 192, "width_px": 256, "pixel_mm": 0.18, "rf_per_pixel": 6}
    simulation |= {"n_patients": 12, "frame": frame}
    simulation["lesion"] |= {"level_db": [-8, -8], "max_cysts": 1, "cyst_radius": [0.02, 0.02]}
    means, spreads, masks = [], [], []
    for density in (26.0, 4.0):
        simulation["lesion"]["scatterers_per_mm2"] = [density, density]
        folder = simulate_cohort(simulation, cache_dir=tmp_path)
        masks.append(pixels_of(folder, "masks"))
        inside = [
            np.asarray(Image.open(folder / "images" / f"{row['id']}.png"), dtype=float)[
                np.asarray(Image.open(folder / "masks" / f"{row['id']}.png")) > 0
            ]
            for row in rows_of(folder)
        ]
        means.append(np.array([values.mean() for values in inside]))
        spreads.append(np.array([values.std() for values in inside]))
    assert masks[0] == masks[1]
    assert abs((means[1] - means[0]).mean()) < 3
    assert np.all(spreads[1] > 1.1 * spreads[0])


def test_centers_differ_in_brightness(simulation: dict[str, Any], tmp_path: Path) -> None:
    simulation["n_patients"] = 24
    folder = simulate_cohort(simulation, cache_dir=tmp_path)
    by_center: dict[str, list[float]] = {}
    for row in rows_of(folder):
        image = np.asarray(Image.open(folder / "images" / f"{row['id']}.png"))
        by_center.setdefault(row["center"], []).append(float(image.mean()))
    means = {name: np.mean(values) for name, values in by_center.items()}
    assert max(means.values()) - min(means.values()) > 25
    assert max(means, key=lambda name: means[name]) == "west"


def test_all_that_is_wrong_with_the_settings_is_said_at_once(simulation: dict[str, Any], tmp_path: Path) -> None:
    simulation["weights"]["sound"] = 1.0
    del simulation["lesion"]["aspect"]
    simulation["n_patients"] = "many"
    with pytest.raises(InputError) as caught:
        simulate_cohort(simulation, cache_dir=tmp_path)
    assert {problem.where for problem in caught.value.problems} == {
        "simulation.weights.sound", "simulation.lesion.aspect", "simulation.n_patients"
    }  # fmt: skip
    assert "a value of type int, came 'many'" in str(caught.value)
    assert list(tmp_path.iterdir()) == []

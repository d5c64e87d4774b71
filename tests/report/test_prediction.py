"""The page of a run that was applied to other patients."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from fusion.evaluation.pooling import average_folds, pool_cases
from fusion.records import UNLABELED, Predictions
from fusion.report.prediction import applied_to, doubts, write_prediction

APPLICABILITY = {
    "n_cases": 40,
    "columns": {"absent": ["pain", "edge"], "missing": {"age": 3, "sex": 0}},
    "branches": {"image": 0, "radiomics": 2, "clinical": 40},
    "distances": {
        branch: {
            "n": 40,
            "mean_percentile": 0.7,
            "share_far": share,
            "expected_far": 0.06,
            "n_reference": 60,
            "centers": {
                "Fudan": {"n": 30, "mean_percentile": 0.8, "share_far": 0.5},
                "Zhongnan": {"n": 10, "mean_percentile": 0.4, "share_far": 0.1},
            },
        }
        for branch, share in (("image", 0.4), ("radiomics", 0.1))
    },
    "n_seen": 0,
}


class Reader(HTMLParser):
    """Text by id of the element that it is in."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str | None] = []
        self.texts: dict[str, str] = {}
        self.void = {"meta", "img", "input", "br", "link"}

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.void:
            self.open.append(dict(attrs).get("id"))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.void:
            for name in filter(None, self.open):
                self.texts[name] = self.texts.get(name, "") + " "
            self.open.pop()

    def handle_data(self, data: str) -> None:
        for name in filter(None, self.open):
            self.texts[name] = self.texts.get(name, "") + data


def texts(page: Path) -> dict[str, str]:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return {name: " ".join(text.split()) for name, text in reader.texts.items()}


@pytest.fixture
def applied(tmp_path: Path, fake: SimpleNamespace) -> Path:
    """Three models applied to twenty patients, as predict.py leaves it."""
    folder, simulation = tmp_path / "applied", fake.Simulation(20)
    fake.write_run(folder, simulation, optional=False)
    rng, all_rows = np.random.default_rng(0), simulation.cases
    tested = all_rows.select(part == "test" for part in all_rows.parts)
    folds = []
    for fold in range(3):
        positive = rng.uniform(0.05, 0.95, len(tested.labels))
        folds.append(
            Predictions(
                model="fused",
                label_names=tested.label_names,
                probabilities=np.stack([1 - positive, positive], axis=1),
                patient_ids=tested.patient_ids,
                centers=tested.centers,
                parts=tested.parts,
                folds=(fold,) * len(tested.labels),
                labels=tested.labels,
                case_ids=tested.case_ids,
            )
        )
    save(folder, Predictions.concatenate(folds), fake)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["applied"] = {"run": "runs/o/2026", "cohort": "another hospital", "simulated": False, "folds": [0, 1, 2]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["cohort"] = {"patients": 20, "cases": len(tested.labels), "centers": {"Fudan": 15, "Zhongnan": 5}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    metrics = json.loads((folder / "metrics.json").read_text())
    kept = {name: metrics[name] for name in ("split_sha256", "test", "test_cases", "centers", "operating_points")}
    for point in kept["operating_points"].values():
        point["thresholds"] = {"-1": 0.5}
    (folder / "metrics.json").write_text(json.dumps(kept))
    (folder / "applicability.json").write_text(json.dumps(APPLICABILITY))
    rows = [
        [case_id, "patient", "Fudan", fold, branch, 1.0, rng.uniform()]
        for case_id in tested.case_ids or ()
        for fold in range(3)
        for branch in ("image", "radiomics")
    ]
    header = ["case_id", "patient_id", "center", "fold", "branch", "distance", "percentile"]
    fake.write_csv(folder / "distances.csv", header, rows)
    inputs = [[case, fold, "age", 0.1 * fold, 0, "probability"] for case in tested.case_ids or () for fold in range(3)]
    header = ["case_id", "fold", "name", "value", "completeness_error", "unit"]
    fake.write_csv(folder / "attributions/inputs.csv", header, inputs)
    return folder


def save(folder: Path, folds: Predictions, fake: SimpleNamespace) -> None:
    fake.write_predictions(folder / "predictions_folds.csv", folds)
    fake.write_predictions(folder / "predictions_cases.csv", average_folds(folds))
    fake.write_predictions(folder / "predictions.csv", pool_cases(average_folds(folds)))


def test_the_page_says_who_was_scored_by_what_and_what_it_lacked(applied: Path) -> None:
    found = texts(write_prediction(applied, naming=None))
    summary = found["summary"]
    assert "scored by the mean of 3 models trained on the cohort “another hospital”" in summary
    assert "patients of this cohort, the mean of 3 models told malignant from benign with an AUC of" in summary
    assert "No image has what the clinical branch needs: it was left out." in summary
    assert "What single images lack was left out: radiomics in 2 of 40." in summary
    assert "Clinical values are missing, and were filled in from training: age in 3 of 40." in summary
    assert "Nothing was fitted to these patients." in summary
    assert "of one kind it would be 6 %" in summary
    assert "none of the columns pain and edge of training" in summary
    assert "40 % of 40 images lie further from those of training, in what the network makes of them" in summary
    assert "the clinical branch 40 of 40" in found["without"]
    assert "pain the cohort has no such column" in found["without"]
    assert "age 3 of 40" in found["without"]
    assert "sex" not in found["without"]
    assert "Known of every image: sex." in found["applicability"]
    assert "image Fudan 30 80 % 50 %" in found["distances"]
    assert "radiomics all 40 70 % 10 %" in found["distances"]
    assert "was applied as trained" not in found["methods"]
    assert "The 3 models of a run on the cohort “another hospital”" in found["methods"]


def test_limitations_are_those_of_the_figures_and_of_the_application(applied: Path) -> None:
    found = texts(write_prediction(applied, naming=None))["limitations"]
    assert "had the clinical branch; this one had to do without it" in found
    assert "Many images are unlike those of training (in what the network makes of them)" in found
    assert "test patients are" in found


def test_the_mean_of_the_models_is_explained_in_every_patient(applied: Path) -> None:
    page = write_prediction(applied, naming=None)
    patients = texts(page)["patients"]
    assert "Mean over 3 models." in patients
    # 0, .1 and .2 of the three.
    assert "+0.100" in patients


def test_figures_are_drawn_and_those_of_training_are_not(applied: Path) -> None:
    write_prediction(applied, naming=None)
    drawn = {path.stem for path in (applied / "figures").glob("*.svg")}
    assert {"roc", "distribution", "distances", "shap"} <= drawn
    assert not {"gates", "features", "learning", "flow"} & drawn


def test_without_outcomes_nothing_is_judged(applied: Path, fake: SimpleNamespace) -> None:
    from fusion.report.run_folder import read_predictions

    folds = read_predictions(applied / "predictions_folds.csv")
    blank = Predictions(**{**vars(folds), "labels": (UNLABELED,) * len(folds.labels)})
    save(applied, blank, fake)
    metrics = json.loads((applied / "metrics.json").read_text())
    (applied / "metrics.json").write_text(json.dumps({"split_sha256": metrics["split_sha256"]}))
    page = write_prediction(applied, naming=None)
    found = texts(page)
    assert "20 patients, 20 of unknown outcome, scored by" in found["summary"]
    assert "nothing can be said of how good the model is" in found["summary"]
    assert not {"how-good", "where-it-fails", "use"} & found.keys()
    assert "unknown" in found["patients"]
    links = re.findall(r'href="#([\w-]+)"', page.read_text().partition("<nav")[2].partition("</nav>")[0])
    assert set(links) <= set(re.findall(r'id="([\w-]+)"', page.read_text()))


def test_every_link_of_the_contents_leads_somewhere(applied: Path) -> None:
    page = write_prediction(applied, naming=None).read_text()
    links = re.findall(r'href="#([\w-]+)"', page.partition("<nav")[2].partition("</nav>")[0])
    assert len(links) == 9
    assert set(links) <= set(re.findall(r'id="([\w-]+)"', page))


def test_ids_can_have_other_names(applied: Path) -> None:
    page = write_prediction(applied, naming=lambda kind, name: f"{kind}-{ord(name[-1])}{ord(name[1])}{ord(name[2])}")
    content = page.read_text()
    assert page == applied / "report.html"
    assert not re.search(r"\b0(0\d|1\d)(_\d)?\b", texts(page)["patients"])
    assert "patient-" in content


def test_without_distances_the_page_says_so(applied: Path) -> None:
    (applied / "distances.csv").unlink()
    content = APPLICABILITY | {"distances": {}, "n_seen": 2}
    (applied / "applicability.json").write_text(json.dumps(content))
    page = write_prediction(applied, naming=None)
    assert "the run kept nothing to measure it by" in texts(page)["applicability"]
    assert "2 patients were in the training of at least one of the models" in page.read_text()
    found = texts(page)
    assert "2 patients were in their training." in found["summary"]
    assert "but 2 of the patients here were in the training" in found["methods"]
    assert "othing was fitted" not in found["summary"] + found["methods"]


WHOLE = {
    "n_cases": 4,
    "columns": {"absent": [], "missing": {"age": 0}},
    "branches": {"image": 0, "clinical": 0},
    "distances": {},
    "n_seen": 0,
}


def test_where_nothing_is_lacking_that_is_said() -> None:
    assert applied_to(WHOLE, is_mean=False) == [
        "Nothing was lacking: every branch and every clinical value of training is there."
    ]
    assert doubts(WHOLE) == []


def test_what_is_lacking_is_scored_as_the_model_has_it() -> None:
    gone = WHOLE | {"branches": {"image": 4, "clinical": 1}}
    assert applied_to(gone, is_mean=True) == [
        "No image has what the image branch needs: it counts as its training mean.",
        "What single images lack counts as its training mean: clinical in 1 of 4.",
    ]
    assert "it was left out." in applied_to(gone, is_mean=False)[0]


@pytest.mark.parametrize(
    ("n", "share", "expected", "is_doubted"),
    [(100, 0.4, 0.05, True), (100, 0.2, 0.05, False), (3, 1 / 3, 0.05, False), (10, 0.5, 0.17, True)],
)
def test_images_are_unlike_where_it_is_many_and_more_than_chance(
    n: int, share: float, expected: float, is_doubted: bool
) -> None:
    found = {"n": n, "share_far": share, "expected_far": expected, "mean_percentile": 0.5, "centers": {}}
    assert bool(doubts(WHOLE | {"distances": {"image": found}})) == is_doubted


def test_a_browser_opens_it_without_a_request_or_an_error(applied: Path, behaves: Callable[[Path], float]) -> None:
    behaves(write_prediction(applied, naming=None))

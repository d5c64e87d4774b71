from pathlib import Path
from typing import Any

from fusion.runs.tables import read_predictions
from fusion.training.learning_curve import fit_learning_curve, learning_file


def test_each_share_is_fitted_on_fewer_patients_and_scored_on_the_same(data: Any, config: Any, tmp_path: Path) -> None:
    settings = config({"trainer.max_epochs": 1})
    titles = []

    def fit(fold: Any, tried: Any, title: str) -> Any:
        titles.append(title)
        return data.fit_and_score(fold, tried, title)

    fit_learning_curve(data.cohort, data.fold, shares=[0.5, 0.8], config=settings, fit=fit, out_dir=tmp_path)
    assert titles == ["50% of the training patients", "80% of the training patients"]
    sizes = []
    for share in (0.5, 0.8):
        rows = read_predictions(tmp_path / learning_file(share), model="fusion")
        parts = {
            part: {who for who, other in zip(rows.patient_ids, rows.parts, strict=True) if other == part}
            for part in set(rows.parts)
        }
        assert parts["test"] == data.fold.test
        assert parts["train"] < data.fold.train
        assert parts["validation"] < data.fold.validation
        sizes.append(len(parts["train"]))
    assert sizes[0] < sizes[1] < len(data.fold.train)

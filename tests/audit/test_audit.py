import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from fusion.audit.audit import audit_cohort
from fusion.audit.write import as_json
from fusion.errors import InputError

REPOSITORY = Path(__file__).parents[2]
DATA = REPOSITORY / "../shared/data"


def real(name: str) -> dict[str, Any]:
    root = DATA / name
    if not root.is_dir():
        pytest.skip(f"the real cohort {name} is not beside the project ({root})")
    folder = REPOSITORY / "conf/cohort"
    base, mine = (yaml.safe_load((folder / f"{file}.yaml").read_text()) for file in ("table", name))
    mine.pop("defaults")
    mine["reader_score"] = {**base["reader_score"], **mine["reader_score"]}
    return {**base, **mine, "root": str(root)}


def test_a_clean_cohort_has_no_findings(planted: Any) -> None:
    audit = planted.audit()
    assert audit.findings == ()
    assert audit.problems == ()
    assert audit.summaries[-1].patients_by_label == {"benign": 24, "malignant": 24}


def test_findings_are_ordered_by_severity_and_are_plain_content(planted: Any) -> None:
    planted.set("Age", lambda i, row: "" if i == 3 else row["Age"])
    planted.set("Echo", lambda i, row: row["Outcome"][0])
    planted.save_mask("c1", np.pad(np.ones((40, 60), dtype=bool), ((0, 50), (30, 30))))
    audit = planted.audit()
    assert [finding.severity for finding in audit.findings] == ["error", "warning", "note"]
    content = json.loads(json.dumps(as_json(audit), allow_nan=False))
    assert content["n_findings"] == {"error": 1, "warning": 1, "note": 1}
    assert [finding["kind"] for finding in content["findings"]] == [
        "column_tells_outcome",
        "mask_touches_border",
        "missing_values",
    ]


def test_what_cannot_be_read_is_an_error_and_the_rest_is_still_audited(planted: Any) -> None:
    planted.save_mask("c4", np.zeros((90, 120), dtype=bool))
    (planted.root / "c5.png").write_bytes(b"no image")
    planted.save_mask("c6", np.pad(np.ones((40, 60), dtype=bool), ((0, 50), (30, 30))))
    audit = planted.audit()
    assert [finding.kind for finding in audit.findings] == ["unusable_files", "mask_touches_border"]
    assert [problem.where.rpartition(" ")[2] for problem in audit.problems] == ["c4)", "c5)"]


def test_a_table_with_problems_is_not_audited(planted: Any) -> None:
    planted.set("Age", lambda i, row: "fifty" if i == 3 else row["Age"])
    with pytest.raises(InputError, match="came 'fifty'"):
        planted.audit()


def test_columns_that_are_not_used_are_only_noted(planted: Any) -> None:
    planted.set("Report", lambda i, row: f"type {row['Outcome'][0]}")
    planted.set("Remark", lambda i, row: f"free text {i}")
    finding = planted.only(planted.audit().findings, "unused_column_tells_outcome")
    assert finding.severity == "note"
    assert list(finding.figures) == ["Report"]
    planted.config["banned"] = ["Report"]
    assert planted.audit().findings == ()


def test_rows_left_out_and_files_that_nothing_names(planted: Any) -> None:
    planted.config["exclude"] = {"Kind": ["normal"]}
    planted.set("Kind", lambda i, row: "Normal" if i in (7, 9) else "lesion")
    planted.set("Further", lambda i, row: "c1_other1.png&c1_other2.png" if i == 1 else "")
    for name in ("c1_other1", "c1_other2", "orphan"):
        Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(planted.root / f"{name}.png")
    hidden = planted.root / ".thumbs"
    hidden.mkdir()
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(hidden / "c1.png")
    findings = planted.audit().findings
    assert [(finding.kind, finding.where, finding.figures["n"]) for finding in findings] == [
        ("excluded_rows", "Kind", 2),
        ("unused_files", "files", 1),
        ("unused_files", "Further", 2),
    ]
    assert findings[0].cases == ("c7", "c9")
    assert findings[2].cases == ("c1",)
    assert [row["file"] for row in findings[2].details] == ["c1_other1.png", "c1_other2.png"]


@pytest.mark.real_data
def test_breast_has_what_is_known_of_it_and_nothing_else(tmp_path: Path) -> None:
    audit = audit_cohort(real("breast"), cache_dir=tmp_path)
    found = {(finding.kind, finding.where): finding for finding in audit.findings}
    assert {where: finding.figures["n"] for (kind, where), finding in found.items() if kind == "missing_values"} == {
        "Age": 41,
        "Tissue_composition": 49,
        "Signs": 45,
        "Symptoms": 94,
    }
    assert found["excluded_rows", "Classification"].cases == ("45", "61", "209", "213")
    others = found["unused_files", "Mask_other_filename"]
    assert others.figures["n"] == 14
    assert others.cases == ("22", "36", "38", "85", "92", "140", "151")
    assert found["mask_touches_border", "masks"].cases == ("186",)
    assert len(found) == len(audit.findings) == 7
    assert audit.count("error") == 0


@pytest.mark.real_data
def test_busbra_has_calipers_text_and_shifts_and_no_duplicates(tmp_path: Path) -> None:
    audit = audit_cohort(real("busbra"), cache_dir=tmp_path)
    found = {(finding.kind, finding.where): finding for finding in audit.findings}
    assert sorted({kind for kind, _ in found}) == [
        "calipers_in_lesion",
        "center_with_few_patients",
        "mask_touches_border",
        "patients_with_several_images",
        "prevalence_differs_between_centers",
        "shift_between_centers",
        "text_in_image",
    ]
    assert len(found["mask_touches_border", "masks"].cases) == 6
    # Looked at: crosses on the contour, and images that were saved before anything was measured.
    marked = set(found["calipers_in_lesion", "images"].cases)
    assert {"bus_0025-r", "bus_0129-r", "bus_0535-r", "bus_0698-s"} <= marked
    assert not {"bus_0018-s", "bus_0044-l", "bus_0091-l", "bus_0858-r"} & marked
    assert audit.count("error") == 0

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from fusion.audit.write import write_audit


def test_the_page_is_one_file_with_a_thumbnail_of_each_finding(planted: Any, tmp_path: Path) -> None:
    planted.save("c2", planted.pixels("c1"))
    planted.save_mask("c3", np.pad(np.ones((40, 60), dtype=bool), ((0, 50), (30, 30))))
    planted.set("Hospital", lambda i, row: "<b>west" if i % 2 else row["Hospital"])
    audit = planted.audit()
    path = write_audit(audit, tmp_path / "out")
    page = path.read_text()
    assert path == tmp_path / "out/check.html"
    assert "<b>west" not in page
    assert len(re.findall('src="data:image/jpeg;base64,', page)) == 3
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    content = json.loads((tmp_path / "out/check.json").read_text())
    assert [finding["kind"] for finding in content["findings"]] == [finding.kind for finding in audit.findings]
    assert len(re.findall("data-kind=", page)) == len(audit.findings) == 2
    assert content["findings"][0]["details"][0]["cases"] == ["c1", "c2"]


def test_a_clean_cohort_has_a_page_that_says_so(planted: Any, tmp_path: Path) -> None:
    page = write_audit(planted.audit(), tmp_path).read_text()
    assert "Nothing was found." in page
    assert "0 errors" in page


def test_many_pictures_are_cut_and_all_are_listed(planted: Any, tmp_path: Path) -> None:
    for i in range(1, 48, 1):
        planted.save_mask(f"c{i}", np.pad(np.ones((40, 60), dtype=bool), ((0, 50), (30, 30))))
    planted.config["patient"] = None
    for row in list(planted.rows[1:]):
        planted.rows.append({**row, "ID": f"{row['ID']}b"})
        planted.save(
            f"{row['ID']}b", np.random.default_rng(int(row["ID"][1:])).integers(0, 99, (90, 120), dtype=np.uint8)
        )
        planted.save_mask(f"{row['ID']}b", np.pad(np.ones((40, 60), dtype=bool), ((0, 50), (30, 30))))
    audit = planted.audit()
    page = write_audit(audit, tmp_path).read_text()
    assert "60 of 94; check.json lists all." in page
    content = json.loads((tmp_path / "check.json").read_text())
    (border,) = [finding for finding in content["findings"] if finding["kind"] == "mask_touches_border"]
    assert len(border["cases"]) == 94

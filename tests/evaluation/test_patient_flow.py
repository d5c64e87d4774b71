import json

import numpy as np
import pytest

from fusion.cohorts.table import read_table
from fusion.evaluation.patient_flow import patient_flow
from fusion.records import FeatureTable, Fold
from fusion.storage import read_yaml

TABLE = """\
id,patient,center,label,class,image,mask,quality
1,a,East,benign,tumor,1.png,1.png,good
2,b,East,malignant,tumor,2.png,2.png,good
3,c,West,benign,tumor,3.png,,good
4,d,West,malignant,tumor,,,good
5,e,West,malignant,tumor,5.png,5.png,good
6,e,West,malignant,normal,6.png,6.png,good
7,f,West,benign,normal,7.png,7.png,bad
8,g,West,benign,tumor,8.png,8.png,bad
9,h,West,benign,tumor,9.png,9.png,good
"""


@pytest.fixture
def config(tmp_path, root):
    (tmp_path / "table.csv").write_text(TABLE)
    for number in range(1, 10):
        (tmp_path / f"{number}.png").touch()
    return read_yaml((root / "conf" / "cohort" / "table.yaml").read_text()) | {
        "name": "x",
        "root": str(tmp_path),
        "table": "table.csv",
        "key": "id",
        "patient": "patient",
        "center": "center",
        "image": "{image}",
        "mask": "{mask}",
        "label": {"column": "label", "names": ["benign", "malignant"]},
        "exclude": {"class": ["normal"], "quality": ["bad"]},
    }


def ids(names):
    return frozenset(names)


FOLD = Fold(number=0, seed=0, train=ids("ab"), validation=ids("c"), test=ids("de"))


def features(*case_ids):
    return FeatureTable(case_ids=case_ids, names=("f",), values=np.zeros((len(case_ids), 1)))


def test_every_row_of_the_table_is_accounted_for(config):
    cohort = read_table(config, require_labels=True)
    flow = patient_flow(cohort, [FOLD], features("1", "5", "9"), config=config)
    assert (flow["rows"], flow["cases"], flow["patients"]) == (9, 6, 6)
    assert flow["excluded"] == [
        # Row 7 is bad, too; patient e has another row.
        {"column": "class", "word": "normal", "rows": 2, "patients": 1},
        {"column": "quality", "word": "bad", "rows": 1, "patients": 1},
    ]
    assert flow["rows"] == flow["cases"] + sum(of["rows"] for of in flow["excluded"])
    assert flow["unused"] == {"benign": 1}
    assert sum(of["patients"] for of in flow["parts"]) + sum(flow["unused"].values()) == flow["patients"]
    assert {"fold": 0, "part": "test", "center": "West", "label": "malignant", "patients": 2} in flow["parts"]
    json.dumps(flow, allow_nan=False)


def test_who_was_kept_without_an_input_is_counted(config):
    cohort = read_table(config, require_labels=True)
    without = patient_flow(cohort, [FOLD], features("1", "5", "9"), config=config)["without"]
    assert without["image"] == {"cases": 1, "patients": 1}
    assert without["mask"] == {"cases": 2, "patients": 2}
    assert without["radiomics"] == {"cases": 1, "patients": 1}  # case 2 had all that was needed
    assert "clinical" not in without


def test_without_a_radiomics_branch_no_extraction_failed(config):
    cohort = read_table(config, require_labels=True)
    assert patient_flow(cohort, [FOLD], features(), config=config)["without"]["radiomics"] is None

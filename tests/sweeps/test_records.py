import csv
import json
from dataclasses import replace
from pathlib import Path

from fusion.sweeps.records import JobRecord, job_lock, read_record, read_records, write_record

FIRST = JobRecord(number=0, overrides=("l1=0", "fold=1"), folder="l1=0", fold="1", state="running")
SECOND = replace(FIRST, number=1, overrides=("l1=1",), folder="l1=1", state="failed", error='a "quoted", line')


def test_the_table_has_a_row_per_job_in_their_order_as_it_stands(tmp_path: Path) -> None:
    write_record(tmp_path, SECOND)
    write_record(tmp_path, FIRST)
    write_record(tmp_path, replace(FIRST, state="finished", inner_score=0.75, seconds=2.5, overhead=0.5))
    with (tmp_path / "sweep.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["overrides"] for row in rows] == ["l1=0 fold=1", "l1=1"]
    assert [row["state"] for row in rows] == ["finished", "failed"]
    assert (rows[0]["inner_score"], rows[0]["seconds"], rows[0]["folder"]) == ("0.75", "2.5", "l1=0")
    assert rows[1]["error"] == SECOND.error
    assert read_records(tmp_path)[1] == SECOND


def test_a_job_is_known_by_its_overrides_in_any_order(tmp_path: Path) -> None:
    write_record(tmp_path, FIRST)
    turned = replace(FIRST, overrides=("fold=1", "l1=0"))
    assert read_record(tmp_path, turned.key) == FIRST
    assert read_record(tmp_path, SECOND.key) is None


def test_a_file_that_is_being_written_is_no_record(tmp_path: Path) -> None:
    write_record(tmp_path, FIRST)
    (tmp_path / ".jobs" / ".half.json").write_text(json.dumps({})[:1])
    assert read_records(tmp_path) == [FIRST]


def test_a_job_has_one_holder(tmp_path: Path) -> None:
    with job_lock(tmp_path, "key", wait=False) as first:
        with job_lock(tmp_path, "key", wait=False) as second:
            assert (first, second) == (True, False)
        with job_lock(tmp_path, "other", wait=False) as other:
            assert other
    with job_lock(tmp_path, "key", wait=False) as again:
        assert again

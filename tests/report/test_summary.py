import yaml

from fusion.report.run_folder import read_run
from fusion.report.summary import of_whom


def test_the_patients_are_counted_by_label_and_center(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("Fudan", "Renji")), optional=False)
    run = read_run(run_dir)
    labels = dict(zip(run.patients.patient_ids, run.patients.labels, strict=True))
    n_benign = list(labels.values()).count("benign")
    said = of_whom(run)
    assert said.startswith(f"{len(labels)} patients of 2 centers (Fudan, Renji): ")
    assert f"{n_benign} benign" in said


def test_a_table_without_centers_is_not_one_center(tmp_path, fake):
    run_dir = fake.write_run(tmp_path / "run", fake.Simulation(40, centers=("Fudan",)), optional=False)
    assert " of 1 center (Fudan): " in of_whom(read_run(run_dir))
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    config["cohort"]["center"] = None
    (run_dir / "config.yaml").write_text(yaml.safe_dump(config))
    assert " patients, of centers that the table does not name: " in of_whom(read_run(run_dir))

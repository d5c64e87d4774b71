from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from fusion.audit.shift import shifts_between_centers


def test_brightness_that_differs_between_centers(planted: Any) -> None:
    for row in planted.rows[1::2]:
        planted.save(row["ID"], planted.pixels(row["ID"]) + 30)
    finding = planted.only(shifts_between_centers(*planted.measured()), "shift_between_centers")
    assert (finding.where, finding.severity) == ("mean brightness (0 to 255)", "warning")
    assert [(row["center"], row["n"]) for row in finding.details] == [("north", 24), ("south", 24)]
    assert finding.details[1]["median"] - finding.details[0]["median"] == pytest.approx(30, abs=1)
    # All of one center above all of the other: H = 12 / (n (n + 1)) sum(R^2 / n_i) - 3 (n + 1), by hand.
    ranks = rankdata(np.arange(48)).reshape(2, 24).sum(1)
    h = 12 / (48 * 49) * (ranks**2 / 24).sum() - 3 * 49
    assert finding.figures["epsilon_squared"] == pytest.approx(h / 47, rel=1e-6)


def test_images_of_other_size(planted: Any) -> None:
    for row in planted.rows[1::2]:
        planted.save(row["ID"], np.pad(planted.pixels(row["ID"]), ((0, 0), (0, 20)), mode="reflect"))
        mask = np.zeros((90, 140), dtype=bool)
        mask[30:60, 38:82] = True
        planted.save_mask(row["ID"], mask)
    places = {finding.where for finding in shifts_between_centers(*planted.measured())}
    assert "image width (pixels)" in places
    assert "image height (pixels)" not in places


def test_two_images_of_a_patient_count_once(planted: Any) -> None:
    planted.config["patient"] = "Patient"
    planted.set("Patient", lambda i, row: f"p{i // 8}{row['Hospital']}{row['Outcome']}")
    for row in planted.rows[1::2]:
        planted.save(row["ID"], planted.pixels(row["ID"]) + 30)
    (finding,) = shifts_between_centers(*planted.measured())
    of_patient: dict[str, list[float]] = defaultdict(list)
    for row in planted.rows[::2]:
        of_patient[row["Patient"]].append(planted.pixels(row["ID"]).mean())
    assert [row["n"] for row in finding.details] == [12, 12]
    assert finding.details[0]["median"] == pytest.approx(np.median([np.mean(two) for two in of_patient.values()]))

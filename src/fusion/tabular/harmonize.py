"""Take the centers' differences out of the radiomics features, fitted on the training part only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion.errors import FusionError, InputError, Problem
from fusion.records import Case, ClinicalColumn, Cohort, Fold
from fusion.tabular.clinical import ClinicalEncoder
from fusion.tabular.combat import estimate_combat

POLICIES = ("refuse", "reference", "none")
_AS_IT_IS = -1
_ADVICE = (
    "Mend conf/harmonization/combat.yaml or override it on the command line, e.g. harmonization.unseen=reference "
    "(a center that ComBat does not know is mapped like the reference center) or harmonization.unseen=none (it is "
    "left as it is); leave the centers out, choose another split, or train with harmonization=none."
)


@dataclass(frozen=True, kw_only=True)
class CombatHarmonizer:
    """ComBat of fitted centers, as plain numbers: applying it needs no other package and no other case.

    Every case (image) is a row of the fit, so a patient with several images weighs as many times in a center's mean and
    variance; a center's size (``min_patients``) is counted in patients.

    Attributes:
        centers: (B,) the centers that were fitted, sorted.
        reference: One of them.
        unseen: What becomes of a case of any other center. ``refuse``: an error. ``reference``: the case is mapped as
            the reference's cases are, which is right where its scanner shifts and stretches the features as the
            reference's does. ``none``: the case keeps its values and is read on the harmonized scale, that of the
            pooled training centers, which is right where its scanner is like their average.
        encoder: Of the covariates.
        means, scales: (F,); effects: (D, F); shifts, spreads: (B, F), as in ``CombatParameters``.
    """

    centers: tuple[str, ...]
    reference: str
    unseen: str
    encoder: ClinicalEncoder
    means: tuple[float, ...]
    scales: tuple[float, ...]
    effects: tuple[tuple[float, ...], ...]
    shifts: tuple[tuple[float, ...], ...]
    spreads: tuple[tuple[float, ...], ...]

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float64],
        cases: Sequence[Case],
        *,
        columns: Sequence[ClinicalColumn],
        harmonization: Mapping[str, Any],
        clip: float,
    ) -> Self:
        """Fit on cases of the training part.

        Args:
            values: (N, F) finite, no feature constant within every fitted center (``varies_within`` tells).
            cases: N of them.
            columns: The cohort's clinical columns, which covariates are chosen from; the outcome is none of them.
            harmonization: As in ``conf/harmonization/combat.yaml``.
            clip: Bound of the standardized covariates, in standard deviations.

        Raises:
            FusionError: For options, centers or covariates that ComBat cannot be fitted with.
        """
        problems = [*_option_problems(harmonization, columns), *_center_problems("training", cases, (), harmonization)]
        if problems:
            raise InputError("Harmonization", problems, _ADVICE)
        centers = fitted_centers(cases, harmonization)
        rows = [row for row, case in enumerate(cases) if case.center in centers]
        known = [cases[row] for row in rows]
        chosen = [column for column in columns if column.name in harmonization["covariates"]]
        encoder = ClinicalEncoder.fit(chosen, known, clip=clip)
        covariates = encoder.transform(known)[0].astype(np.float64)
        numbers = _numbers(known, centers)
        _refuse_confounded(covariates, numbers, encoder)
        fitted = estimate_combat(values[rows], numbers, covariates, parametric=harmonization["parametric"])
        return cls(
            centers=centers,
            reference=harmonization["reference"] or _largest(known),
            unseen=harmonization["unseen"],
            encoder=encoder,
            means=tuple(fitted.means.tolist()),
            scales=tuple(fitted.scales.tolist()),
            effects=tuple(map(tuple, fitted.effects.tolist())),
            shifts=tuple(map(tuple, fitted.shifts.tolist())),
            spreads=tuple(map(tuple, fitted.spreads.tolist())),
        )

    def apply(self, values: NDArray[np.float64], cases: Sequence[Case]) -> NDArray[np.float64]:
        """Harmonize: (N, F) in the features' units; NaN stays. A case's result depends on no other case.

        Raises:
            FusionError: For cases of a center that was not fitted, under ``refuse``.
        """
        unknown = sorted({case.center for case in cases} - {*self.centers})
        if unknown and self.unseen == "refuse":
            raise FusionError(
                f"harmonization: required cases of the centers that ComBat was fitted on ({', '.join(self.centers)}), "
                f"came center {', '.join(unknown)} under harmonization.unseen=refuse; leave these cases out, or train "
                "with harmonization.unseen=reference (they are mapped like the reference center's) or none (they keep "
                "their values)"
            )
        expected = np.broadcast_to(np.array(self.means), values.shape).copy()
        # Summed one by one: a matrix product may round differently with other rows beside.
        for column, effects in zip(self.encoder.transform(cases)[0].T.astype(np.float64), self.effects, strict=True):
            expected += column[:, None] * np.array(effects)
        number = {center: position for position, center in enumerate(self.centers)}
        other = number[self.reference] if self.unseen == "reference" else _AS_IT_IS
        rows = np.array([number.get(case.center, other) for case in cases], dtype=np.int64)
        scales, shifts, spreads = np.array(self.scales), np.array(self.shifts), np.array(self.spreads)
        harmonized = ((values - expected) / scales - shifts[rows]) / np.sqrt(spreads[rows]) * scales + expected
        return np.where(rows[:, None] == _AS_IT_IS, values, harmonized)

    def keep(self, features: Sequence[int] | NDArray[np.intp]) -> Self:
        """The same for some of the features, by position."""

        def pick(vector: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(vector[position] for position in features)

        return replace(
            self,
            means=pick(self.means),
            scales=pick(self.scales),
            effects=tuple(map(pick, self.effects)),
            shifts=tuple(map(pick, self.shifts)),
            spreads=tuple(map(pick, self.spreads)),
        )

    def state(self) -> dict[str, Any]:
        """Plain content for a checkpoint."""
        return {
            "centers": list(self.centers),
            "reference": self.reference,
            "unseen": self.unseen,
            "encoder": self.encoder.state(),
            "means": list(self.means),
            "scales": list(self.scales),
            **{name: [list(row) for row in getattr(self, name)] for name in ("effects", "shifts", "spreads")},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The harmonizer that gave ``state``."""
        vectors: dict[str, Any] = {name: tuple(state[name]) for name in ("centers", "means", "scales")}
        matrices: dict[str, Any] = {name: tuple(map(tuple, state[name])) for name in ("effects", "shifts", "spreads")}
        encoder = ClinicalEncoder.from_state(state["encoder"])
        return cls(**vectors, **matrices, reference=state["reference"], unseen=state["unseen"], encoder=encoder)


def check_harmonization(harmonization: Mapping[str, Any], cohort: Cohort, folds: Sequence[Fold]) -> None:
    """Refuse what would end a run later: it reads options and where patients come from, no feature and no outcome.

    Raises:
        InputError: With all that is wrong: options, covariates that are no clinical columns, and by fold too few
            centers of ``min_patients`` training patients, a reference that is none of them, and under ``refuse`` the
            other centers.
    """
    if harmonization["name"] == "none":
        return
    problems = _option_problems(harmonization, cohort.clinical_columns)
    if not problems:
        for fold in folds:
            train = [case for case in cohort.cases if case.patient_id in fold.train]
            others = [case for case in cohort.cases if case.patient_id in fold.validation | fold.test]
            problems += _center_problems(f"fold {fold.number}", train, others, harmonization)
    if problems:
        raise InputError("Harmonization", problems, _ADVICE)


def fitted_centers(cases: Sequence[Case], harmonization: Mapping[str, Any]) -> tuple[str, ...]:
    """The centers of enough patients, sorted. Cases of the others have no part in the fit and count as unseen."""
    n_patients = _patients_by_center(cases)
    return tuple(sorted(center for center, count in n_patients.items() if count >= harmonization["min_patients"]))


def fill_by_center(values: NDArray[np.float64], cases: Sequence[Case]) -> NDArray[np.float64]:
    """A missing value (NaN) becomes its center's median, or that of all cases where the center knows none."""
    medians = np.nanmedian(values, axis=0)
    filled = values.copy()
    for center in {case.center for case in cases}:
        rows = np.array([case.center == center for case in cases])
        known = ~np.isnan(values[rows]).all(axis=0)
        fills = medians.copy()
        fills[known] = np.nanmedian(values[rows][:, known], axis=0)
        filled[rows] = np.where(np.isnan(values[rows]), fills, values[rows])
    return filled


def varies_within(
    values: NDArray[np.float64], cases: Sequence[Case], harmonization: Mapping[str, Any]
) -> NDArray[np.bool_]:
    """(F,) whether a feature differs between cases of one fitted center. Else nothing is in it but the center."""
    varies = np.zeros(values.shape[1], dtype=bool)
    magnitude = np.abs(values).max(axis=0, initial=1e-300)
    for center in fitted_centers(cases, harmonization):
        rows = values[[case.center == center for case in cases]]
        varies |= rows.std(axis=0) > 1e-10 * magnitude
    return varies


def _patients_by_center(cases: Sequence[Case]) -> Counter[str]:
    return Counter(center for center, _ in sorted({(case.center, case.patient_id) for case in cases}))


def _largest(cases: Sequence[Case]) -> str:
    """By patients; of equals the first by name."""
    return _patients_by_center(cases).most_common(1)[0][0]


def _numbers(cases: Sequence[Case], centers: Sequence[str]) -> NDArray[np.int64]:
    return np.array([centers.index(case.center) for case in cases], dtype=np.int64)


def _option_problems(harmonization: Mapping[str, Any], columns: Sequence[ClinicalColumn]) -> list[Problem]:
    problems = []
    names = [column.name for column in columns]
    unknown = [name for name in harmonization["covariates"] if name not in names]
    if unknown:
        required = f"names of clinical columns ({', '.join(names) or 'the cohort has none'}); the outcome is none"
        problems.append(_problem("covariates", required, ", ".join(map(repr, unknown))))
    if harmonization["unseen"] not in POLICIES:
        problems.append(_problem("unseen", f"one of {', '.join(POLICIES)}", repr(harmonization["unseen"])))
    if harmonization["min_patients"] < 2:
        problems.append(_problem("min_patients", "2 or more: one has no variance", str(harmonization["min_patients"])))
    return problems


def _center_problems(
    where: str, train: Sequence[Case], others: Sequence[Case], harmonization: Mapping[str, Any]
) -> Iterator[Problem]:
    n_patients, fitted = _patients_by_center(train), fitted_centers(train, harmonization)
    came = ", ".join(f"{center}: {count}" for center, count in n_patients.items()) or "none"
    minimum = harmonization["min_patients"]
    if len(fitted) < 2:
        required = f"two or more centers of at least {minimum} training patients (harmonization.min_patients)"
        yield Problem(where=where, required=required, came=came)
    elif harmonization["reference"] not in (None, *fitted):
        required = f"harmonization.reference to be one of {', '.join(fitted)}, or null for the largest"
        yield Problem(where=where, required=required, came=repr(harmonization["reference"]))
    if harmonization["unseen"] == "refuse":
        required = f"at least {minimum} training patients of every center under harmonization.unseen=refuse"
        scored = _patients_by_center(others)
        for center in sorted({*n_patients, *scored} - {*fitted}):
            came = f"{n_patients[center]} training patients" + (f" and {scored[center]} others" if others else "")
            yield Problem(where=f"{where}, center {center}", required=required, came=came)


def _refuse_confounded(covariates: NDArray[np.float64], numbers: NDArray[np.int64], encoder: ClinicalEncoder) -> None:
    """What a center does and what a covariate does cannot be told apart where one follows from the other."""
    if not encoder.inputs:
        return
    averages = np.stack([covariates[numbers == number].mean(axis=0) for number in range(int(numbers.max()) + 1)])
    within, overall = covariates - averages[numbers], covariates - covariates.mean(axis=0)
    if np.linalg.matrix_rank(within) < np.linalg.matrix_rank(overall):
        raise FusionError(
            f"harmonization.covariates: required columns that vary within the centers, came "
            f"{', '.join(column.name for column in encoder.columns)}, of which the center is told in training; "
            "leave out the one that follows from the center"
        )


def _problem(key: str, required: str, came: str) -> Problem:
    return Problem(where=f"harmonization.{key}", required=required, came=came)

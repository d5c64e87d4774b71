from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion.cohorts.mapping import PathTemplate, read_mapping
from fusion.errors import InputError

TABLE_YAML = Path(__file__).parents[2] / "conf/cohort/table.yaml"


def config(yaml_text: str = "") -> dict[str, Any]:
    """The documented keys, those of a small cohort, and the given ones."""
    base = yaml.safe_load(TABLE_YAML.read_text())
    small = {
        "name": "small",
        "root": "data",
        "table": "cases.csv",
        "key": "ID",
        "image": "{ID}.png",
        "label": {"column": "Outcome", "names": ["benign", "malignant"]},
    }
    return {**base, **small, **(yaml.safe_load(yaml_text) or {})}


def complaints(yaml_text: str) -> list[str]:
    return [str(problem) for problem in read_mapping(config(yaml_text))[1]]


def test_a_mapping_of_every_kind_is_read() -> None:
    mapping, problems = read_mapping(
        config("""
        clinical:
          Age: {kind: number, unit: years}
          Shape: {kind: category}
          Grade: {kind: ordered, levels: [1, 2a]}
          Signs: {kind: set, separator: "&", empty: ["No"]}
          Halo: {kind: yes_no, yes: ["Yes", 1], no: ["no"]}
        missing: [Not Available]
        label: {column: Outcome, names: {benign: [B, 0], malignant: ["M"]}}
        """)
    )
    assert problems == []
    assert [(form.column.name, form.column.kind) for form in mapping.formats] == [
        ("Age", "number"),
        ("Shape", "category"),
        ("Grade", "ordered"),
        ("Signs", "set"),
        ("Halo", "yes_no"),
    ]
    assert mapping.formats[0].column.unit == "years"
    assert mapping.formats[2].column.levels == ("1", "2a")
    assert mapping.formats[3].empty == ("no",)
    assert mapping.formats[4].yes == ("yes", "1")
    assert mapping.missing == {"", "not available"}
    assert mapping.labels == {"benign": ("b", "0"), "malignant": ("m",)}


def test_a_column_of_any_kind_is_patient_data_unless_it_says_ultrasound() -> None:
    mapping, problems = read_mapping(
        config("""
        clinical:
          Age: {kind: number, unit: years}
          Pain: {kind: category, source: patient}
          Size: {kind: number, unit: mm, source: ultrasound}
          Shape: {kind: category, source: ultrasound}
          Grade: {kind: ordered, levels: [1, 2a], source: ultrasound}
          Margin: {kind: set, separator: "&", source: ultrasound}
          Halo: {kind: yes_no, yes: ["Yes"], no: ["no"], source: ultrasound}
        """)
    )
    assert problems == []
    sources = {form.column.name: form.column.source for form in mapping.formats}
    assert [name for name, source in sources.items() if source == "ultrasound"] == [
        "Size", "Shape", "Grade", "Margin", "Halo"
    ]  # fmt: skip
    assert (sources["Age"], sources["Pain"]) == ("patient", "patient")
    assert (mapping.formats[2].column.unit, mapping.formats[4].column.levels) == ("mm", ("1", "2a"))


def test_a_template_fills_in_columns_of_any_name_and_then_replaces() -> None:
    template = PathTemplate(template="Masks/{Case no. [x]}/{ID}.png", replacements={"bus_": "mask_"})
    assert template.columns == ("Case no. [x]", "ID")
    assert template.fill({"Case no. [x]": "bus_1", "ID": "bus_{ID}"}) == "Masks/mask_1/mask_{ID}.png"


def test_the_readers_score_is_banned_until_it_is_an_input() -> None:
    score = "reader_score: {column: BIRADS, levels: [3, 4a], as_input: %s}\nclinical: {Age: {kind: number}}"
    banned, _ = read_mapping(config(score % "false"))
    assert banned.banned == ("BIRADS",)
    assert [form.column.name for form in banned.formats] == ["Age"]
    used, problems = read_mapping(config(score % "true"))
    assert problems == []
    assert used.banned == ()
    assert used.formats[-1].column.name == "BIRADS"
    assert used.formats[-1].column.levels == ("3", "4a")
    assert used.formats[-1].column.source == "ultrasound"


@pytest.mark.parametrize(
    ("yaml_text", "complaint"),
    [
        (
            "clinial: {}",
            "cohort.clinial: required a known key, came an unknown key (closest: 'clinical')",
        ),
        (
            "clinical: {Age: {kind: nummer}}",
            "cohort.clinical.Age.kind: required one of number, category, ordered, set, yes_no, came 'nummer'",
        ),
        (
            "clinical: {Age: {kind: number, levels: [1, 2]}}",
            "cohort.clinical.Age.levels: required a known key, "
            "came an unknown key (available: 'kind', 'unit', 'source')",
        ),
        (
            "clinical: {Age: {kind: number, source: scan}}",
            "cohort.clinical.Age.source: required patient or ultrasound (when left out: patient), came 'scan'",
        ),
        (
            "clinical: {Grade: {kind: ordered, levels: [one]}}",
            "cohort.clinical.Grade.levels: required two or more different levels, from low to high, came ['one']",
        ),
        (
            "clinical: {Signs: {kind: set, separator: '('}}",
            "cohort.clinical.Signs.separator: required a regular expression "
            "(missing ), unterminated subpattern at position 0), came '('",
        ),
        (
            "clinical: {Halo: {kind: yes_no, yes: ['yes']}}",
            'cohort.clinical.Halo.no: required the words that mean no, in quotes, such as ["no"], came nothing',
        ),
        (
            "clinical: {Signs: {kind: set, separator: '&', empty: [no]}}",
            "cohort.clinical.Signs.empty: required a list of words (yes, no, on, off, true and false in quotes), "
            "came [False]",
        ),
        (
            "banned: Histology",
            "cohort.banned: required a list of words (yes, no, on, off, true and false in quotes), came 'Histology'",
        ),
        ("clinical: [Age]", "cohort.clinical: required a mapping of keys to values, came ['Age']"),
        ("join: folds.csv", "cohort.join: required a list of mappings, came 'folds.csv'"),
        ("mask_label: 0", "cohort.mask_label: required a whole number from 1, or null, came 0"),
        ("sheet: -1", "cohort.sheet: required a whole number from 0, or null, came -1"),
        ("mask_optional: 1", "cohort.mask_optional: required true or false, came 1"),
        (
            "{clinical: {Histology: {kind: category}}, banned: [Histology]}",
            "cohort.clinical: required columns that may be inputs, each once, "
            "came 'Histology: a banned column (cohort.banned, cohort.reader_score.as_input)'",
        ),
        (
            "{clinical: {BIRADS: {kind: category}}, reader_score: {column: BIRADS, levels: [1, 2], as_input: false}}",
            "cohort.clinical: required columns that may be inputs, each once, "
            "came 'BIRADS: a banned column (cohort.banned, cohort.reader_score.as_input)'",
        ),
        (
            "{clinical: {BIRADS: {kind: category}}, reader_score: {column: BIRADS, levels: [1, 2], as_input: true}}",
            "cohort.clinical: required columns that may be inputs, each once, came 'BIRADS: twice'",
        ),
        (
            "clinical: {Outcome: {kind: category}}",
            "cohort.clinical: required columns that may be inputs, each once, came 'Outcome: the label'",
        ),
        (
            "clinical: {ID: {kind: category}}",
            "cohort.clinical: required columns that may be inputs, each once, came 'ID: the key'",
        ),
        (
            "{clinical: {MRN: {kind: category}}, patient: MRN}",
            "cohort.clinical: required columns that may be inputs, each once, came 'MRN: the patient'",
        ),
    ],
)
def test_what_is_wrong_with_a_mapping_is_reported(yaml_text: str, complaint: str) -> None:
    assert complaints(yaml_text) == [complaint]


def test_a_refused_column_is_no_input() -> None:
    mapping, _ = read_mapping(config("{clinical: {Age: {kind: number}, Outcome: {kind: category}}}"))
    assert [form.column.name for form in mapping.formats] == ["Age"]


def test_a_key_that_the_mapping_lacks_is_reported() -> None:
    lacking = {key: value for key, value in config().items() if key != "banned"}
    assert [str(problem) for problem in read_mapping(lacking)[1]] == [
        "cohort.banned: required every key of conf/cohort/table.yaml (`defaults: [table, _self_]` brings them), "
        "came nothing"
    ]


@pytest.mark.parametrize(
    ("yaml_text", "message"),
    [
        ("root: ???", r"cohort\.root: required a text \(cohort\.root=\.\.\.\), came nothing"),
        ("key: null", r"cohort\.key: required a text \(cohort\.key=\.\.\.\), came nothing"),
        ("key: yes", r"cohort\.key: required a text \(yes, no, on, off, true and false in quotes\), came True"),
        ("label: {column: Outcome, names: [malignant]}", r"cohort\.label\.names: required two or more names"),
        ("label: {column: Outcome, names: {a: [x], b: [X]}}", r"cohort\.label\.names: required two or more names"),
        ("label: {column: Outcome, names: {a: [x], b: []}}", r"cohort\.label\.names: required two or more names"),
    ],
)
def test_without_a_mandatory_value_no_table_is_read(yaml_text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_mapping(config(yaml_text))

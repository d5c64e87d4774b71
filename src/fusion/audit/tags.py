"""DICOM tags that tell who the patient is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fusion.imaging.formats.dicom import is_dicom

# Of the tags that the standard's basic profile (DICOM PS3.15, table E.1-1) removes or replaces, those that name a
# person, a place or a date of birth. Study and series UIDs and dates of examination are left out: they identify only
# those who have the archive, and most studies keep them.
IDENTIFYING = (
    *(
        "PatientName",
        "PatientID",
        "OtherPatientIDs",
        "OtherPatientIDsSequence",
        "OtherPatientNames",
        "IssuerOfPatientID",
    ),
    *("PatientBirthDate", "PatientBirthTime", "PatientBirthName", "PatientMotherBirthName", "PatientAddress"),
    *("PatientTelephoneNumbers", "MilitaryRank", "MedicalRecordLocator", "AccessionNumber", "AdmissionID"),
    *("PatientComments", "AdditionalPatientHistory", "ResponsiblePerson", "ResponsibleOrganization"),
    *("ReferringPhysicianName", "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers"),
    *("PhysiciansOfRecord", "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "RequestingPhysician"),
    *("OperatorsName", "InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName"),
    "DeviceSerialNumber",
)
# What anonymizers write instead.
_DUMMIES = ("", "anon", "anonym", "anonymous", "anonymized", "anonymised", "deidentified", "none", "removed", "unknown")
_PSEUDONYMS = ("PatientName", "PatientID")


def identifying_tags(path: Path, *, known_as: frozenset[str]) -> tuple[str, ...]:
    """Keywords of the identifying tags that have a value; empty for a file that is no DICOM. Values are not returned.

    An anonymizer's dummy is no value, nor is a PatientName or PatientID that is the pseudonym of the table or that
    the file declares to be one (PatientIdentityRemoved). ``BurnedInAnnotation`` is listed where the file says YES.

    Args:
        path: Of the image.
        known_as: The patient's and the case's id in the table.
    """
    if not is_dicom(path):
        return ()
    from pydicom import dcmread

    wanted = [*IDENTIFYING, "PatientIdentityRemoved", "BurnedInAnnotation"]
    dataset = dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    is_removed = _text(dataset, "PatientIdentityRemoved").upper() == "YES"
    allowed = {name.casefold() for name in known_as}
    found = [
        keyword
        for keyword in IDENTIFYING
        if not _is_dummy(text := _text(dataset, keyword))
        and not (keyword in _PSEUDONYMS and (is_removed or text.casefold() in allowed))
    ]
    if _text(dataset, "BurnedInAnnotation").upper() == "YES":
        found.append("BurnedInAnnotation")
    return tuple(found)


def _text(dataset: Any, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().strip("^")


def _is_dummy(text: str) -> bool:
    letters = text.casefold()
    return letters in _DUMMIES or not letters.strip("x0-_^ ")

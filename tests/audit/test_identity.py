from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fusion.audit.identity import identifying_dicom
from fusion.audit.tags import identifying_tags


def save_dicom(path: Path, pixels: np.ndarray, **tags: str) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PatientName": "Doe^Jane", "PatientBirthDate": "19600101"}, ("PatientName", "PatientBirthDate")),
        ({"PatientName": "Anonymous", "PatientID": "", "PatientComments": "xxxx"}, ()),
        ({"PatientName": "P1", "PatientID": "c1"}, ()),
        ({"PatientName": "X7", "PatientID": "X7", "PatientIdentityRemoved": "YES"}, ()),
        ({"PatientIdentityRemoved": "YES", "InstitutionName": "General Hospital"}, ("InstitutionName",)),
        ({"BurnedInAnnotation": "YES"}, ("BurnedInAnnotation",)),
        ({"BurnedInAnnotation": "NO", "Manufacturer": "GE"}, ()),
    ],
)
def test_tags_with_a_value(tags: dict[str, str], expected: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "image"
    save_dicom(path, np.zeros((8, 8), dtype=np.uint8), **tags)
    assert identifying_tags(path, known_as=frozenset({"p1", "C1"})) == expected


def test_a_picture_has_no_tags(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20), dtype=np.uint8)).save(tmp_path / "image.png")
    assert identifying_tags(tmp_path / "image.png", known_as=frozenset()) == ()


def test_the_finding_lists_tags_by_case_and_never_their_values(planted: Any) -> None:
    for case_id, tags in (("c3", {"PatientName": "Doe^Jane"}), ("c4", {"PatientName": "Roe", "StationName": "US1"})):
        # The format is known by content.
        save_dicom(planted.root / f"{case_id}.png", planted.pixels(case_id), **tags)
    finding = planted.only(identifying_dicom(*planted.measured()), "identifying_dicom_tags")
    assert finding.figures["n_by_tag"] == {"PatientName": 2, "StationName": 1}
    assert finding.details[1] == {"case": "c4", "tags": ["PatientName", "StationName"]}
    assert "Roe" not in str(finding.as_json())

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, UltrasoundImageStorage, generate_uid

from fusion.errors import InputError
from fusion.imaging.formats.dicom import is_dicom, read_dicom
from fusion.imaging.read import read_pixels

GRAY = np.array([[0, 10, 20, 30], [100, 150, 200, 255]], dtype=np.uint8)
RGB = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [90, 90, 90]]], dtype=np.uint8)


def write(path: Path, pixels: bytes, shape: tuple[int, int], photometric: str, **changes: Any) -> Path:
    """An ultrasound file of 8-bit data unless ``changes`` say otherwise."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UltrasoundImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = changes.pop("transfer_syntax", ExplicitVRLittleEndian)
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = shape
    dataset.PhotometricInterpretation = photometric
    color = photometric in {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420"}
    dataset.SamplesPerPixel = 3 if color else 1
    if color:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.PixelRepresentation = 0
    for name, value in changes.items():
        setattr(dataset, name, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"
    dataset.save_as(path, enforce_file_format=True)
    return path


def ybr(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """PS3.3 C.7.6.3.1.2, from its own equations."""
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    luma = 0.2990 * red + 0.5870 * green + 0.1140 * blue
    blueness = -0.1687 * red - 0.3313 * green + 0.5000 * blue + 128
    redness = 0.5000 * red - 0.4187 * green - 0.0813 * blue + 128
    stacked: NDArray[np.float64] = np.rint(np.stack([luma, blueness, redness], -1)).clip(0, 255)
    return stacked.astype(np.uint8)


def test_monochrome2_comes_as_stored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", GRAY.tobytes(), (2, 4), "MONOCHROME2")
    np.testing.assert_array_equal(read_pixels(path, frame=None), GRAY)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", GRAY.tobytes(), (2, 4), "MONOCHROME1")
    np.testing.assert_array_equal(read_pixels(path, frame=None), 255 - GRAY)


def test_eight_bits_stored_in_sixteen_keep_their_values(tmp_path: Path) -> None:
    wide = GRAY.astype("<u2") // 2
    path = write(tmp_path / "a.dcm", wide.tobytes(), (2, 4), "MONOCHROME2", BitsAllocated=16, BitsStored=8)
    np.testing.assert_array_equal(read_pixels(path, frame=None), GRAY // 2)


def test_twelve_bits_are_stretched_and_inverted(tmp_path: Path) -> None:
    deep = np.array([[100, 1100], [2100, 4095]], dtype="<u2")
    path = write(tmp_path / "a.dcm", deep.tobytes(), (2, 2), "MONOCHROME1", BitsAllocated=16, BitsStored=12)
    expected = 255 - (deep - 100.0) / 3995 * 255
    np.testing.assert_allclose(read_pixels(path, frame=None), expected, rtol=0, atol=1e-4)


def test_signed_data_are_stretched(tmp_path: Path) -> None:
    signed = np.array([[-100, 0], [50, 100]], dtype=np.int8)
    path = write(tmp_path / "a.dcm", signed.tobytes(), (2, 2), "MONOCHROME2", PixelRepresentation=1)
    np.testing.assert_allclose(read_pixels(path, frame=None), [[0, 127.5], [191.25, 255]])


@pytest.mark.parametrize("planar", [0, 1])
def test_rgb_becomes_luminance(tmp_path: Path, planar: int) -> None:
    pixels = np.moveaxis(RGB, -1, 0).tobytes() if planar else RGB.tobytes()
    path = write(tmp_path / "a.dcm", pixels, (2, 2), "RGB", PlanarConfiguration=planar)
    # 0.299, 0.587 and 0.114 of 255, rounded.
    np.testing.assert_array_equal(read_pixels(path, frame=None), [[76, 150], [29, 90]])


def test_ybr_full_becomes_luminance(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", ybr(RGB).tobytes(), (2, 2), "YBR_FULL")
    np.testing.assert_allclose(read_pixels(path, frame=None), [[76, 150], [29, 90]], atol=1)


def test_ybr_full_422_becomes_luminance(tmp_path: Path) -> None:
    # Two pixels share their chroma (PS3.3 C.7.6.3.1.2): Y1 Y2 Cb Cr.
    rgb = np.repeat(RGB, 2, axis=1)
    luma, blueness, redness = np.moveaxis(ybr(rgb), -1, 0)
    stored = np.stack([luma[:, ::2], luma[:, 1::2], blueness[:, ::2], redness[:, ::2]], -1)
    path = write(tmp_path / "a.dcm", stored.tobytes(), (2, 4), "YBR_FULL_422")
    np.testing.assert_allclose(read_pixels(path, frame=None), [[76, 76, 150, 150], [29, 29, 90, 90]], atol=1)


def test_jpeg_frames_are_decoded(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(16), np.arange(24) * 5).astype(np.uint8)
    image = Image.fromarray(np.stack([smooth, smooth // 2, 255 - smooth], -1))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    pixels = encapsulate([buffer.getvalue()])
    path = write(tmp_path / "a.dcm", pixels, (16, 24), "YBR_FULL_422", transfer_syntax=JPEGBaseline8Bit)
    np.testing.assert_allclose(read_pixels(path, frame=None), np.asarray(image.convert("L")), atol=4)


def palette(values: list[int], bits: int) -> dict[str, Any]:
    table = np.array(values, dtype=f"<u{bits // 8}").tobytes()
    colors = ("Red", "Green", "Blue")
    descriptors = {f"{color}PaletteColorLookupTableDescriptor": [len(values), 0, bits] for color in colors}
    return descriptors | {f"{color}PaletteColorLookupTableData": table for color in colors}


@pytest.mark.parametrize(
    ("entries", "bits"),
    [([0, 70, 140, 255], 8), ([0, 70 << 8, 140 << 8, 255 << 8], 16), ([0, 70, 140, 255], 16)],
    ids=["8-bit", "16-bit", "8-bit values declared as 16-bit"],
)
def test_palette_color_is_looked_up(tmp_path: Path, entries: list[int], bits: int) -> None:
    indices = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    path = write(tmp_path / "a.dcm", indices.tobytes(), (2, 2), "PALETTE COLOR", **palette(entries, bits))
    np.testing.assert_array_equal(read_pixels(path, frame=None), [[0, 70], [140, 255]])


def test_the_chosen_frame(tmp_path: Path) -> None:
    frames = np.stack([GRAY, GRAY // 2, GRAY // 4])
    path = write(tmp_path / "a.dcm", frames.tobytes(), (2, 4), "MONOCHROME2", NumberOfFrames=3)
    np.testing.assert_array_equal(read_pixels(path, frame=1), GRAY // 2)
    with pytest.raises(InputError) as caught:
        read_pixels(path, frame=None)
    assert "a.dcm: required the table to choose one of its 3 frames, counted from 0, came no frame" in str(caught.value)


def test_an_unknown_photometric_interpretation_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", RGB.tobytes(), (2, 2), "YBR_PARTIAL_420")
    with pytest.raises(InputError, match=r"photometric interpretation of .*'MONOCHROME1'.*, came 'YBR_PARTIAL_420'"):
        read_dicom(path, lambda n_frames: 0)


def test_dicom_is_known_by_content(tmp_path: Path) -> None:
    path = write(tmp_path / "IM_0001", GRAY.tobytes(), (2, 4), "MONOCHROME2")
    assert is_dicom(path)
    np.testing.assert_array_equal(read_pixels(path, frame=None), GRAY)
    Image.fromarray(GRAY).save(tmp_path / "a.png")
    assert not is_dicom(tmp_path / "a.png")


def test_a_truncated_file_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dcm", bytes(3000), (50, 60), "MONOCHROME2")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match=r"a\.dcm: required a readable PNG, .* image, came ValueError: "):
        read_pixels(path, frame=None)

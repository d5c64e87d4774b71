import inspect
from importlib.util import find_spec

import pytest

from fusion.explanation.feature_meanings import FAMILIES, MEANINGS
from fusion.explanation.feature_names import FeatureName, describe
from fusion.radiomics.settings import image_names

# PyRadiomics' filters at their widest: every name that image_names knows of.
WIDEST = {
    "imageType": {
        **{name: {} for name in ("Original", "Square", "SquareRoot", "Logarithm", "Exponential", "Gradient", "LBP2D")},
        "Wavelet": {"level": 2},
        "LoG": {"sigma": [0.5, 1.0, 3, 12.25]},
        "LBP3D": {"lbp3DLevels": 3},
    },
    "setting": {"force2D": False},
}


def test_the_feature_of_xia_et_al() -> None:
    assert describe("wavelet-LLH_glcm_SumEntropy") == FeatureName(
        filter="wavelet low-low-high",
        family="gray-level co-occurrence",
        feature="sum entropy",
        measures="how unpredictable the sums of neighboring gray levels are",
    )
    assert str(describe("wavelet-LH_glcm_Idmn")) == (
        "inverse difference moment, normalized (gray-level co-occurrence, wavelet low-high)"
    )


@pytest.mark.parametrize(
    ("name", "filtered"),
    [
        ("original_firstorder_Mean", "original image"),
        ("log-sigma-1-0-mm-3D_firstorder_Mean", "Laplacian of Gaussian, sigma 1 px"),
        ("log-sigma-0-5-mm-3D_firstorder_Mean", "Laplacian of Gaussian, sigma 0.5 px"),
        ("wavelet2-HL_firstorder_Mean", "wavelet level 2, high-low"),
        ("wavelet-H_firstorder_Mean", "wavelet high"),
        ("lbp-3D-m2_firstorder_Mean", "local binary pattern in 3D, level 2"),
        ("squareroot_firstorder_Mean", "square root of the gray values"),
        ("original_shape2D_Elongation", "outline"),
    ],
)
def test_the_filter_in_words(name: str, filtered: str) -> None:
    found = describe(name)
    assert found is not None
    assert found.filter == filtered


@pytest.mark.parametrize(
    ("name", "feature"),
    [
        ("original_firstorder_10Percentile", "10th percentile"),
        ("original_glrlm_RunLengthNonUniformityNormalized", "run length non-uniformity normalized"),
        ("original_glcm_MCC", "maximal correlation coefficient"),
        ("original_shape_Maximum2DDiameterSlice", "largest diameter within a slice"),
    ],
)
def test_the_feature_in_words(name: str, feature: str) -> None:
    found = describe(name)
    assert found is not None
    assert found.feature == feature


@pytest.mark.parametrize(
    "name",
    [
        *("age", "radiomics score", "deep 3", "", "feature_1_of", "original_shape", "_glcm_Id"),
        *("original_glcm_Unheard", "original_firstorder_SumEntropy", "magic_glcm_Contrast"),
        *("wavelet-XL_glcm_Id", "log-sigma-1.0-mm-3D_glcm_Id"),
    ],
)
def test_a_name_that_is_not_pyradiomics_is_not_described(name: str) -> None:
    assert describe(name) is None


@pytest.mark.skipif(find_spec("radiomics") is None, reason="PyRadiomics is not installed (Python 3.11 only)")
def test_no_name_that_pyradiomics_can_give_is_unknown() -> None:
    from radiomics import getFeatureClasses, getImageTypes

    classes = getFeatureClasses()
    given = {
        (family, feature)
        for family, of_family in classes.items()
        for feature in of_family.getFeatureNames()
        # Some are only there to say that they are gone.
        if "raise DeprecationWarning" not in inspect.getsource(getattr(of_family, f"get{feature}FeatureValue"))
    }
    assert given == {(family, feature) for family, of_family in MEANINGS.items() for feature in of_family}
    assert {*classes} == {*FAMILIES}
    assert {*getImageTypes()} == {*WIDEST["imageType"]}
    for mode in ("2d", "single_slice_3d"):
        names = [f"{image}_{family}_{feature}" for image in image_names(WIDEST, mode=mode) for family, feature in given]
        assert [name for name in names if describe(name) is None] == []


def test_no_two_features_of_a_family_read_the_same() -> None:
    for family, meanings in MEANINGS.items():
        assert len({*meanings.values()}) == len(meanings), family
        described = [describe(f"original_{family}_{feature}") for feature in meanings]
        assert len({found.feature for found in described if found}) == len(meanings)

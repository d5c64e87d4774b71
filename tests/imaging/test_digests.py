import hashlib
from collections.abc import Callable

import pytest

from fusion.errors import InputError
from fusion.imaging.digests import file_digests
from fusion.records import Case


def test_every_file_once_in_the_order_of_the_cases(make_case: Callable[..., Case]) -> None:
    first, second = make_case("1", seed=1), make_case("2", seed=2, mask=None)
    third = make_case("3", image=first.image)
    digests = file_digests([first, second, third], n_jobs=2)
    assert list(digests) == [first.image, first.mask, second.image, third.mask]
    assert first.image is not None
    assert digests[first.image] == hashlib.sha256(first.image.read_bytes()).hexdigest()


def test_all_absent_files_are_listed(make_case: Callable[..., Case]) -> None:
    cases = [make_case(str(number)) for number in range(3)]
    for path in (cases[0].image, cases[2].mask):
        assert path is not None
        path.unlink()
    with pytest.raises(InputError) as caught:
        file_digests(cases, n_jobs=2)
    assert [str(problem) for problem in caught.value.problems] == [
        f"{cases[0].image} (case 0): required a readable file, came no such file",
        f"{cases[2].mask} (case 2): required a readable file, came no such file",
    ]


def test_no_cases() -> None:
    assert file_digests([], n_jobs=1) == {}

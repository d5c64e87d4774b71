"""What the tests of sweeps wait with."""

import time
from collections.abc import Callable

import pytest


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits until something is so. A minute is far more than any of these takes."""

    def wait(there: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not there():
            assert time.monotonic() < end, "it never came"
            time.sleep(0.02)

    return wait

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def hears_ctrl_c() -> Iterator[None]:
    """What a shell starts in its background is deaf to Ctrl-C, and so is all that it starts itself, Ray included."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)

"""What holds for every test of the tools."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_recordings_of_the_environment() -> Iterator[None]:
    """A test brings its own recordings: $STAPES_DATA is for hil_tests, and the default of `--data`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("STAPES_DATA", raising=False)
        yield

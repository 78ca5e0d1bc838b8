"""What system tests share: one simulator for each module, so that its evening is young."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import simulator


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The ready file of a running simulator."""
    with simulator(tmp_path_factory.mktemp("world")) as file:
        yield file

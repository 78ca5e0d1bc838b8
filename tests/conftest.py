"""What every test may lean on."""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recorded data that lies beside a developer's checkout; a clone does not carry it."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("recorded data is not beside this checkout (../shared/data)")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout itself."""
    return ROOT


@pytest.fixture(autouse=True)
def _fresh_logging() -> None:
    """A command that ran in this process has set up logging; no test may depend on which ran before it."""
    structlog.reset_defaults()

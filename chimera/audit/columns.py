"""Columns of a Parquet file as Python lists, or a message that says what the file lacks. Needs the extra `audit`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chimera.errors import ConfigError


def read_columns(path: Path, names: Sequence[str]) -> list[list[Any]]:
    """The named columns, in that order. ConfigError where pyarrow is not installed, or the file is none or lacks one of them.

    What a cell holds depends on the file, hence Any; a missing value is None.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConfigError("scoring recorded data needs pyarrow: pip install 'chimera-trader[audit]'") from None
    try:
        held = set(pyarrow.parquet.read_schema(path).names)
        missing = [name for name in names if name not in held]
        if missing:
            raise ConfigError(f"{path}: it has no column {', '.join(missing)}")
        table = pyarrow.parquet.read_table(path, columns=list(names))
    except (OSError, pyarrow.ArrowException) as error:
        raise ConfigError(f"{path}: it cannot be read as Parquet: {error}") from error
    return [table.column(name).to_pylist() for name in names]

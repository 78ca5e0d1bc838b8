"""The guard's rig, for these tests."""

from guard_rig import clock, exchange, key, key_file, line, trader

__all__ = ["clock", "exchange", "key", "key_file", "line", "trader"]

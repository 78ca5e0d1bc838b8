"""The guard's rig, for the programs that are tested here."""

from guard_rig import clock, exchange, key, key_file, trader

__all__ = ["clock", "exchange", "key", "key_file", "trader"]

"""Whose fault it is, as a type.

`LocalError` is our bug: it crashes the actor that met it, and supervision starts a fresh one. `VenueError` and `FeedError` are the
outside failing: they change an actor's state (`stale`, `reconciling`) and are never a crash. `ConfigError` and `CredentialError` end a
program before it starts, with exit codes 4 and 5.
"""

from __future__ import annotations


class ChimeraError(Exception):
    """Base of every error Chimera raises on purpose. The message says what happened, where, and what to do."""


class LocalError(ChimeraError):
    """Our bug: a state that the code promised could not arise."""


class VenueError(ChimeraError):
    """The exchange answered with an error, answered nonsense, or did not answer."""


class FeedError(ChimeraError):
    """A Stream A source failed: unreachable, an HTTP error, or a document that does not mean what it should."""


class ConfigError(ChimeraError):
    """Settings that cannot be used. `faults` holds one line per fault, each with its path."""

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class CredentialError(ChimeraError):
    """A key that is missing, unreadable, readable by others, or of a kind Kalshi does not take."""

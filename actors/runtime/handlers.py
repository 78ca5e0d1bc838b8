"""How a message finds its handler: the `@handles` mark, the table a class makes of its marks, and what an asker is told of a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pykka

from actors.runtime.errors import ActorCrashed, Refusal, Shutdown

F = TypeVar("F", bound=Callable[..., object])


class Unhandled(Refusal):
    """The actor has no handler for this type of message."""


def handles(*kinds: type) -> Callable[[F], F]:
    """Mark a method, sync or async, as the handler of these message types and of subclasses that have no handler of their own."""

    def mark(method: F) -> F:
        method.__handles__ = kinds  # type: ignore[attr-defined]  # read back by handlers_of
        return method

    return mark


def handlers_of(cls: type) -> dict[type, Callable[[Any, Any], object]]:
    """The handler of each message type, the most derived class's first. TypeError where one class marks two for the same type."""
    names: dict[type, str] = {}
    for owner in reversed(cls.__mro__):
        own: dict[type, str] = {}
        for name, attribute in vars(owner).items():
            for kind in getattr(attribute, "__handles__", ()):
                if kind in own:
                    raise TypeError(f"{owner.__name__}: {own[kind]} and {name} both handle {kind.__name__}")
                own[kind] = name
        names.update(own)
    return {kind: getattr(cls, name) for kind, name in names.items()}


def verdict(name: str, message: object, error: BaseException) -> BaseException:
    """What the asker is told when a handler raised `error`."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, Exception) and not isinstance(error, Shutdown):
        crashed = ActorCrashed(f"{name} crashed handling {type(message).__name__}: {error!r}")
        crashed.__cause__ = error
        return crashed
    return pykka.ActorDeadError(f"{name} ended while handling {type(message).__name__}")

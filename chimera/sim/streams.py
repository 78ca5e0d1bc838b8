"""Randomness by name: everyone who draws numbers has a stream of their own, so that one more draw here changes nothing there."""

from __future__ import annotations

import random


def stream(seed: int, *names: object) -> random.Random:
    """The random stream of this name under this seed; the same every time it is asked for."""
    return random.Random("/".join(map(str, (seed, *names))))  # noqa: S311 - a simulation, not a secret

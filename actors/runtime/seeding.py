"""Trio's task scheduling, made repeatable: the one place that touches its private names.

Trio shuffles each batch of runnable tasks. With its deterministic flag on (the one pytest-trio sets for Hypothesis) the shuffle depends
only on the state of one generator, so seeding that makes a run's interleaving a function of the seed, as long as all time is virtual and no
thread takes part.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

from trio._core import _run

_FLAG = "_ALLOW_DETERMINISTIC_SCHEDULING"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Any `trio.run` within this block is scheduled by `seed`. Not for two threads at a time. Raises RuntimeError if trio has changed."""
    generator: object = getattr(_run, "_r", None)
    if not isinstance(generator, random.Random) or not hasattr(_run, _FLAG):
        raise RuntimeError("this trio schedules in a way that cannot be seeded; Chimera is written for trio 0.35")
    before, allowed = generator.getstate(), getattr(_run, _FLAG)
    generator.seed(seed)
    setattr(_run, _FLAG, True)
    try:
        yield
    finally:
        setattr(_run, _FLAG, allowed)
        generator.setstate(before)

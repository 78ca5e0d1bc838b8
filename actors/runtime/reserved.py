"""No subclass of the runtime's actors may take a name of the runtime's by accident.

Python lets a subclass replace any method and any attribute of its base without a word; an actor whose own `_work` or `self._task` did so
would fail far from the cause. So every class checks its names when it is made: private names of the runtime and of pykka, and public ones
that are for calling, are refused; handlers, and the hooks that are documented for overriding, are free.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import cache
from types import FunctionType

PACKAGE = __name__.rpartition(".")[0]
BASES = (PACKAGE, "pykka")
OPEN = frozenset({
    "on_start", "on_stop", "on_receive", "on_failure", "state_summary", "use_daemon_thread",
    "LANE_POLICY", "SUPERVISES", "ORPHANED", "TRAP_EXITS", "SURVIVES_ASKS", "STASH_BOUND",
})  # fmt: skip
"""What a subclass is meant to override."""
GENERATED = frozenset({"_abc_impl"})


def check_names(cls: type) -> None:
    """TypeError where `cls`, or a mixin of it, defines or assigns a name that belongs to the runtime."""
    if _of_runtime(cls):
        return
    bases = [base for base in cls.__mro__ if _of_runtime(base)]
    owners = [owner for owner in cls.__mro__ if owner is cls or not issubclass(owner, bases[-1])]  # other bases were checked when made
    methods = {name: base for base in reversed(bases) for name in _methods(base)}
    state = {name: base for base in reversed(bases) for name in _state(base)}
    for owner in owners:
        for name in vars(owner).keys() - GENERATED:
            if name in methods or name in state:
                base = methods.get(name) or state[name]
                raise TypeError(f"{cls.__name__} defines {name!r}, which {base.__name__} uses for itself: give it another name")
        for function, name in _assigned(owner, state.keys() | methods.keys()):
            base = state.get(name) or methods[name]
            raise TypeError(f"{cls.__name__}.{function} assigns self.{name}, which {base.__name__} uses for itself: give it another name")


def _of_runtime(cls: type) -> bool:
    return any(cls.__module__ == name or cls.__module__.startswith(f"{name}.") for name in BASES)


@cache
def _methods(base: type) -> frozenset[str]:
    return frozenset(name for name in vars(base) if not _dunder(name) and name not in OPEN and not hasattr(vars(base)[name], "__handles__"))


@cache
def _state(base: type) -> frozenset[str]:
    """The attributes that the constructor of a runtime class gives its instances."""
    init = vars(base).get("__init__")
    return frozenset(_stores(init)) if isinstance(init, FunctionType) else frozenset()


def _assigned(owner: type, names: frozenset[str] | set[str]) -> Iterator[tuple[str, str]]:
    """(method, name) of each of `names` that a method of `owner` assigns to its own instance."""
    for method, attribute in vars(owner).items():
        if isinstance(attribute, FunctionType) and not names.isdisjoint(attribute.__code__.co_names):
            yield from ((method, name) for name in _stores(attribute) if name in names)


def _stores(function: FunctionType) -> Iterator[str]:
    """The attributes that `function` assigns on its first argument."""
    code = function.__code__
    if not code.co_argcount:
        return
    own, before = code.co_varnames[0], None
    for step in dis.get_instructions(code):
        if step.opname == "STORE_ATTR" and before is not None and before.opname.startswith("LOAD_FAST"):
            loaded = before.argval[-1] if isinstance(before.argval, tuple) else before.argval
            if loaded == own:
                yield str(step.argval)
        before = step


def _dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")

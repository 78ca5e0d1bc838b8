"""What an actor puts aside to handle later, in the order it came. Bounded; it belongs to one incarnation, and loses nothing at its end."""

from __future__ import annotations

from pykka._envelope import Envelope

from actors.runtime.errors import StashFull
from actors.runtime.mailbox import LaneMailbox, Letter

STASH_BOUND = 1_000


class Stash:
    """At most `bound` letters of the actor called `name`."""

    __slots__ = ("_bound", "_letters", "_name")

    def __init__(self, name: str, bound: int) -> None:
        self._name = name
        self._bound = bound
        self._letters: list[Letter] = []

    def __len__(self) -> int:
        return len(self._letters)

    def add(self, letter: Envelope[object]) -> None:
        """Put a letter aside with its asker, who is answered when it is handled. Raises StashFull."""
        if len(self._letters) >= self._bound:
            raise StashFull(f"{self._name} has put {self._bound} messages aside already; {type(letter.message).__name__} is one too many")
        kept = Letter(letter.message, letter.reply_to)
        kept.put_ns = getattr(letter, "put_ns", kept.put_ns)
        letter.reply_to = None
        self._letters.append(kept)

    def drop(self, message: object) -> None:
        """Forget the letter put aside last if it carries this very message."""
        if self._letters and self._letters[-1].message is message:
            self._letters.pop()

    def give_back(self, box: LaneMailbox) -> int:
        """Return all letters to the front of their lanes, in order; how many."""
        letters, self._letters = self._letters, []
        box.put_back(letters)
        return len(letters)

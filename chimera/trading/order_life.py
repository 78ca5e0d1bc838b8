"""The life of an order, as one table.

An order is known, unknown, or gone with proof. Whatever may still rest or still fill reserves its worst case until the venue has proved
otherwise: no answer, a timeout or a "not found" proves nothing, for the order may have been executed.

Two kinds of event move an order. What *we* do (send, amend, cancel) is legal in some states only; elsewhere it is our bug, a `LocalError`.
What the *venue* says may come late, twice or in any order (a fill before the ack, a fill after the cancel), so every state takes every word
of it. An order that is gone stays gone: late words move positions, never the order. The one exception is an order that was only proved gone
by its absence from the venue's lists: an ack or a fill for it brings it back.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

import attrs

from chimera.conventions import Count
from chimera.errors import LocalError
from chimera.trading.venue import Order


class State(enum.Enum):
    """Where an order stands, as far as we can prove."""

    INTENDED = "intended"
    """Handed to the journal; nothing has been sent."""
    SENT = "sent"
    """The bytes are out; it rests, or will, or not."""
    RESTING = "resting"
    AMEND_SENT = "amend_sent"
    CANCEL_SENT = "cancel_sent"
    UNKNOWN = "unknown"
    """Nobody can say; only a list of the venue, or a word about the order itself, resolves it."""
    GONE = "gone"


class Proof(enum.Enum):
    """What proved that an order is gone."""

    NEVER_SENT = "never_sent"
    REJECTED = "rejected"
    FILLED = "filled"
    CANCELLED = "cancelled"
    TAKEN_OFF = "taken_off"
    """The venue said that it took the order off: expired, closed, or a fired cancel."""
    ABSENT = "absent"
    """Complete lists of the venue do not hold it, and it had long enough to appear in them."""


class Input(enum.Enum):
    """What happens to an order. The first four are ours, the others the venue's."""

    SEND = "send"
    WITHDRAW = "withdraw"
    AMEND = "amend"
    CANCEL = "cancel"
    PLACED = "placed"
    PLACE_REJECTED = "place_rejected"
    PLACE_UNKNOWN = "place_unknown"
    AMENDED = "amended"
    AMEND_REJECTED = "amend_rejected"
    AMEND_UNKNOWN = "amend_unknown"
    CANCELLED = "cancelled"
    CANCEL_REJECTED = "cancel_rejected"
    CANCEL_UNKNOWN = "cancel_unknown"
    TAKEN_OFF = "taken_off"
    PART_FILLED = "part_filled"
    FILLED = "filled"
    LISTED = "listed"
    ABSENT = "absent"


_I, _S = Input, State
_OPEN = (_S.SENT, _S.RESTING, _S.AMEND_SENT, _S.CANCEL_SENT, _S.UNKNOWN)

OURS: Mapping[tuple[State, Input], State] = {
    (_S.INTENDED, _I.SEND): _S.SENT,
    (_S.INTENDED, _I.WITHDRAW): _S.GONE,
    (_S.RESTING, _I.AMEND): _S.AMEND_SENT,
    (_S.RESTING, _I.CANCEL): _S.CANCEL_SENT,
    (_S.AMEND_SENT, _I.CANCEL): _S.CANCEL_SENT,
    (_S.CANCEL_SENT, _I.CANCEL): _S.CANCEL_SENT,
    (_S.UNKNOWN, _I.CANCEL): _S.CANCEL_SENT,
}
"""What we may do. Anything else is our bug."""

THEIRS: Mapping[tuple[State, Input], State] = {
    (_S.SENT, _I.PLACED): _S.RESTING,
    (_S.UNKNOWN, _I.PLACED): _S.RESTING,
    **{(state, _I.PLACE_REJECTED): _S.GONE for state in (_S.SENT, _S.UNKNOWN)},
    (_S.SENT, _I.PLACE_UNKNOWN): _S.UNKNOWN,
    (_S.AMEND_SENT, _I.AMENDED): _S.RESTING,
    # Refused or unanswered, an order may no longer rest: "not found" is also what an executed order answers.
    (_S.AMEND_SENT, _I.AMEND_REJECTED): _S.UNKNOWN,
    (_S.AMEND_SENT, _I.AMEND_UNKNOWN): _S.UNKNOWN,
    (_S.CANCEL_SENT, _I.CANCEL_REJECTED): _S.UNKNOWN,
    (_S.CANCEL_SENT, _I.CANCEL_UNKNOWN): _S.UNKNOWN,
    **{(state, _I.CANCELLED): _S.GONE for state in _OPEN},
    **{(state, _I.TAKEN_OFF): _S.GONE for state in _OPEN},
    **{(state, _I.FILLED): _S.GONE for state in _OPEN},
    # A fill proves that the order arrived; it rests unless something of ours is still under way.
    (_S.SENT, _I.PART_FILLED): _S.RESTING,
    (_S.UNKNOWN, _I.PART_FILLED): _S.UNKNOWN,
    (_S.SENT, _I.LISTED): _S.RESTING,
    (_S.UNKNOWN, _I.LISTED): _S.RESTING,
    **{(state, _I.ABSENT): _S.GONE for state in _OPEN},
}
"""What the venue's words lead to. What is not here changes no state: a late ack of an order that is gone, a second ack, a fill of an order
whose cancel is under way, an order still listed after its acked cancel."""

PROOFS: Mapping[Input, Proof] = {
    _I.WITHDRAW: Proof.NEVER_SENT,
    _I.PLACE_REJECTED: Proof.REJECTED,
    _I.CANCELLED: Proof.CANCELLED,
    _I.TAKEN_OFF: Proof.TAKEN_OFF,
    _I.FILLED: Proof.FILLED,
    _I.ABSENT: Proof.ABSENT,
}
REVIVES = frozenset({_I.PLACED, _I.AMENDED, _I.PART_FILLED, _I.LISTED})
"""What proves an order alive whose absence from the lists was taken for its end."""


@attrs.define(slots=True, eq=False)
class Working:
    """One order of ours and what is known of it. `order` is as it was sent; times are world unix seconds, counts 1e-2 contracts.

    `owed` is what the venue has said was filled and no fill was seen for: known only once the order is gone. Fills up to `filled_until`
    are in `filled` from the start: an order that was adopted from a list arrives with them.
    """

    order: Order
    state: State
    at: float
    order_id: str = ""
    acked: bool = False
    filled: Count = 0
    owed: Count = 0
    expires_at: float = 0.0
    proof: Proof | None = None
    fills: set[str] = attrs.Factory(set)
    filled_until: float = -math.inf
    sent_at: float = 0.0
    absent_at: float | None = None

    @property
    def remaining(self) -> Count:
        """What is left to fill if it still rests."""
        return max(0, self.order.count - self.filled)

    @property
    def reserved(self) -> Count:
        """The most that may yet be filled: all that remains until it is gone, then what is owed."""
        return self.owed if self.state is State.GONE else self.remaining

    @property
    def resolved(self) -> bool:
        """Whether its truth is known: nothing is in flight and nothing owed."""
        return self.state in (State.INTENDED, State.RESTING, State.GONE) and not self.owed

    def does(self, what: Input, at: float) -> None:
        """We do something to it. LocalError where that makes no sense in its state."""
        if (self.state, what) not in OURS:
            raise LocalError(f"{what.value}: order {self.order.client_id} is {self.state.value}, where that makes no sense")
        self._move(OURS[self.state, what], what, at)

    def is_news(self, what: Input) -> bool:
        """Whether the venue's word changes anything."""
        return (self.state, what) in THEIRS or self._revived_by(what)

    def hears(self, what: Input, at: float) -> None:
        """The venue says something of it."""
        self._move(State.RESTING if self._revived_by(what) else THEIRS.get((self.state, what), self.state), what, at)

    def _revived_by(self, what: Input) -> bool:
        return self.state is State.GONE and self.proof is Proof.ABSENT and what in REVIVES

    def _move(self, following: State, what: Input, at: float) -> None:
        if following is not State.GONE:
            self.proof = None
        elif self.state is not State.GONE:
            self.proof = PROOFS[what]
        self.state, self.at, self.absent_at = following, max(self.at, at), None

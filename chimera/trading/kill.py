"""The kill register: monotone counters that say which decisions are void, and what is not quoted until when.

One plain object for the whole system; it outlives every actor. A trip is synchronous: the counters move, the bytes go out through
`on_trip`, and only then are actors told. `fence(market)` is the sum of the counters of every scope the market lies in, so it changes
if and only if one of them was tripped; an order is written only while the fence it was decided under still stands.

    state      event      next       who, and what it means
    any        trip       TRIPPED    bytes are out, nothing is proved yet
    TRIPPED    confirm    CONFIRMED  the gateway: the venue proves that none rests
    CONFIRMED  (at once)  HELD       until `until`; LATCHED instead where the trip latches
    HELD       arm        ARMED      `risk` alone, once it is due
    LATCHED    unlatch    ARMED      the operator alone

Every state but ARMED refuses orders. A scope tripped while it is not armed never becomes freer: its hold only lengthens and a latch stays
a latch. A *pull* is the everyday form: it bumps one market's fence and cancels its orders, with no state and no hold.
"""

from __future__ import annotations

import enum
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import attrs

from chimera.errors import LocalError
from chimera.trading.reasons import Reason


class Level(enum.IntEnum):
    """How much one trip takes down."""

    GLOBAL = 0
    DOMAIN = 1
    UNIT = 2
    MARKET = 3


@attrs.frozen(slots=True, cache_hash=True)
class Scope:
    """What a trip covers: everything, a domain ("nba"), a unit (one game, one asset, one station-day) or a market."""

    level: Level
    name: str = ""

    def __str__(self) -> str:
        return "GLOBAL" if self.level is Level.GLOBAL else f"{self.level.name}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Scope:
        """The scope that `str` wrote; ValueError where it is none."""
        level, _, name = text.partition(":")
        if level not in Level.__members__ or (not name) != (level == "GLOBAL"):
            raise ValueError(f"{text!r} is no scope: write GLOBAL, DOMAIN:name, UNIT:name or MARKET:ticker")
        return cls(Level[level], name)


GLOBAL = Scope(Level.GLOBAL)


def domain(name: str) -> Scope:
    return Scope(Level.DOMAIN, name)


def unit(name: str) -> Scope:
    return Scope(Level.UNIT, name)


def market(ticker: str) -> Scope:
    return Scope(Level.MARKET, ticker)


class State(enum.Enum):
    """Where a scope stands; the table is in the module's docstring. CONFIRMED is passed through within one step."""

    ARMED = "armed"
    TRIPPED = "tripped"
    CONFIRMED = "confirmed"
    HELD = "held"
    LATCHED = "latched"


class _Event(enum.Enum):
    CONFIRM = "confirm"
    HOLD = "hold"
    LATCH = "latch"
    ARM = "arm"
    UNLATCH = "unlatch"


_NEXT: Mapping[tuple[State, _Event], State] = {
    (State.TRIPPED, _Event.CONFIRM): State.CONFIRMED,
    (State.CONFIRMED, _Event.HOLD): State.HELD,
    (State.CONFIRMED, _Event.LATCH): State.LATCHED,
    (State.HELD, _Event.ARM): State.ARMED,
    (State.LATCHED, _Event.UNLATCH): State.ARMED,
}
"""What is not here changes nothing. A trip is not here because it leads to TRIPPED from everywhere."""


@attrs.frozen(slots=True)
class Trip:
    """One pull or kill. `at` is world unix seconds; `hold_s` is 0 for a pull, infinite for a latch.

    `counter` is the scope's count after it, `streak` how often the scope was killed in a row: 1 holds the base time, each more doubles it.
    """

    scope: Scope
    reason: Reason
    source: str
    at: float
    hold_s: float
    counter: int
    pull: bool
    trace: int = 0
    streak: int = 1

    @property
    def latched(self) -> bool:
        return math.isinf(self.hold_s)


@attrs.define(slots=True)
class _Entry:
    """One scope: its counter, the markets in it, and its last kill. `base` is that kill's hold before doubling."""

    scope: Scope
    counter: int = 0
    markets: list[str] = attrs.Factory(list)
    state: State = State.ARMED
    trip: Trip | None = None
    base: float = 0.0
    until: float = -math.inf


HOLD_MAX_S = 600.0
"""Doubling stops here; a trigger that asks for a longer hold gets what it asks for."""
MEMORY = 60.0
"""A kill counts as a repeat within this many base holds of the last one: an hour for the 60 s hold of a velocity kill (its "re-arm backoff
x2 per repeat within 1 h")."""
RING = 1024


class KillRegister:
    """Fences, holds and the keep-bands of resting quotes.

    `on_trip` sends the cancels; it is called in the step of the trip, before any listener. Neither should raise; if one does, the others
    are still called, and then it raises, for the trip itself has already happened.
    """

    def __init__(self, on_trip: Callable[[Trip], None], listeners: tuple[Callable[[Trip], None], ...] = ()) -> None:
        self._on_trip = on_trip
        self._listeners = list(listeners)
        self._entries: dict[Scope, _Entry] = {GLOBAL: _Entry(GLOBAL)}
        self._homes: dict[str, tuple[_Entry, _Entry, _Entry, _Entry]] = {}
        self._bands: dict[str, tuple[float, float]] = {}
        self._counting = threading.Lock()
        self.ring: deque[Trip] = deque(maxlen=RING)
        self.pulls = 0
        self.kills = 0

    def listen(self, listener: Callable[[Trip], None]) -> None:
        """Tell `listener` of every later trip, after its bytes have left."""
        self._listeners.append(listener)

    # Which market lies in which scopes

    def enroll(self, ticker: str, unit_name: str, domain_name: str) -> None:
        """Make a market known. Enrolling it again changes nothing; under other scopes it is a LocalError."""
        scopes = (GLOBAL, domain(domain_name), unit(unit_name), market(ticker))
        home = self._homes.get(ticker)
        if home is not None:
            if tuple(entry.scope for entry in home) != scopes:
                raise LocalError(f"{ticker} is enrolled under {home[1].scope} {home[2].scope}, not {scopes[1]} {scopes[2]}")
            return
        first, second, third, fourth = (self._entry(scope) for scope in scopes)
        self._homes[ticker] = (first, second, third, fourth)
        for entry in self._homes[ticker]:
            entry.markets.append(ticker)

    def markets(self, scope: Scope) -> tuple[str, ...]:
        """The enrolled markets that a trip of `scope` covers."""
        entry = self._entries.get(scope)
        return () if entry is None else tuple(entry.markets)

    def unit_of(self, ticker: str) -> str:
        """The unit a market lies in. LocalError if not enrolled."""
        return self._home(ticker)[2].scope.name

    def _entry(self, scope: Scope) -> _Entry:
        return self._entries.setdefault(scope, _Entry(scope))

    def _home(self, ticker: str) -> tuple[_Entry, _Entry, _Entry, _Entry]:
        home = self._homes.get(ticker)
        if home is None:
            raise LocalError(f"{ticker} was never enrolled in the kill register")
        return home

    # Fences

    def fence(self, ticker: str) -> int:
        """The market's fence: compare it for equality with the one a decision was made under. LocalError if not enrolled."""
        first, second, third, fourth = self._home(ticker)
        return first.counter + second.counter + third.counter + fourth.counter

    def fences(self, scope: Scope) -> dict[str, int]:
        """The fence of every enrolled market that a trip of `scope` covers."""
        return {ticker: self.fence(ticker) for ticker in self.markets(scope)}

    def counters(self) -> Mapping[str, int]:
        """Every counter by scope, to be kept across a restart of the process."""
        return {str(scope): entry.counter for scope, entry in self._entries.items()}

    def resume(self, counters: Mapping[str, int], standing: Iterable[Trip] = ()) -> None:
        """Take up where an earlier process ended, before any decision is made.

        Every counter starts above where it was left, so no old fence is ever current again. `standing` holds the last kill of each scope
        that was not armed: latches, holds and doubling are as they were, and that nothing rests must be proved anew.
        """
        for text, count in counters.items():
            entry = self._entry(Scope.parse(text))
            entry.counter = max(entry.counter, count + 1)
        for trip in standing:
            entry = self._entry(trip.scope)
            entry.counter = max(entry.counter, trip.counter + 1)
            entry.trip = attrs.evolve(trip, counter=entry.counter)
            entry.state, entry.until, entry.base = State.TRIPPED, trip.at + trip.hold_s, _base(trip)

    # Tripping

    def trip(
        self, scope: Scope, reason: Reason, *, source: str, at: float, hold_s: float, latch: bool = False, trace: int = 0
    ) -> Trip:
        """Kill a scope: bump its fence, send the cancels, tell the actors, refuse its orders for `hold_s` world seconds (or for good).

        A scope killed again after it was re-armed, within `MEMORY` base holds of the last kill, holds twice as long as the last time, up
        to `HOLD_MAX_S`. Killed again while it is not armed, it holds as long again from now. A `hold_s` that is negative or no number
        latches: our own bug must not free a scope.
        """
        entry = self._entry(scope)
        base = hold_s if hold_s >= 0.0 else math.inf
        streak, held = _repeat(entry, at, base)
        if latch or (held and entry.trip is not None and entry.trip.latched):
            length = math.inf
        else:
            length = max(base, min(base * 2.0 ** min(streak - 1, 16), HOLD_MAX_S))
        trip = self._bump(entry, Trip(scope, reason, source, at, length, self._next(entry), False, trace, streak))
        entry.until = max(at + length, entry.until) if held else at + length
        entry.state, entry.trip, entry.base = State.TRIPPED, trip, base
        self.kills += 1
        self._send(trip)
        return trip

    def pull(self, ticker: str, reason: Reason, *, source: str, at: float, trace: int = 0) -> Trip:
        """Cancel one market's orders and void what was decided for it, with no hold."""
        entry = self._entry(market(ticker))
        trip = self._bump(entry, Trip(entry.scope, reason, source, at, 0.0, self._next(entry), True, trace))
        self.pulls += 1
        self._send(trip)
        return trip

    def void(self) -> None:
        """Move GLOBAL's fence and nothing else: no cancels, no hold, nobody told. The one method that another thread may call.

        It is for a loop that stands still, in the middle of whatever step: that step, when it goes on, sends nothing that was decided
        before. The loop itself trips GLOBAL when the step ends. Counters only rise, whoever raises them; reading one takes no lock.
        """
        self._next(self._entries[GLOBAL])

    def _next(self, entry: _Entry) -> int:
        with self._counting:
            entry.counter += 1
            return entry.counter

    def _bump(self, entry: _Entry, trip: Trip) -> Trip:
        for ticker in entry.markets:
            self._bands.pop(ticker, None)
        return trip

    def _send(self, trip: Trip) -> None:
        """The bytes first, then everyone else; whoever raises is heard only after all were called."""
        self.ring.append(trip)
        faults: list[Exception] = []
        for tell in (self._on_trip, *self._listeners):
            try:
                tell(trip)
            except Exception as fault:
                faults.append(fault)
        if faults:
            raise ExceptionGroup(f"{trip.scope} was tripped ({trip.reason.value}), but not everyone could be told", faults)

    # The life of a kill

    def blocking(self, ticker: str) -> Trip | None:
        """The trip that keeps a market from being quoted, the widest first; None where every scope is armed."""
        for entry in self._homes.get(ticker) or (self._entries[GLOBAL],):
            if entry.state is not State.ARMED:
                return entry.trip
        return None

    def state(self, scope: Scope) -> State:
        entry = self._entries.get(scope)
        return State.ARMED if entry is None else entry.state

    def standing(self) -> tuple[tuple[Scope, State, Trip, float], ...]:
        """Every scope that is not armed: its state, its trip and when its hold ends (world unix s, infinite for a latch)."""
        return tuple(
            (entry.scope, entry.state, entry.trip, entry.until)
            for entry in self._entries.values()
            if entry.state is not State.ARMED and entry.trip is not None
        )

    def confirm(self, trip: Trip) -> bool:
        """The venue has proved that nothing of the trip's scope rests. False where a later trip has taken its place, or it was said."""
        entry = self._current(trip)
        if entry is None or not self._step(entry, _Event.CONFIRM):
            return False
        return self._step(entry, _Event.LATCH if trip.latched else _Event.HOLD)

    def extend(self, scope: Scope, until: float) -> None:
        """Hold a scope at least until `until`; for conditions that end a kill later than its clock. No effect on an armed scope."""
        entry = self._entries.get(scope)
        if entry is not None and entry.state is not State.ARMED:
            entry.until = max(entry.until, until)

    def due(self, now: float) -> tuple[Trip, ...]:
        """The trips whose hold is over; `risk` ends them with `arm`."""
        return tuple(
            entry.trip
            for entry in self._entries.values()
            if entry.state is State.HELD and entry.until <= now and entry.trip is not None
        )

    def arm(self, trip: Trip, now: float) -> bool:
        """End a hold that is due. False where it is not held by this trip or not due."""
        entry = self._current(trip)
        return entry is not None and entry.until <= now and self._step(entry, _Event.ARM)

    def unlatch(self, scope: Scope) -> bool:
        """The operator ends a latch, and with it the scope's record of repeats. False where the scope is not latched (yet)."""
        entry = self._entries.get(scope)
        if entry is None or not self._step(entry, _Event.UNLATCH):
            return False
        entry.trip, entry.base, entry.until = None, 0.0, -math.inf
        return True

    def _current(self, trip: Trip) -> _Entry | None:
        """The entry whose standing kill is this very trip."""
        entry = self._entries.get(trip.scope)
        if entry is None or entry.trip is None or entry.trip.counter != trip.counter:
            return None
        return entry

    @staticmethod
    def _step(entry: _Entry, event: _Event) -> bool:
        following = _NEXT.get((entry.state, event))
        if following is None:
            return False
        entry.state = following
        return True

    # Keep-bands

    def keep(self, ticker: str, lowest: float, highest: float) -> None:
        """While p_true stays within [lowest, highest], what rests in the market keeps its edge. Written by the gateway with each order."""
        self._bands[ticker] = (lowest, highest)

    def clear(self, ticker: str) -> None:
        """Nothing rests in the market."""
        self._bands.pop(ticker, None)

    def spoiled(self, ticker: str, p: float) -> bool:
        """Whether p_true at `p` takes the edge from what rests in the market; False where nothing rests, True where `p` is no number."""
        band = self._bands.get(ticker)
        return band is not None and not band[0] <= p <= band[1]


def _repeat(entry: _Entry, at: float, base: float) -> tuple[int, bool]:
    """How many kills in a row this one is, and whether the scope is still down from the last."""
    if entry.trip is None:
        return 1, False
    if entry.state is not State.ARMED:
        return entry.trip.streak, True
    fresh = at <= entry.trip.at + MEMORY * min(entry.base, HOLD_MAX_S)
    return (entry.trip.streak + 1 if fresh else 1), False


def _base(trip: Trip) -> float:
    """The hold a remembered trip had before it was doubled."""
    return trip.hold_s if trip.latched else trip.hold_s / 2.0 ** min(trip.streak - 1, 16)

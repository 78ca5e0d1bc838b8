"""The kill register: monotone counters that say which decisions are void, and what is not quoted until when.

One plain object for the whole system; it outlives every actor. A trip is synchronous: the counters move, the bytes go out through
`on_trip`, and only then are actors told. `fence(market)` is the sum of the counters of every scope the market lies in, so it changes
if and only if one of them was tripped; an order is written only while the fence it was decided under still stands.

    state      leaves by            to
    ARMED      trip                 TRIPPED     bytes out
    TRIPPED    confirm              CONFIRMED   the venue proves none resting
    CONFIRMED  settle               HELD        until `hold_until`; LATCHED if latched
    HELD       arm, when due        ARMED       `risk` alone ends a hold
    LATCHED    unlatch              ARMED       the operator alone ends a latch

A scope that is TRIPPED or CONFIRMED refuses orders as a held one does. A *pull* is the everyday form: it bumps one market's fence and
cancels its orders, with no state and no hold.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable, Mapping

import attrs

from chimera.errors import LocalError
from chimera.trading.reasons import Reason


class Level(enum.IntEnum):
    """How much one trip takes down."""

    GLOBAL = 0
    DOMAIN = 1
    UNIT = 2
    MARKET = 3


@attrs.frozen(slots=True)
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
    """Where a scope stands; the table is in the module's docstring."""

    ARMED = "armed"
    TRIPPED = "tripped"
    CONFIRMED = "confirmed"
    HELD = "held"
    LATCHED = "latched"


@attrs.frozen(slots=True)
class Trip:
    """One pull or kill. `at` is world unix seconds; `hold_s` is 0 for a pull, infinite for a latch."""

    scope: Scope
    reason: Reason
    source: str
    at: float
    hold_s: float
    counter: int
    pull: bool
    trace: int = 0

    @property
    def latched(self) -> bool:
        return math.isinf(self.hold_s)


@attrs.define(slots=True)
class _Hold:
    state: State
    trip: Trip
    until: float
    trips_in_row: int = 1


HOLD_MAX_S = 600.0
"""A hold doubles from its trigger's base with each trip that follows within twice the hold, up to this."""
RING = 1024


class KillRegister:
    """Fences, holds and the keep-bands of resting quotes.

    `on_trip` sends the cancels; it is called in the step of the trip, before any listener. Neither may raise.
    """

    def __init__(self, on_trip: Callable[[Trip], None], listeners: tuple[Callable[[Trip], None], ...] = ()) -> None:
        self._on_trip = on_trip
        self._listeners = list(listeners)
        self._counters: dict[Scope, int] = {GLOBAL: 0}
        self._scopes: dict[str, tuple[Scope, Scope, Scope, Scope]] = {}
        self._holds: dict[Scope, _Hold] = {}
        self._bands: dict[str, tuple[float, float]] = {}
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
        if self._scopes.setdefault(ticker, scopes) != scopes:
            raise LocalError(f"{ticker} is enrolled under {self._scopes[ticker][2]}, not {scopes[2]}")
        for scope in scopes:
            self._counters.setdefault(scope, 0)

    def markets(self, scope: Scope) -> tuple[str, ...]:
        """The enrolled markets that a trip of `scope` covers."""
        return tuple(ticker for ticker, scopes in self._scopes.items() if scopes[scope.level] == scope)

    def unit_of(self, ticker: str) -> str:
        return self._scopes[ticker][2].name

    # Fences

    def fence(self, ticker: str) -> int:
        """The market's fence: compare it for equality with the one a decision was made under. LocalError if not enrolled."""
        scopes = self._scopes.get(ticker)
        if scopes is None:
            raise LocalError(f"{ticker} was never enrolled in the kill register")
        return sum(self._counters[scope] for scope in scopes)

    def counters(self) -> Mapping[str, int]:
        """Every counter by scope, to be kept across a restart of the process."""
        return {str(scope): count for scope, count in self._counters.items()}

    def resume(self, counters: Mapping[str, int]) -> None:
        """Start every counter above where an earlier process left it, so no old fence is ever current again."""
        for text, count in counters.items():
            scope = Scope.parse(text)
            self._counters[scope] = max(self._counters.get(scope, 0), count + 1)

    # Tripping

    def trip(
        self, scope: Scope, reason: Reason, *, source: str, at: float, hold_s: float, latch: bool = False, trace: int = 0
    ) -> Trip:
        """Kill a scope: bump its fence, send the cancels, tell the actors, refuse its orders for `hold_s` world seconds (or until unlatched).

        A scope tripped again while its hold or its last doubling is fresh holds twice as long, up to `HOLD_MAX_S`; a latch never weakens.
        """
        standing = self._holds.get(scope)
        in_row = 1
        if standing is not None and at <= standing.until + 2 * standing.trip.hold_s:
            in_row = standing.trips_in_row + 1
            hold_s = max(hold_s, min(hold_s * 2 ** (in_row - 1), HOLD_MAX_S))
        if latch or (standing is not None and standing.state is not State.ARMED and standing.trip.latched):
            hold_s = math.inf
        trip = self._bump(scope, reason, source, at, hold_s, pull=False, trace=trace)
        self._holds[scope] = _Hold(State.TRIPPED, trip, at + hold_s, in_row)
        self.kills += 1
        self._send(trip)
        return trip

    def pull(self, ticker: str, reason: Reason, *, source: str, at: float, trace: int = 0) -> Trip:
        """Cancel one market's orders and void what was decided for it, with no hold."""
        trip = self._bump(market(ticker), reason, source, at, 0.0, pull=True, trace=trace)
        self.pulls += 1
        self._send(trip)
        return trip

    def _bump(self, scope: Scope, reason: Reason, source: str, at: float, hold_s: float, *, pull: bool, trace: int) -> Trip:
        counter = self._counters.get(scope, 0) + 1
        self._counters[scope] = counter
        for ticker in self.markets(scope):
            self._bands.pop(ticker, None)
        return Trip(scope, reason, source, at, hold_s, counter, pull, trace)

    def _send(self, trip: Trip) -> None:
        self._on_trip(trip)
        self.ring.append(trip)
        for listener in self._listeners:
            listener(trip)

    # The life of a kill

    def blocking(self, ticker: str) -> Trip | None:
        """The trip that keeps a market from being quoted, the widest first; None where every scope is armed."""
        for scope in self._scopes.get(ticker, (GLOBAL,)):
            hold = self._holds.get(scope)
            if hold is not None and hold.state is not State.ARMED:
                return hold.trip
        return None

    def state(self, scope: Scope) -> State:
        hold = self._holds.get(scope)
        return State.ARMED if hold is None else hold.state

    def standing(self) -> tuple[tuple[Scope, State, Trip, float], ...]:
        """Every scope that is not armed: its state, its trip and when its hold ends (world unix s, infinite for a latch)."""
        return tuple((s, h.state, h.trip, h.until) for s, h in self._holds.items() if h.state is not State.ARMED)

    def confirm(self, trip: Trip) -> bool:
        """The venue has proved that nothing of the trip's scope rests. False where a later trip has taken its place."""
        hold = self._holds.get(trip.scope)
        if hold is None or hold.trip.counter != trip.counter or hold.state is not State.TRIPPED:
            return False
        hold.state = State.LATCHED if trip.latched else State.HELD
        return True

    def extend(self, scope: Scope, until: float) -> None:
        """Hold a scope at least until `until`; for conditions that end a kill later than its clock. No effect on an armed scope."""
        hold = self._holds.get(scope)
        if hold is not None and hold.state is not State.ARMED:
            hold.until = max(hold.until, until)

    def due(self, now: float) -> tuple[Trip, ...]:
        """The trips whose hold is over; `risk` ends them with `arm`."""
        return tuple(h.trip for h in self._holds.values() if h.state is State.HELD and h.until <= now)

    def arm(self, trip: Trip, now: float) -> bool:
        """End a hold that is due. False where it is not held by this trip or not due."""
        hold = self._holds.get(trip.scope)
        if hold is None or hold.trip.counter != trip.counter or hold.state is not State.HELD or hold.until > now:
            return False
        hold.state = State.ARMED
        return True

    def unlatch(self, scope: Scope) -> bool:
        """The operator ends a latch. False where the scope is not latched."""
        hold = self._holds.get(scope)
        if hold is None or hold.state is not State.LATCHED:
            return False
        hold.state = State.ARMED
        return True

    # Keep-bands

    def keep(self, ticker: str, lowest: float, highest: float) -> None:
        """While p_true stays within [lowest, highest], what rests in the market keeps its edge. Written by the gateway with each order."""
        self._bands[ticker] = (lowest, highest)

    def clear(self, ticker: str) -> None:
        """Nothing rests in the market."""
        self._bands.pop(ticker, None)

    def spoiled(self, ticker: str, p: float) -> bool:
        """Whether p_true at `p` takes the edge from what rests in the market; False where nothing rests."""
        band = self._bands.get(ticker)
        return band is not None and not band[0] <= p <= band[1]

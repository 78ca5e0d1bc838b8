"""What a game oracle holds of one game, and what follows from it: state, prior, value, staleness. No clock, no I/O, no kill.

The actor in `game.py` fills a `Track` from documents and acts on what it says.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import Generic

import attrs

from actors.messages import Fair
from actors.oracles.sport import Pricing, S, Sport
from chimera.feeds.espn import Game, GameStatus, Summary
from chimera.feeds.prior import Prior, improve
from chimera.models.value import Atoms, Valuation, sd_over

PUBLISH_LAG_S = 5.0
"""How long after a play ESPN shows it, until a game's own plays tell (judgement: several seconds)."""
UNPRICED = frozenset({GameStatus.OFF, GameStatus.DELAYED})


@attrs.frozen(slots=True)
class OracleSettings:
    """World seconds, edges in cents, polls as counts.

    A game is stale when no poll has succeeded, or its clock has run without a play, for `stale_s`; a stopped clock may stand for
    `pause_s`. A summary is read when the scoreboard's line changes, and every `guard_polls` anyway; before the game every `pregame_polls`.
    A move of `kill_multiple` base edges between two states is a shock. `agree_polls` must agree after a play or score was taken back,
    `settle_polls` after a goal, a penalty or a change of goalie. `latency_s` is what passes between our price and the exchange's book.
    Each `..._edge_cents` beyond the base is what that state of play asks for in a sport that has it; they add up.
    """

    poll_s: float = 1.5
    stale_s: float = 20.0
    kill_multiple: float = 3.0
    base_edge_cents: float = 2.0
    endgame_edge_cents: float = 1.0
    overtime_edge_cents: float = 1.5
    power_play_edge_cents: float = 1.0
    empty_net_edge_cents: float = 2.0
    pause_s: float = 300.0
    guard_polls: int = 4
    pregame_polls: int = 80
    agree_polls: int = 3
    settle_polls: int = 2
    shock_hold_s: float = 60.0
    stale_hold_s: float = 10.0
    latency_s: float = 0.3


@attrs.define(slots=True, eq=False)
class Track(Generic[S]):
    """One game: the documents read last, and what was made of them. Times are world unix s.

    `line` is None once the game has left the scoreboard. `markets` are (ticker, +1 if YES is the home team, else -1). `changed` documents
    have not been reduced yet; `wanted` is a summary that must be read again; `owed` polls must still agree before the game is believed.
    `pricing` is the model, made for `priced_from`; a newer one may be in the making.
    """

    unit: str
    event_id: str
    line: Game | None
    sport: Sport[S]
    markets: tuple[tuple[str, int], ...] = ()
    summary: Summary | None = None
    state: S | None = None
    value: Valuation | None = None
    prior: Prior | None = None
    pricing: Pricing[S] | None = None
    priced_from: tuple[float, float | None, int] | None = None
    changed: bool = True
    wanted: bool = True
    polls: int = 0
    owed: int = 0
    lag_s: float = PUBLISH_LAG_S
    changed_at: float = -math.inf
    confirmed_at: float = -math.inf
    error: str = ""
    stale: str = ""
    closed: bool = False
    trace: int = 0
    fairs: dict[str, Fair] = attrs.field(factory=dict)

    @property
    def game(self) -> Game | None:
        """The scoreboard's line, or the summary's where there is none any more."""
        return self.line if self.line is not None else self.summary.game if self.summary is not None else None

    @property
    def starts_at(self) -> float:
        """Unix s."""
        return self.game.starts_at if self.game is not None else 0.0

    @property
    def season(self) -> int:
        return self.game.season_type if self.game is not None else 0

    @property
    def ended(self) -> bool:
        """Final, and every source agrees how."""
        return self.state is not None and self.state.final and not self.state.disagreement

    @property
    def unpriced(self) -> bool:
        """Postponed, cancelled, delayed."""
        return self.state is not None and self.state.status in UNPRICED

    @property
    def fit(self) -> bool:
        """Whether its state is one to tell a price from."""
        return self.state is not None and not (self.stale or self.state.disagreement or self.unpriced)

    def due(self, settings: OracleSettings) -> bool:
        """Whether its summary is to be read in this poll; counts the polls."""
        self.polls += 1
        before = self.line is not None and self.line.status is GameStatus.SCHEDULED
        every = settings.pregame_polls if before else settings.guard_polls
        return self.wanted or self.owed > 0 or (self.polls >= every and not self.ended)

    def follow(self, line: Game | None) -> None:
        """Take the scoreboard's present line."""
        if line != self.line:
            self.line, self.changed, self.wanted = line, True, True

    def reduced(self) -> S | None:
        """The state its documents show; None where they do not say enough, as for a game under way with no summary yet."""
        if not self.changed and self.state is not None:
            return self.state
        if self.summary is not None:
            self.changed = False
            return self.sport.reduce(self.summary, self.line)
        if self.line is not None and self.line.status is GameStatus.SCHEDULED:
            self.changed = False
            return self.sport.from_line(self.line)
        return None

    def take(self, state: S, now: float, settings: OracleSettings, trace: int) -> None:
        """Make `state` the present one. It has no value until `value_now`."""
        previous = self.state
        if state != previous:
            self.changed_at, self.trace = now, trace
            if previous is not None and state.newest_wallclock > previous.newest_wallclock:
                self.lag_s = min(max(0.0, now - state.newest_wallclock), settings.stale_s)
        self.state = state

    def value_now(self) -> Valuation | None:
        """Value the present state by the present model; None while there is none."""
        if self.state is not None and self.pricing is not None:
            self.value = self.pricing.evaluate(self.state)
        return self.value

    def best_prior(self, held: Prior | None, state: S) -> Prior:
        """The prior to price from: `held`, or what the documents offer where that is better."""
        game = self.game
        assert game is not None  # a state was reduced from one of its documents
        offered = self.sport.best_prior(game, self.summary)
        return improve(held, offered, started=state.status is not GameStatus.SCHEDULED)

    def source_at(self, now: float) -> float:
        """When the newest thing it knows of happened."""
        if self.state is None or not self.state.live:
            return now
        return self.state.newest_wallclock or self.changed_at

    def age(self, now: float, settings: OracleSettings) -> float:
        """How old what we know may be (s): since the newest play while the clock runs, the publishing delay while it stands."""
        if self.state is None or not self.state.live:
            return 0.0
        return min(max(0.0, now - self.source_at(now)), settings.stale_s) if self.state.clock_running else self.lag_s

    def staleness(self, now: float, settings: OracleSettings) -> str:
        """Why its state is not to be believed any more; empty while it is, and while nothing was ever told from it."""
        state = self.state
        if state is None or self.closed or math.isinf(self.confirmed_at):
            return ""
        if now - self.confirmed_at > settings.stale_s:
            return f"no good poll since {_clock(self.confirmed_at)}"
        silent = now - self.source_at(now)
        if silent > (settings.stale_s if state.clock_running else settings.pause_s):
            return f"no play since {_clock(self.source_at(now))} while the clock {'runs' if state.clock_running else 'stands'}"
        return ""

    def outlook(self, now: float, settings: OracleSettings) -> tuple[Atoms, float]:
        """Where P(home) may be once our orders can react, and its standard deviation over one second."""
        state, pricing = self.state, self.pricing
        assert state is not None  # both were set before it was valued
        assert pricing is not None
        horizon = self.age(now, settings) + settings.poll_s + settings.latency_s
        return pricing.reaction(state, horizon), sd_over(pricing.reaction(state, 1.0))


def _clock(at: float) -> str:
    """A moment for people; it stays the same while a state lasts, so that the state is told once."""
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%H:%M:%S UTC")

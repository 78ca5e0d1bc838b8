"""The game oracle: ESPN's scoreboard and summaries in, p_true of every listed game out, and the kill register tripped in between.

    poll -> reduce -> compare -> trip or pull -> Fair

Everything after a document has come happens in one synchronous step, in that order: a move that spoils a quote sends its cancels before any
actor hears of the price that spoiled it. A feed that fails changes a game's state and nothing else: what was known is kept, not told again,
and goes stale. A sport's own rules are in its `Sport`; `nba.py` and `nhl.py` are nothing else.
"""

from __future__ import annotations

from collections.abc import Generator
from random import Random
from typing import Generic

import trio

from actors.messages import Fair, Listing, Resend, Standing
from actors.messages import Prior as PriorTold
from actors.oracles.sport import Pricing, S, Sport
from actors.oracles.track import OracleSettings, Track
from actors.runtime import Address, TrioActor, handles
from chimera.clock import WorldClock
from chimera.errors import FeedError, LocalError
from chimera.feeds.espn import EspnClient, Scoreboard
from chimera.feeds.game_match import Unit, match, units
from chimera.feeds.game_plays import Incident, IncidentKind, standing
from chimera.feeds.prior import Prior, Source, with_books
from chimera.journal.recording import GamePrior
from chimera.journal.records import Pregame
from chimera.models.value import Valuation
from chimera.trading import kill
from chimera.trading.kill import KillRegister, State
from chimera.trading.reasons import Reason

WATCH_S = 1.0
"""How often (world s) every game's age is looked at, whatever a poll is waiting for."""

_REASONS = {
    IncidentKind.SCORE_REVERSAL: Reason.SCORE_REVERSAL,
    IncidentKind.PLAY_VANISHED: Reason.PLAY_VANISHED,
    IncidentKind.REVIEW: Reason.REVIEW,
    IncidentKind.DISAGREEMENT: Reason.DISAGREEMENT,
    IncidentKind.GOAL: Reason.GOAL,
    IncidentKind.PENALTY: Reason.PENALTY,
    IncidentKind.GOALIE_PULLED: Reason.GOALIE,
    IncidentKind.GOALIE_BACK: Reason.GOALIE,
}
_WITHDRAWN = frozenset({IncidentKind.SCORE_REVERSAL, IncidentKind.PLAY_VANISHED})
_PLAYED = frozenset({IncidentKind.GOAL, IncidentKind.PENALTY, IncidentKind.GOALIE_PULLED, IncidentKind.GOALIE_BACK})
"""What moves the price by itself: the move is explained, and no shock on top of it."""


class GameOracle(TrioActor, Generic[S]):
    """Prices one sport's games of the present Listing; `universe` is asked for it again when an incarnation starts."""

    def __init__(
        self,
        *,
        espn: EspnClient,
        clock: WorldClock,
        register: KillRegister,
        pricer: Address,
        telemetry: Address,
        settings: OracleSettings,
        rng: Random,
        universe: Address | None = None,
        priors: tuple[GamePrior, ...] = (),
        odds: Address | None = None,
    ) -> None:
        super().__init__()
        self._sport = self.sport(settings)
        self._espn = espn
        self._clock = clock
        self._register = register
        self._pricer = pricer
        self._telemetry = telemetry
        self._settings = settings
        self._rng = rng
        self._universe = universe
        self._odds = odds
        self._told: dict[str, Pregame] = {}
        self._units: dict[str, Unit] = {}
        self._tracks: dict[str, Track[S]] = {}
        self._unmatched: dict[str, str] = {}
        self._priors = {prior.event_id: Prior(prior.home, Source.GIVEN, prior.source) for prior in priors}
        self._tripped: dict[str, Reason] = {}
        self._board: Scoreboard | None = None
        self._board_error = ""
        self._seq = 0

    def sport(self, settings: OracleSettings) -> Sport[S]:
        """The sport whose games these are; each oracle says its own."""
        raise LocalError(f"{type(self).__name__} does not say whose games it prices")

    def on_start(self) -> None:
        self._espn.reset()
        self._telemetry.tell(Standing(self.address.name, "connecting", "no scoreboard yet", self._clock.now()))
        if self._universe is not None:
            self._universe.tell(Resend())
        if self._odds is not None:
            self._odds.tell(Resend())
        self.spawn(self._poll)
        self.spawn(self._watch)

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        """The games that are followed now; what is known of one that stays is kept."""
        for market in message.markets:
            if market.domain == self._sport.name:
                self._register.enroll(market.ticker, market.unit, market.domain)
        self._units = units(message.markets, self._sport.name)
        self._rematch()

    @handles(PriorTold)
    def on_prior(self, message: PriorTold) -> None:
        """What bookmakers thought of a game; it prices from the next poll on."""
        self._told[message.told.unit] = message.told

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        """Tell the latest again, as it was: its fence says whether it still counts."""
        for track in self._tracks.values():
            for ticker, fair in track.fairs.items():
                if message.market in ("", ticker):
                    self._pricer.tell(fair)

    def state_summary(self) -> dict[str, object]:
        """By unit: P(home) and why, or why it is not priced."""
        priced = {t.unit: t.stale or t.error or (str(t.value) if t.value else "waiting") for t in self._tracks.values()}
        return {**priced, **self._unmatched}

    # Polling

    async def _poll(self) -> None:
        while True:
            began = self._clock.now()
            await self._round()
            self._report()
            pause = self._settings.poll_s * self._rng.uniform(0.95, 1.05)
            await self._clock.sleep(max(0.05, began + pause - self._clock.now()))

    async def _round(self) -> None:
        """One scoreboard, then every summary that is due, side by side."""
        if not self._units:
            return
        good = await self._read_scoreboard()
        tracks = list(self._tracks.values())
        due = [track for track in tracks if track.due(self._settings)]
        async with trio.open_nursery() as nursery:
            for track in due:
                nursery.start_soon(self._read_summary, track)
        for track in tracks:
            if good and track not in due:
                self._assess(track, confirmed=True)

    async def _read_scoreboard(self) -> bool:
        try:
            board = await self._espn.scoreboard()
        except FeedError as error:
            self._board_error = str(error)
            return False
        self._board_error = ""
        if board is not None:
            self._board = board
            self._rematch()
        return True

    async def _read_summary(self, track: Track[S]) -> None:
        track.polls = 0
        try:
            summary = await self._espn.summary(track.event_id)
        except FeedError as error:
            track.error = str(error)
            self._assess(track, confirmed=False)
            return
        if summary is None and track.summary is None:  # it was read for a track that has been dropped since
            self._espn.forget(track.event_id)
            return
        track.error, track.wanted = "", False
        if summary is not None:
            track.summary, track.changed = summary, True
        self._assess(track, confirmed=True)

    def _rematch(self) -> None:
        """Join the listing and the scoreboard anew. A game that has left the scoreboard lives on by its summary alone."""
        matched, unmatched = match(self._units, self._board.games if self._board is not None else (), self._sport.league)
        tracks: dict[str, Track[S]] = {}
        for name, unit in self._units.items():
            held, line = self._tracks.get(name), matched.get(name)
            if held is not None and (line.id == held.event_id if line is not None else held.summary is not None):
                tracks[name] = held
                held.follow(line)
                unmatched.pop(name, None)
            elif line is not None:
                tracks[name] = Track(name, line.id, line, self._sport)
            else:
                continue
            game = tracks[name].game
            home = "" if game is None else game.home.code
            tracks[name].markets = tuple((ticker, 1 if team.espn == home else -1) for ticker, team in unit.markets)
        for name, track in self._tracks.items():
            if tracks.get(name) is not track:
                self._espn.forget(track.event_id)
        self._tracks, self._unmatched = tracks, unmatched

    # From a document to the register, and only then to the pricer

    def _assess(self, track: Track[S], *, confirmed: bool) -> None:
        """Everything that follows from what is known of a game now, in one step. Unconfirmed, it may kill but tells nothing."""
        state = track.reduced()
        if state is None or self._tracks.get(track.unit) is not track:
            return
        now, previous, before = self._clock.now(), track.state, track.value
        incidents = standing(state) if previous is None else self._sport.compare(previous, state)
        track.take(state, now, self._settings, self._rng.getrandbits(48))
        self._guard(track, incidents, now)
        prior = self._priors[track.event_id] = track.best_prior(self._priors.get(track.event_id), state)
        self._model(track, with_books(prior, self._told.get(track.unit), track.starts_at))
        value = track.value_now()
        if value is not None:
            self._guard_price(track, before, value, incidents, now)
        if not confirmed:
            return
        track.confirmed_at = now
        if not incidents:
            track.owed = max(0, track.owed - 1)
        self._check_age(track, now)
        if track.fit and value is not None:
            self._tell(track, value, now)
        else:
            track.fairs.clear()

    def _guard(self, track: Track[S], incidents: list[Incident], now: float) -> None:
        """Trip for what happened or should not have; pull, once, what is over or off."""
        settings = self._settings
        for incident in incidents:
            polls = settings.settle_polls if incident.kind in _PLAYED else settings.agree_polls
            self._hold(track, _REASONS[incident.kind], polls * settings.poll_s, now)
            if incident.kind in _WITHDRAWN | _PLAYED:
                track.owed = max(track.owed, polls)
        self._await_agreement(track, now)
        if track.ended or track.unpriced:
            self._close(track, Reason.FAIR_FINAL if track.ended else Reason.NO_FAIR, now)
        else:
            track.closed = False

    def _guard_price(
        self, track: Track[S], before: Valuation | None, after: Valuation, incidents: list[Incident], now: float
    ) -> None:
        """Trip for a shock that no play explains; else pull what has lost its edge."""
        settings = self._settings
        if track.closed:
            return
        explained = any(incident.kind in _PLAYED for incident in incidents)
        moved = 0.0 if before is None or explained else 100.0 * abs(after.p - before.p)
        if moved >= settings.kill_multiple * settings.base_edge_cents:
            self._hold(track, Reason.SHOCK, settings.shock_hold_s, now)
        elif not incidents:
            for ticker, sign in track.markets:
                if self._register.spoiled(ticker, _for_market(after.p, sign)):
                    self._register.pull(ticker, Reason.EDGE_GONE, source=self.address.name, at=now, trace=track.trace)

    # The model of a game

    def _model(self, track: Track[S], prior: Prior) -> None:
        """See that the game is priced from `prior`: at once where that takes no work, else when the work is done."""
        track.prior = prior
        wanted = (prior.p0, prior.total, track.season)
        if wanted == track.priced_from:
            return
        track.priced_from = wanted
        work = self._sport.solve(prior, track.season)
        try:
            next(work)
        except StopIteration as done:
            track.pricing = done.value
        else:
            self.spawn(self._solve, track, wanted, work)

    async def _solve(
        self, track: Track[S], wanted: tuple[float, float | None, int], work: Generator[None, None, Pricing[S]]
    ) -> None:
        """A slice at a time, so that nothing waits for it. The first price of the new model is told at the next poll."""
        while track.priced_from == wanted:
            await trio.lowlevel.checkpoint()
            try:
                next(work)
            except StopIteration as done:
                track.pricing = done.value
                self._assess(track, confirmed=False)
                return

    def _hold(self, track: Track[S], reason: Reason, hold_s: float, now: float) -> None:
        """Trip the game; while it is still down for the same reason, only hold it longer."""
        scope = kill.unit(track.unit)
        if self._tripped.get(track.unit) is reason and self._register.state(scope) is not State.ARMED:
            self._register.extend(scope, now + hold_s)
            return
        self._tripped[track.unit] = reason
        self._register.trip(scope, reason, source=self.address.name, at=now, hold_s=hold_s, trace=track.trace)

    def _await_agreement(self, track: Track[S], now: float) -> None:
        if track.owed:
            self._register.extend(kill.unit(track.unit), now + (track.owed + 1) * self._settings.poll_s)

    def _close(self, track: Track[S], reason: Reason, now: float) -> None:
        """Nothing rests on a game that is over or off; said once."""
        if not track.closed:
            track.closed = True
            for ticker, _ in track.markets:
                self._register.pull(ticker, reason, source=self.address.name, at=now, trace=track.trace)

    def _tell(self, track: Track[S], value: Valuation, now: float) -> None:
        assert track.state is not None  # it was valued
        atoms, sd = track.outlook(now, self._settings)
        phase, edge = self._sport.phase(track.state)
        why = f"{value}; prior {track.prior.p0:.3f} from {track.prior.why}" if track.prior is not None else str(value)
        for ticker, sign in track.markets:
            self._seq += 1
            fair = track.fairs[ticker] = Fair(
                market=ticker,
                p_true=_for_market(value.p, sign),
                reaction=atoms if sign > 0 else tuple((1.0 - p, weight) for p, weight in atoms),
                sd_1s=sd,
                state_edge=edge,
                phase=phase,
                source_at=track.source_at(now),
                confirmed_at=now,
                fence=self._register.fence(ticker),
                seq=self._seq,
                at=now,
                trace=track.trace,
                why=why,
            )
            self._pricer.tell(fair)

    # Silence

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(WATCH_S)
            now = self._clock.now()
            for track in self._tracks.values():
                self._await_agreement(track, now)
                self._check_age(track, now)
            self._report()

    def _check_age(self, track: Track[S], now: float) -> None:
        track.stale = track.staleness(now, self._settings)
        if track.stale:
            track.fairs.clear()
            self._hold(track, Reason.FEED_STALE, self._settings.stale_hold_s, now)

    def _report(self) -> None:
        tracks = self._tracks.values()
        stale = [f"{track.unit}: {track.stale}" for track in tracks if track.stale]
        errors = [error for error in (self._board_error, *(track.error for track in tracks)) if error]
        unmatched = [f"{name}: {why}" for name, why in self._unmatched.items()]
        refused = self._board.refused if self._board is not None else ()
        if not self._units:
            name = "idle"
        elif self._board is None:
            name = "connecting"
        else:
            name = "stale" if stale else "ready"
        priced = sum(1 for track in tracks if track.fairs)
        why = "; ".join([f"{priced} of {len(self._units)} games priced", *stale, *errors, *unmatched, *refused])
        self._telemetry.tell(Standing(self.address.name, name, why, self._clock.now()))


def _for_market(p_home: float, sign: int) -> float:
    return p_home if sign > 0 else 1.0 - p_home

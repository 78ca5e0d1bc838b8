"""The NBA oracle: ESPN's scoreboard and summaries in, p_true of every listed game out, and the kill register tripped in between.

    poll -> reduce -> compare -> trip or pull -> Fair

Everything after a document has come happens in one synchronous step, in that order: a move that spoils a quote sends its cancels before any
actor hears of the price that spoiled it. A feed that fails changes a game's state and nothing else: what was known is kept, not told again,
and goes stale.
"""

from __future__ import annotations

from random import Random

import trio

from actors.messages import Fair, Listing, Resend, Standing
from actors.oracles.nba_game import NbaOracleSettings as NbaOracleSettings
from actors.oracles.nba_game import Track
from actors.runtime import Address, TrioActor, handles
from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.feeds.espn import EspnClient, Scoreboard
from chimera.feeds.nba_match import Unit, match, units
from chimera.feeds.nba_plays import Incident, IncidentKind, compare, standing
from chimera.feeds.nba_prior import Prior, Source
from chimera.journal.recording import GamePrior
from chimera.models.nba import Valuation
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
}
_WITHDRAWN = frozenset({IncidentKind.SCORE_REVERSAL, IncidentKind.PLAY_VANISHED})


class NbaOracle(TrioActor):
    """Prices the NBA games of the present Listing; `universe` is asked for it again when an incarnation starts."""

    def __init__(
        self,
        *,
        espn: EspnClient,
        clock: WorldClock,
        register: KillRegister,
        pricer: Address,
        telemetry: Address,
        settings: NbaOracleSettings,
        rng: Random,
        universe: Address | None = None,
        priors: tuple[GamePrior, ...] = (),
    ) -> None:
        super().__init__()
        self._espn = espn
        self._clock = clock
        self._register = register
        self._pricer = pricer
        self._telemetry = telemetry
        self._settings = settings
        self._rng = rng
        self._universe = universe
        self._units: dict[str, Unit] = {}
        self._tracks: dict[str, Track] = {}
        self._unmatched: dict[str, str] = {}
        self._priors = {prior.event_id: Prior(prior.home, Source.GIVEN, prior.source) for prior in priors}
        self._tripped: dict[str, Reason] = {}
        self._board: Scoreboard | None = None
        self._board_error = ""
        self._seq = 0

    def on_start(self) -> None:
        self._espn.reset()
        self._telemetry.tell(Standing(self.address.name, "connecting", "no scoreboard yet", self._clock.now()))
        if self._universe is not None:
            self._universe.tell(Resend())
        self.spawn(self._poll)
        self.spawn(self._watch)

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        """The games that are followed now; what is known of one that stays is kept."""
        for market in message.markets:
            if market.domain == "nba":
                self._register.enroll(market.ticker, market.unit, market.domain)
        self._units = units(message.markets)
        self._rematch()

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

    async def _read_summary(self, track: Track) -> None:
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
        matched, unmatched = match(self._units, self._board.games if self._board is not None else ())
        tracks: dict[str, Track] = {}
        for name, unit in self._units.items():
            held, line = self._tracks.get(name), matched.get(name)
            if held is not None and (line.id == held.event_id if line is not None else held.summary is not None):
                tracks[name] = held
                held.follow(line)
                unmatched.pop(name, None)
            elif line is not None:
                tracks[name] = Track(name, line.id, line)
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

    def _assess(self, track: Track, *, confirmed: bool) -> None:
        """Everything that follows from what is known of a game now, in one step. Unconfirmed, it may kill but tells nothing."""
        state = track.reduced()
        if state is None or self._tracks.get(track.unit) is not track:
            return
        now, previous, before = self._clock.now(), track.state, track.value
        incidents = standing(state) if previous is None else compare(previous, state)
        prior = self._priors[track.event_id] = track.best_prior(self._priors.get(track.event_id), state)
        value = track.take(state, prior, now, self._settings, self._rng.getrandbits(48))
        self._guard(track, before, value, incidents, now)
        if not confirmed:
            return
        track.confirmed_at = now
        if not incidents:
            track.owed = max(0, track.owed - 1)
        self._check_age(track, now)
        if track.fit:
            self._tell(track, value, prior, now)
        else:
            track.fairs.clear()

    def _guard(self, track: Track, before: Valuation | None, after: Valuation, incidents: list[Incident], now: float) -> None:
        """Trip for what should not have happened and for a shock; else pull what has lost its edge."""
        settings = self._settings
        for incident in incidents:
            self._hold(track, _REASONS[incident.kind], settings.agree_polls * settings.poll_s, now)
            if incident.kind in _WITHDRAWN:
                track.owed = settings.agree_polls
        self._await_agreement(track, now)
        if track.ended or track.unpriced:
            self._close(track, Reason.FAIR_FINAL if track.ended else Reason.NO_FAIR, now)
            return
        track.closed = False
        if before is not None and 100.0 * abs(after.p - before.p) >= settings.kill_multiple * settings.base_edge_cents:
            self._hold(track, Reason.SHOCK, settings.shock_hold_s, now)
        elif not incidents:
            for ticker, sign in track.markets:
                if self._register.spoiled(ticker, _for_market(after.p, sign)):
                    self._register.pull(ticker, Reason.EDGE_GONE, source=self.address.name, at=now, trace=track.trace)

    def _hold(self, track: Track, reason: Reason, hold_s: float, now: float) -> None:
        """Trip the game; while it is still down for the same reason, only hold it longer."""
        scope = kill.unit(track.unit)
        if self._tripped.get(track.unit) is reason and self._register.state(scope) is not State.ARMED:
            self._register.extend(scope, now + hold_s)
            return
        self._tripped[track.unit] = reason
        self._register.trip(scope, reason, source=self.address.name, at=now, hold_s=hold_s, trace=track.trace)

    def _await_agreement(self, track: Track, now: float) -> None:
        if track.owed:
            self._register.extend(kill.unit(track.unit), now + (track.owed + 1) * self._settings.poll_s)

    def _close(self, track: Track, reason: Reason, now: float) -> None:
        """Nothing rests on a game that is over or off; said once."""
        if not track.closed:
            track.closed = True
            for ticker, _ in track.markets:
                self._register.pull(ticker, reason, source=self.address.name, at=now, trace=track.trace)

    def _tell(self, track: Track, value: Valuation, prior: Prior, now: float) -> None:
        atoms, sd = track.outlook(now, self._settings)
        phase, edge = track.phase(self._settings)
        why = f"{value}; prior {prior.p0:.3f} from {prior.why}"
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

    def _check_age(self, track: Track, now: float) -> None:
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

"""The odds oracle: bookmakers' pregame prices in, one prior a game out to the oracle of its sport.

    poll -> decode -> match with the listing -> Prior

What was thought of a game before it began stays true while it is played, and no document says it then any more: a prior that was told is
kept in `held`, which outlives this actor, and in the journal, which outlives the process; `Resend` tells every one of them again. A game
that could be two has none. Nothing depends on this actor from one second to the next: without it games are priced from ESPN's own lines.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from random import Random
from typing import Final

import attrs

from actors.messages import Listing, Note, Prior, Resend, Standing
from actors.runtime import Address, TrioActor, handles
from chimera.clock import WorldClock
from chimera.errors import FeedError
from chimera.feeds.game_match import Unit, units
from chimera.feeds.odds_api import OddsClient, OddsPage, fair, pause
from chimera.feeds.odds_match import match_odds
from chimera.journal.records import Pregame
from chimera.journal.shape import pregame_record

LOOK_S: Final = 5.0
"""World seconds between looks at what is due."""
RETRY_S: Final = 60.0
RETRY_MOST_S: Final = 3600.0
FORGET_S: Final = 24 * 3600.0
"""A game that began so long ago is over."""


@attrs.define(slots=True, eq=False)
class _League:
    """One league as it stands. Times are world unix s; `failures` in a row double the wait."""

    oracle: Address
    units: dict[str, Unit] = attrs.field(factory=dict)
    page: OddsPage | None = None
    due_at: float = 0.0
    failures: int = 0
    error: str = ""
    unmatched: dict[str, str] = attrs.field(factory=dict)


class OddsOracle(TrioActor):
    """Tells the oracles of `leagues` what bookmakers thought of the games of the present Listing."""

    def __init__(
        self,
        *,
        odds: OddsClient,
        clock: WorldClock,
        leagues: Mapping[str, Address],
        journal: Address,
        telemetry: Address,
        universe: Address,
        rng: Random,
        held: MutableMapping[str, Pregame],
    ) -> None:
        """`held` is by unit and shared by all incarnations, which alone write to it."""
        super().__init__()
        self._odds = odds
        self._clock = clock
        self._leagues = {name: _League(oracle) for name, oracle in leagues.items()}
        self._journal = journal
        self._telemetry = telemetry
        self._universe = universe
        self._rng = rng
        self._held = held

    def on_start(self) -> None:
        self._odds.reset()
        self._stand("connecting", "no odds yet")
        self._universe.tell(Resend())
        self._tell_all()
        self.spawn(self._run)

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        """The games that are followed now."""
        for name, league in self._leagues.items():
            before, league.units = set(league.units), units(message.markets, name)
            if league.page is not None:
                self._take(name, league)
            elif set(league.units) - before:
                league.due_at = 0.0

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        """Tell every prior again."""
        self._tell_all()

    def state_summary(self) -> dict[str, object]:
        """By unit: the prior and what it is from, or why there is none; and the quota."""
        told = {unit: f"{pregame.p_home:.3f} from {pregame.source}" for unit, pregame in self._held.items()}
        return {**self._missing(), **told, "credits": self._odds.remaining}

    # Polling

    async def _run(self) -> None:
        while True:
            for name, league in self._leagues.items():
                if league.units and self._clock.now() >= league.due_at:
                    await self._read(name, league)
                    self._report()
            await self._clock.sleep(LOOK_S)

    async def _read(self, name: str, league: _League) -> None:
        try:
            page = await self._odds.page(name)
        except FeedError as error:
            league.error = str(error)
            wait = min(RETRY_MOST_S, RETRY_S * 2.0**league.failures)
            league.failures = min(league.failures + 1, 10)
        else:
            league.error, league.failures = "", 0
            league.page = page or league.page
            self._take(name, league)
            wait = pause(self._clock.now(), self._starts(league), self._odds.remaining)
        league.due_at = self._clock.now() + wait * self._rng.uniform(0.95, 1.05)

    def _starts(self, league: _League) -> list[float]:
        """When the followed games begin, as far as anyone says."""
        events = () if league.page is None else league.page.events
        return [event.starts_at for event in events] or [u.start_at for u in league.units.values() if u.start_at is not None]

    # From a document to the oracles

    def _take(self, name: str, league: _League) -> None:
        """Match the newest document with the listing, and tell what is new. A price of a game under way is none."""
        if league.page is None:
            return
        matched, league.unmatched = match_odds(league.units, league.page.events, name)
        for unit, event in matched.items():
            found = fair(event, name, league.page.received_at)
            if found is None:
                league.unmatched[unit] = "no usable book"
                continue
            p_home, books = found
            source = f"{books} books of The Odds API"
            told = Pregame(name, unit, p_home, source, event.starts_at, league.page.received_at)
            before = self._held.get(unit)
            self._held[unit] = told
            if before is None or (before.p_home, before.starts_at) != (told.p_home, told.starts_at):
                self._journal.tell(Note(pregame_record(told)))
                league.oracle.tell(Prior(told))

    def _tell_all(self) -> None:
        self._forget(self._clock.now())
        for told in self._held.values():
            league = self._leagues.get(told.league)
            if league is not None:
                league.oracle.tell(Prior(told))

    def _forget(self, now: float) -> None:
        for unit in [unit for unit, told in self._held.items() if now - told.starts_at > FORGET_S]:
            del self._held[unit]

    # What is said of it

    def _report(self) -> None:
        errors = [f"{name}: {league.error}" for name, league in self._leagues.items() if league.error]
        missing = [f"{unit}: {why}" for unit, why in self._missing().items()]
        left = "" if self._odds.remaining is None else f"{self._odds.remaining} credits left"
        refused = [fault for league in self._leagues.values() if league.page is not None for fault in league.page.refused]
        known = f"{len(self._held)} priors"
        why = "; ".join(part for part in (known, left, *errors, *missing, *refused) if part)
        self._stand("stale" if errors else "ready", why)

    def _missing(self) -> dict[str, str]:
        """Why a followed game has no prior."""
        found = {unit: why for league in self._leagues.values() for unit, why in league.unmatched.items()}
        return {unit: why for unit, why in found.items() if unit not in self._held}

    def _stand(self, name: str, why: str) -> None:
        self._telemetry.tell(Standing(self.address.name, name, why, self._clock.now()))

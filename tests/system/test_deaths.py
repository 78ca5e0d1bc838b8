"""Every actor of the tree is killed once while quotes rest: the cancels leave first, nothing is forgotten, and the tree heals.

Deaths share runs, because a run takes a second to begin; each is judged by itself. No run has more deaths than its supervisors allow.
"""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import trio
from harness import SEVERAL, Death, Shadow, read_log, shadowing

from actors.app import Result
from actors.outcome import ExitCode
from chimera.audit.orders import audit_orders
from chimera.trading import venue_log as log
from chimera.trading.reasons import Reason
from chimera.trading.venue import Resting

pytestmark = pytest.mark.system

BOOK = "book"
"""Stands for the book of one market in which a quote rests when its turn comes."""
SCOPES = {
    "nba": "DOMAIN:nba",
    "pricer.nba": "DOMAIN:nba",
    **dict.fromkeys((BOOK, "books"), "MARKET:"),
    **dict.fromkeys(("stream", "universe", "risk", "reconciler", "heartbeat", "venue", "gateway"), "GLOBAL"),
    **dict.fromkeys(("safety", "exchange", "strategy"), "GLOBAL"),
    "oracles": "DOMAIN:nba",
    **dict.fromkeys(("journal", "scorekeeper", "telemetry", "memory", "ops"), ""),
}
"""What a death cancels; nothing where no order depends on the actor. A supervisor's children die with it, and trip what is theirs."""
TAKES_THE_GATEWAY = {"gateway", "venue", "safety"}
RUNS = (
    ("nba", "pricer.nba", BOOK, "books", "universe", "stream"),
    ("memory", "journal", "scorekeeper", "telemetry", "reconciler", "risk"),
    ("ops", "heartbeat", "gateway", "strategy"),
    ("venue", "oracles", "exchange", "safety"),
)


@attrs.define
class Trial:
    """One planted crash, who died of it (first things first), and what came of it. `fault` says why it did not heal."""

    actor: str
    deaths: list[Death] = attrs.Factory(list)
    gateway_before: int = 0
    gateway_after: int = 0
    healed: bool = False
    fault: str = ""

    @property
    def rested(self) -> tuple[Resting, ...]:
        """What rested when the first of them died."""
        return self.deaths[0].resting if self.deaths else ()

    @property
    def telling(self) -> bool:
        """Whether enough rested for the death to prove anything; of a book, also in its own market."""
        own = self.actor.removeprefix("book.")
        return len(self.rested) >= SEVERAL - 1 and (own == self.actor or own in {order.market for order in self.rested})


@attrs.define
class Storm:
    """One run with its deaths."""

    journal: Path
    trials: dict[str, Trial] = attrs.Factory(dict)
    strays: dict[str, float] = attrs.Factory(dict)
    resting_at_the_end: int = -1
    result: Result | None = None


async def endure(shadow: Shadow, trial: Trial) -> None:
    """Kill an actor while quotes rest; wait until it lives again and an order has left and rests that was decided after that."""
    await shadow.quoting()
    if trial.actor == BOOK:
        trial.actor = f"book.{shadow.resting()[0].market}"
    address = shadow.run.system.address(trial.actor)
    before = address.incarnation
    trial.gateway_before, dead = shadow.incarnation("gateway"), len(shadow.deaths)
    shadow.crash(trial.actor)
    await shadow.until(f"{trial.actor} lives again", lambda: address.alive and address.incarnation > before)
    trial.deaths = shadow.deaths[dead:]
    line = shadow.lines()
    await shadow.until(f"{trial.actor} dead, orders leave again", lambda: shadow.sent_since(line))
    await shadow.quoting()
    trial.gateway_after = shadow.incarnation("gateway")
    trial.healed = True


async def storm(ready: Path, journal: Path, actors: tuple[str, ...]) -> Storm:
    told = Storm(journal)
    async with shadowing(ready, journal) as shadow:
        for actor in actors:
            trial = told.trials[actor] = Trial(actor)
            try:
                await endure(shadow, trial)
            except AssertionError as fault:
                trial.fault = str(fault)
    told.strays, told.result = shadow.strays, shadow.result
    told.resting_at_the_end = len(shadow.resting())
    return told


def telling_storm(ready: Path, folder: Path, actors: tuple[str, ...]) -> Storm:
    """A storm in which each death found quotes at rest. One that did not proves nothing and is done again, twice at most."""
    for attempt in range(3):
        told = trio.run(storm, ready, folder / f"{'+'.join(actors)}.{attempt}.db", actors)
        if all(trial.telling for trial in told.trials.values() if trial.deaths):
            break
    return told


@pytest.fixture(scope="module")
def storms(ready: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Storm]:
    """Every run, by the actors that died in it."""
    folder = tmp_path_factory.mktemp("storms")
    found: dict[str, Storm] = {}
    for actors in RUNS:
        found |= dict.fromkeys(actors, telling_storm(ready, folder, actors))
    return found


every_actor = pytest.mark.parametrize("actor", SCOPES)
every_run = pytest.mark.parametrize("first", [actors[0] for actors in RUNS])


@every_actor
def test_several_quotes_rested_when_it_died(storms: dict[str, Storm], actor: str) -> None:
    trial = storms[actor].trials[actor]
    assert trial.actor in [death.actor for death in trial.deaths]
    assert trial.telling


@every_actor
def test_it_lives_again_and_orders_leave_again(storms: dict[str, Storm], actor: str) -> None:
    trial = storms[actor].trials[actor]
    assert trial.healed, trial.fault


@every_actor
def test_the_gateway_dies_only_with_what_it_stands_on(storms: dict[str, Storm], actor: str) -> None:
    trial = storms[actor].trials[actor]
    assert trial.gateway_after - trial.gateway_before == (actor in TAKES_THE_GATEWAY)


@every_actor
def test_the_cancels_of_its_scope_leave_before_any_order(storms: dict[str, Storm], actor: str) -> None:
    trial = storms[actor].trials[actor]
    died = trial.deaths[0]
    after = read_log(storms[actor].journal)[died.line :]
    fired = [line for line in after if isinstance(line, log.Fired) and line.reason == Reason.ACTOR_DOWN.value]
    if not SCOPES[actor]:
        assert trial.actor not in {line.source for line in fired}
        return
    scope = SCOPES[actor]
    if scope == "MARKET:":
        scope += trial.actor.removeprefix("book.") if actor == BOOK else trial.rested[0].market
    trip = next(line for line in fired if line.scope == scope)
    assert trip.source in {death.actor for death in trial.deaths}
    orders = [line for line in after if isinstance(line, log.Sent) and line.market in trip.fences]
    assert all(order.seq > trip.seq and order.fence >= trip.fences[order.market] for order in orders)


@every_run
def test_the_gateway_knew_every_order_that_rested(storms: dict[str, Storm], first: str) -> None:
    assert storms[first].strays == {}


@every_run
def test_nothing_rests_after_the_drain_and_every_order_is_proved(storms: dict[str, Storm], first: str) -> None:
    told = storms[first]
    assert told.resting_at_the_end == 0
    audit = audit_orders(told.journal)
    assert audit.offences == ()
    assert audit.accepted > 0
    assert told.result is not None
    assert told.result.code is ExitCode.OK
    assert told.result.summary.clean

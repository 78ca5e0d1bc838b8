"""What a live run has more than a shadow run: a guard, the exchange as its venue, and checks before either.

It starts nothing that could place an order before everything here has been proved: the keys, the clock, the account's limits, and cash on
each shard that is to be traded. What is missing is a `CredentialError`, the refusal to go live.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import attrs

from actors.boot import House, Housed, fresh_journal
from actors.guardian import Guardian, GuardPlan, guarded
from actors.rules import Rulebook
from actors.worlds import Kind, World
from chimera.conventions import ONE, Money, cost
from chimera.errors import CredentialError, VenueError
from chimera.kalshi.account import KalshiAccount, shards_without_cash
from chimera.kalshi.rest import KalshiRest
from chimera.kalshi.session import SKEW_ALARM
from chimera.kalshi.venue import KalshiVenue
from chimera.kalshi.writing import KalshiWriter
from chimera.trading.venue_log import Line, VenueLog

RUN_FILES: Final = Path("run")
"""Where the page and the kill file of a real account are: one of each, whatever journal a run keeps."""


@attrs.frozen(slots=True)
class Live:
    """The live part of a run."""

    journal: Path
    guardian: Guardian
    house: House


@asynccontextmanager
async def open_live(world: World, rules: Rulebook, journal: Path | None, seed: int) -> AsyncIterator[Live]:
    """Check everything, and start the guard. CredentialError where the run may not go live, ConfigError where files are in use."""
    writer, guard_key = world.writer, world.guard_key
    if writer is None:
        raise CredentialError(f"nothing can be sent in the world {world.place}: it is a recording")
    if guard_key is None:
        raise CredentialError("nothing is traded without a guard: set KALSHI_GUARD_KEY_ID and KALSHI_GUARD_PRIVATE_KEY_PATH")
    if guard_key.key_id == world.session.signer.key_id:
        raise CredentialError("the guard needs a key of its own: KALSHI_GUARD_KEY_ID is the trader's")
    rest = KalshiRest(world.door, world.session, Random(f"{seed}/live"))  # noqa: S311 - jitter of retries
    account = KalshiAccount(rest)
    cash = await _checked(world, rules, rest, account)
    path = journal or fresh_journal(world)
    page, kill_file = run_files(world, path)
    plan = GuardPlan(guard_key.key_id, guard_key.path, world.session.rest_url, page, kill_file, lifeline=world.lifeline)
    async with guarded(plan, world.clock) as guardian:

        def house(log: VenueLog, lines: tuple[Line, ...]) -> Housed:
            rng = Random(f"{seed}/writes")  # noqa: S311 - jitter of retries
            venue = KalshiVenue(
                door=world.door, session=world.session, writer=KalshiWriter(writer, world.session, rng), account=account, journal=log,
                lines=lines, cash=cash, cancelling_all=guardian.cancelling_all,
            )  # fmt: skip
            return Housed(venue, venue.run, cash, lasting=True)

        yield Live(path, guardian, house)


def run_files(world: World, journal: Path) -> tuple[Path, Path]:
    """The guard's page and the kill file. A real account has one of each; a simulated one lives no longer than its journal."""
    if world.place.kind in (Kind.LIVE, Kind.DEMO):
        return RUN_FILES / f"{world.place.kind.value}.page", RUN_FILES / "KILL"
    return journal.with_name(journal.name + ".page"), journal.with_name(journal.name + ".KILL")


async def _checked(world: World, rules: Rulebook, rest: KalshiRest, account: KalshiAccount) -> Money:
    """The account's cash, once its limits are known, its clock agrees with ours, and every shard to be traded can pay for an order."""
    try:
        await account.limits()
        await account.endpoint_costs()
        balance = await account.balance()
        markets = [market for series in rules.series for market in await rest.markets(series_ticker=series, status="open")]
    except VenueError as error:
        raise CredentialError(f"the exchange does not answer as it must before anything is placed: {error}") from None
    session = world.session
    if session.skewed:
        raise CredentialError(f"this machine's clock is {session.skew_s:+.1f} s off the exchange's, more than {SKEW_ALARM:g} s: mend it")
    largest = max(caps.size for caps in rules.caps.domains.values())
    short = shards_without_cash(balance, markets, cost(ONE, largest))
    if short:
        raise CredentialError("not enough cash: " + "; ".join(str(shard) for shard in short))
    return balance.cash

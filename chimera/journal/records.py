"""What the journal remembers, as values: the vocabulary between the gateway and the store.

An `Intent` is durable before its order leaves. A `Decision` is what was done or refused for one side of one market, with the inputs it was
made from; the decision hash is taken over these. A `Record` is everything else.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeAlias

import attrs

from chimera.conventions import Count, Price, Side
from chimera.trading.reasons import Reason

Value: TypeAlias = str | int | float | bool | None


@attrs.frozen(slots=True)
class Intent:
    """An order about to be sent, as it will be sent."""

    client_id: str
    market: str
    unit: str
    side: Side
    price: Price
    count: Count
    fence: int
    p_true: float
    required_edge: float
    expires_at: float
    at: float
    trace: int = 0


@attrs.frozen(slots=True)
class Decision:
    """What was decided for one side of one market. `price` and `count` are 0 where nothing was to rest.

    `waterfall` is the terms of the required edge, in cents, by name; it explains the decision and is no part of its hash.
    """

    market: str
    side: Side
    book_seq: int
    fair_seq: int
    action: str
    reason: Reason
    price: Price
    count: Count
    p_true: float
    at: float
    trace: int = 0
    waterfall: Mapping[str, float] = attrs.Factory(dict)


@attrs.frozen(slots=True)
class Pregame:
    """What bookmakers thought of a game before it began. Times are world unix s.

    `unit` is the game as the exchange names it, `p_home` the home side's chance in [0, 1] without vig, `source` who thought so, `starts_at`
    the start as they have it, `at` when they said it.
    """

    league: str
    unit: str
    p_home: float
    source: str
    starts_at: float
    at: float


class Kind(enum.StrEnum):
    """What a record is about; also its name in the store."""

    RUN = "run"
    OUTCOME = "outcome"
    GONE = "gone"
    FILL = "fill"
    PULL = "pull"
    KILL = "kill"
    ARMED = "armed"
    RESTART = "restart"
    SETTLED = "settled"
    MARKOUT = "markout"
    SCORE = "score"
    PRIOR = "prior"
    CONFIG = "config"


@attrs.frozen(slots=True)
class Record:
    """Anything else worth remembering: flat, so that it can be queried. `market` is empty where it concerns none."""

    kind: Kind
    at: float
    market: str = ""
    trace: int = 0
    fields: Mapping[str, Value] = attrs.Factory(dict)

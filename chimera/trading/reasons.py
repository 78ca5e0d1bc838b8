"""Why something was refused, pulled or killed: one closed vocabulary for decisions, the journal, the audit and the operator.

The value is what is stored and printed; it is part of the decision hash, so it never changes meaning.
"""

from __future__ import annotations

import enum


class Reason(enum.StrEnum):
    """A reason code. The sections follow the order in which a quote is examined."""

    # Not quoted: the first part of readiness that fails (architecture, section 4)
    NOT_LISTED = "not_listed"
    RECONCILING = "reconciling"
    DRAINING = "draining"
    VENUE_DOWN = "venue_down"
    JOURNAL_DOWN = "journal_down"
    GUARD_DOWN = "guard_down"
    CANCEL_ALL_TAIL = "cancel_all_tail"
    BOOK_UNSYNCED = "book_unsynced"
    NO_FAIR = "no_fair"
    FAIR_STALE = "fair_stale"
    FAIR_FINAL = "fair_final"
    MARKET_CLOSED = "market_closed"
    FEE_UNKNOWN = "fee_unknown"
    HELD = "held"
    LATCHED = "latched"
    # Not priced
    NO_EDGE = "no_edge"
    TOO_VOLATILE = "too_volatile"
    DISAGREEMENT = "disagreement"
    NO_SIZE = "no_size"
    OFF_GRID = "off_grid"
    # Refused by the gateway in the step that writes
    STALE_FENCE = "stale_fence"
    QUOTE_STALE = "quote_stale"
    ABOVE_ANCHOR = "above_anchor"
    WOULD_CROSS = "would_cross"
    ORDER_SIZE = "order_size"
    MARKET_POSITION = "market_position"
    EVENT_LOSS = "event_loss"
    DOMAIN_NOTIONAL = "domain_notional"
    TOTAL_NOTIONAL = "total_notional"
    OPEN_ORDERS = "open_orders"
    WRITE_TOKENS = "write_tokens"
    DAILY_LOSS = "daily_loss"
    IN_FLIGHT = "in_flight"
    # Kept, replaced, renewed, cancelled
    PLACED = "placed"
    KEPT = "kept"
    REPLACED = "replaced"
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    ORPHAN = "orphan"
    # Pulls and kills
    EDGE_GONE = "edge_gone"
    SHOCK = "shock"
    SCORE_REVERSAL = "score_reversal"
    PLAY_VANISHED = "play_vanished"
    REVIEW = "review"
    GOAL = "goal"
    PENALTY = "penalty"
    GOALIE = "goalie"
    UNEXPLAINED_MOVE = "unexplained_move"
    FEED_STALE = "feed_stale"
    BOOK_GAP = "book_gap"
    ACTOR_DOWN = "actor_down"
    OVERFLOW = "overflow"
    STALL = "stall"
    POSITION_MISMATCH = "position_mismatch"
    TAKER_FILL = "taker_fill"
    GUARD_FIRED = "guard_fired"
    OPERATOR = "operator"
    SHUTDOWN = "shutdown"

"""The scorekeeper: what we said against what happened.

It samples what we and the market said of every live market, scores both once the market settles, and marks our fills against what was
said later. It only listens: no decision waits for it, and if it dies, samples of unsettled markets are lost and nothing else.
"""

from __future__ import annotations

from collections import defaultdict

import attrs

from actors.messages import Note, Said, ScoreRequest, Settled, VenueEvent
from actors.runtime import Address, TrioActor, handles
from chimera.conventions import probability
from chimera.journal.records import Kind, Record
from chimera.trading.markout import Markout, Markouts
from chimera.trading.score import Samples, Scoreboard
from chimera.trading.venue import Fill

SAMPLE_EVERY_S = 10.0
"""World seconds between two samples of one market: closer ones say the same thing twice."""


@attrs.define(slots=True)
class _Followed:
    """A market that has not settled."""

    domain: str
    sampled_at: float
    samples: Samples = attrs.Factory(Samples)


class Scorekeeper(TrioActor):
    """`journal` is told every markout and every settled market's score."""

    def __init__(self, *, journal: Address, sample_every: float = SAMPLE_EVERY_S) -> None:
        super().__init__()
        self._journal = journal
        self._sample_every = sample_every
        self._followed: dict[str, _Followed] = {}
        self._settled: set[str] = set()
        self._boards: defaultdict[str, Scoreboard] = defaultdict(Scoreboard)
        self._markouts = Markouts()

    @handles(Said)
    def on_said(self, message: Said) -> None:
        if message.market in self._settled:
            return
        for taken in self._markouts.observe(message.market, message.p_true, message.mid, message.at):
            self._journal.tell(Note(_markout_record(taken, message.at)))
        followed = self._followed.get(message.market)
        if followed is None:
            followed = self._followed[message.market] = _Followed(message.domain, message.at - self._sample_every)
            self._boards[message.domain]  # a domain that was quoted is reported, if only with n = 0
        if message.mid is not None and message.at - followed.sampled_at >= self._sample_every:
            followed.sampled_at = message.at
            followed.samples.add(message.p_true, message.mid)

    @handles(VenueEvent)
    def on_venue(self, message: VenueEvent) -> None:
        """Fills are marked; every other event of an order is not this actor's subject."""
        if isinstance(message.event, Fill):
            self._markouts.add(message.event)

    @handles(Settled)
    def on_settled(self, message: Settled) -> None:
        """Score a market once. Told again, or of a market nobody spoke of, it changes nothing."""
        self._markouts.close(message.market)
        self._settled.add(message.market)
        followed = self._followed.pop(message.market, None)
        if followed is None or not followed.samples.model.n:
            return
        score = self._boards[followed.domain].settle(followed.samples, probability(message.value))
        fields = {"domain": followed.domain, "outcome": probability(message.value), **attrs.asdict(score)}
        self._journal.tell(Note(Record(Kind.SCORE, message.at, message.market, fields=fields)))

    @handles(ScoreRequest)
    def on_request(self, _message: ScoreRequest) -> dict[str, dict[str, float | int | None]]:
        """Brier by domain over settled markets: the model's, the market's on the same samples, and how many. None where n is 0."""
        scores = {domain: board.score for domain, board in sorted(self._boards.items())}
        return {domain: {"model": score.model, "market": score.market, "n": score.n} for domain, score in scores.items()}

    def state_summary(self) -> dict[str, object]:
        return {
            "followed": len(self._followed),
            "settled": len(self._settled),
            "fills waiting": len(self._markouts),
            "markouts missed": self._markouts.missed,
        }


def _markout_record(taken: Markout, at: float) -> Record:
    fill = taken.fill
    return Record(
        Kind.MARKOUT,
        at,
        fill.market,
        fields={
            "fill_id": fill.fill_id,
            "client_id": fill.client_id,
            "side": fill.side.value,
            "price": fill.price,
            "count": fill.count,
            "horizon": taken.horizon,
            "after": taken.after,
            "vs_mid": taken.vs_mid,
            "vs_true": taken.vs_true,
        },
    )

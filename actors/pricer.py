"""The pricer of one domain: Fair and TopOfBook in, the wanted Quote out.

It keeps the latest of each by market and asks `chimera.trading.quotes` on every change; all it adds is what a pure function cannot hold:
which inputs are current, how many polls in a row disagreed with the market, and what was told last. Every handler is synchronous. A quote
carries the lower of its inputs' fences, so it can never outlive a kill that either input had not seen.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors.messages import Fair, Listing, Phase, Quote, Resend, Said, Standing, TopOfBook
from actors.runtime import Address, TrioActor, handles
from chimera.conventions import Count, Money, cents
from chimera.markets import Market
from chimera.models.blend import PoolPrior
from chimera.trading.ev import FlowPrior
from chimera.trading.kill import KillRegister
from chimera.trading.quotes import Belief, QuoteDecision, Rules, Top, Waterfall, disagrees, quote
from chimera.trading.reasons import Reason

UNKNOWN = 0.5
"""The p_true of a refusal that has no fair to name."""


@attrs.frozen(slots=True)
class PricerSettings:
    """How a domain is quoted: edges and disagreement in cents, `fair_stale` in seconds, `bankroll` in 1e-6 dollars.

    A Fair last confirmed more than `fair_stale` ago is not believed; `disagreement_polls` in a row halt a market.
    """

    base_edge_cents: float
    max_disagreement_cents: float
    disagreement_polls: int
    kelly_fraction: float
    bankroll: Money
    size: Count
    fair_stale: float
    flow: FlowPrior
    pool: PoolPrior

    def rules(self, market: Market) -> Rules:
        """The rules of one market of the domain."""
        return Rules(
            grid=market.grid,
            fee=market.fee,
            flow=self.flow,
            pool=self.pool,
            base_edge=self.base_edge_cents,
            max_disagreement=self.max_disagreement_cents,
            disagreement_polls=self.disagreement_polls,
            kelly_fraction=self.kelly_fraction,
            bankroll=self.bankroll,
            size=self.size,
        )


@attrs.define(slots=True)
class _Desk:
    """All that is held of one market. `asked` is the fence under which its book was last asked to tell again."""

    rules: Rules
    top: TopOfBook | None = None
    fair: Fair | None = None
    disagreeing: int = 0
    told: Quote | None = None
    asked: int = -1


class PricerActor(TrioActor):
    """Prices the markets of `domain` that are listed. `sources` (oracle, universe) are asked to tell again when an incarnation starts."""

    def __init__(
        self,
        *,
        domain: str,
        register: KillRegister,
        gateway: Address,
        scorekeeper: Address,
        telemetry: Address,
        book_of: Callable[[str], Address],
        settings: PricerSettings,
        sources: tuple[Address, ...] = (),
    ) -> None:
        super().__init__()
        self._domain = domain
        self._register = register
        self._gateway = gateway
        self._scorekeeper = scorekeeper
        self._telemetry = telemetry
        self._book_of = book_of
        self._settings = settings
        self._sources = sources
        self._desks: dict[str, _Desk] = {}

    def on_start(self) -> None:
        self._telemetry.tell(Standing(self.address.name, "connecting", "no listing yet", self.system.now()))
        for source in self._sources:
            source.tell(Resend())

    @handles(Listing)
    def on_listing(self, message: Listing) -> None:
        """The markets that are followed now. What is known of a market that stays is kept; a new one's book is asked for its top."""
        listed = {market.ticker: market for market in message.markets if market.domain == self._domain}
        self._desks = {ticker: desk for ticker, desk in self._desks.items() if ticker in listed}
        for ticker, market in listed.items():
            rules = self._settings.rules(market)
            desk = self._desks.get(ticker)
            if desk is None:
                self._desks[ticker] = _Desk(rules)
                self._book_of(ticker).tell(Resend(ticker))
            elif desk.rules != rules:
                desk.rules = rules
                self._price(ticker, desk, message.at, trace=0, always=False)
        state = ("ready", "") if listed else ("idle", "no market is listed")
        self._telemetry.tell(Standing(self.address.name, *state, message.at))

    @handles(TopOfBook)
    def on_top(self, message: TopOfBook) -> None:
        desk = self._desks.get(message.market)
        if desk is not None:
            before, desk.top = desk.top, message
            if before is None or _view(before) != _view(message) or self._stale(desk, message.at):
                self._price(message.market, desk, message.at, message.trace, always=False)

    @handles(Fair)
    def on_fair(self, message: Fair) -> None:
        """One poll's word: it counts for or against the market's agreement, and its quote is told even if unchanged, to stay fresh."""
        desk = self._desks.get(message.market)
        if desk is not None:
            desk.fair = message
            apart = disagrees(message.p_true, _visible(desk.top).mid, desk.rules.max_disagreement)
            desk.disagreeing = desk.disagreeing + 1 if apart else 0
            self._price(message.market, desk, message.at, message.trace, always=True)

    @handles(Resend)
    def on_resend(self, message: Resend) -> None:
        for ticker, desk in self._desks.items():
            if desk.told is not None and message.market in ("", ticker):
                self._gateway.tell(desk.told)

    def state_summary(self) -> dict[str, object]:
        """By market: the quote told last in cents, or why there is none."""
        return {ticker: "silent" if desk.told is None else _line(desk.told) for ticker, desk in self._desks.items()}

    def _price(self, ticker: str, desk: _Desk, at: float, trace: int, *, always: bool) -> None:
        self._freshen(ticker, desk)
        unready = self._unready(desk, at)
        wanted = _quote(ticker, desk, _decide(desk, unready, at), at, trace)
        if always or desk.told is None or _differs(wanted, desk.told):
            desk.told = wanted
            self._gateway.tell(wanted)
        if desk.fair is not None and unready in _STILL_SAID:
            self._scorekeeper.tell(Said(ticker, self._domain, desk.fair.p_true, wanted.why.mid, at))

    def _freshen(self, ticker: str, desk: _Desk) -> None:
        """Have the book tell again where its word is older than a kill: nothing else may move in the book for minutes."""
        fence = self._register.fence(ticker)
        if desk.top is not None and desk.top.fence < fence and desk.asked < fence:
            desk.asked = fence
            self._book_of(ticker).tell(Resend(ticker))

    def _unready(self, desk: _Desk, at: float) -> Reason | None:
        """Which input is missing or not to be believed; the first that is."""
        fair = desk.fair
        if fair is None:
            return Reason.NO_FAIR
        if fair.phase is Phase.FINAL:
            return Reason.FAIR_FINAL
        if desk.top is None or not desk.top.synced:
            return Reason.BOOK_UNSYNCED
        return Reason.FAIR_STALE if self._stale(desk, at) else None

    def _stale(self, desk: _Desk, at: float) -> bool:
        return desk.fair is not None and at - desk.fair.confirmed_at > self._settings.fair_stale


_STILL_SAID = frozenset({None, Reason.BOOK_UNSYNCED})
"""What may be missing while our own probability still stands and is scored."""


def _view(top: TopOfBook) -> tuple[object, ...]:
    """All of a top that a quote depends on; sizes are no part of it."""
    return top.bid, top.ask, top.synced, top.fence


def _visible(top: TopOfBook | None) -> Top:
    """The book as far as it is to be believed."""
    return Top() if top is None or not top.synced else Top(top.bid, top.ask)


def _decide(desk: _Desk, unready: Reason | None, at: float) -> QuoteDecision:
    fair, top = desk.fair, _visible(desk.top)
    if fair is None:
        return QuoteDecision.none(Waterfall.refused(Reason.NO_FAIR, UNKNOWN, top.mid))
    if unready is not None:
        return QuoteDecision.none(Waterfall.refused(unready, fair.p_true, top.mid))
    age = max(0.0, at - fair.confirmed_at)
    belief = Belief(fair.p_true, fair.reaction, fair.sd_1s, fair.state_edge, fair.phase.value, age)
    return quote(belief, top, desk.rules, disagreeing=desk.disagreeing, at=at)


def _quote(ticker: str, desk: _Desk, decision: QuoteDecision, at: float, trace: int) -> Quote:
    """The decision as a message. Its fence is the lowest of its inputs'; -1, which no fence ever is, where it had none."""
    fair, top = desk.fair, desk.top
    return Quote(
        market=ticker,
        bid=decision.bid,
        ask=decision.ask,
        size=decision.size,
        fence=min((given.fence for given in (fair, top) if given is not None), default=-1),
        p_true=UNKNOWN if fair is None else fair.p_true,
        bid_edge=decision.why.bid.total,
        ask_edge=decision.why.ask.total,
        keep=decision.keep,
        why=decision.why,
        book_seq=0 if top is None else top.seq,
        fair_seq=0 if fair is None else fair.seq,
        fair_at=0.0 if fair is None else fair.confirmed_at,
        at=at,
        trace=trace,
    )


def _differs(wanted: Quote, told: Quote) -> bool:
    """Whether the gateway would do anything else: other prices, another count, another fence or another reason."""
    return _gist(wanted) != _gist(told)


def _gist(quote: Quote) -> tuple[object, ...]:
    return quote.bid, quote.ask, quote.size, quote.fence, quote.why.bid.reason, quote.why.ask.reason


def _line(quote: Quote) -> str:
    sides = ((quote.bid, quote.why.bid.reason), (quote.ask, quote.why.ask.reason))
    return " / ".join(f"{cents(price):g}" if price is not None else str(reason and reason.value) for price, reason in sides)

"""What a market means: proved by its fields and rules together, or refused."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chimera.conventions import ONE
from chimera.kalshi import decode
from chimera.kalshi.schema import KalshiEvent, KalshiMarket, KalshiSeries
from chimera.markets import CENT_GRID, FeeTerms, Market, PriceGrid, Refused, Status, parse_market
from chimera.teams import NBA, NHL

SERIES = KalshiSeries("KXNBAGAME", "quadratic", 1.0)
RULES = (
    "If New York wins the New York at Indiana professional basketball game originally scheduled for May 31, 2025, "
    "then the market resolves to Yes."
)
RAW = KalshiMarket(
    ticker="KXNBAGAME-25MAY31NYKIND-NYK",
    event_ticker="KXNBAGAME-25MAY31NYKIND",
    status="active",
    open_time=1_748_500_000.0,
    close_time=1_749_900_000.0,
    price_ranges=((0, 10_000, 100),),
    title="New York at Indiana Winner?",
    yes_sub_title="New York",
    no_sub_title="New York",
    rules_primary=RULES,
    expected_expiration_time=1_748_750_000.0,
    occurrence_time=1_748_736_000.0,
    exchange_index=3,
)
BANDED = PriceGrid(((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10)))


def parsed(**changes: object) -> Market:
    market = parse_market(attrs.evolve(RAW, **changes), SERIES)
    assert isinstance(market, Market), market
    return market


def refusal(**changes: object) -> str:
    market = parse_market(attrs.evolve(RAW, **changes), SERIES)
    assert isinstance(market, Refused), market
    assert market.ticker == changes.get("ticker", RAW.ticker)
    return market.why


class TestGame:
    def test_yes_means_that_the_suffix_team_wins_away(self):
        meaning = parsed().meaning
        assert (meaning.team.code, meaning.opponent.code, meaning.home, meaning.day) == ("NYK", "IND", False, dt.date(2025, 5, 31))

    def test_the_other_market_of_the_game_means_the_home_team(self):
        market = parsed(
            ticker="KXNBAGAME-25MAY31NYKIND-IND", yes_sub_title="Indiana", rules_primary=RULES.replace("If New York", "If Indiana")
        )
        assert (market.meaning.team.code, market.meaning.opponent.code, market.meaning.home) == ("IND", "NYK", True)

    def test_both_markets_of_a_game_are_one_unit(self):
        assert parsed().unit == parsed().event == "KXNBAGAME-25MAY31NYKIND"
        assert parsed().domain == "nba"

    @pytest.mark.parametrize("wording", ["New York vs Indiana", "New York vs. Indiana", "Indiana vs New York"])
    def test_a_versus_wording_leaves_home_unknown(self, wording):
        assert parsed(rules_primary=RULES.replace("New York at Indiana", wording)).meaning.home is None

    def test_mens_professional_basketball_is_the_same_game(self):
        assert parsed(rules_primary=RULES.replace("professional", "men's professional")).meaning.team.code == "NYK"

    def test_the_two_los_angeles_teams_are_told_apart(self):
        market = parsed(
            ticker="KXNBAGAME-26NOV22LALLAC-LAC",
            event_ticker="KXNBAGAME-26NOV22LALLAC",
            yes_sub_title="Los Angeles C",
            rules_primary=(
                "If Los Angeles C wins the Los Angeles L at Los Angeles C professional basketball game "
                "originally scheduled for Nov 22, 2026, then the market resolves to Yes."
            ),
        )
        assert (market.meaning.team.code, market.meaning.opponent.code, market.meaning.home) == ("LAC", "LAL", True)

    def test_the_rest_of_the_record_is_carried(self):
        market = parsed(result="no", settlement_value=0, status="finalized")
        assert (market.ticker, market.series, market.title) == (RAW.ticker, "KXNBAGAME", RAW.title)
        assert (market.grid, market.status, market.result, market.settlement_value) == (CENT_GRID, Status.FINALIZED, "no", 0)
        assert (market.open_at, market.close_at, market.exchange_index) == (RAW.open_time, RAW.close_time, 3)
        assert (market.start_at, market.expected_end_at) == (RAW.occurrence_time, RAW.expected_expiration_time)

    def test_without_an_occurrence_the_expected_end_bounds_the_start(self):
        assert parsed(occurrence_time=None).start_at == RAW.expected_expiration_time

    def test_orders_can_rest_only_while_active_and_between_open_and_close(self):
        market = parsed()
        assert market.trading(RAW.open_time)
        assert not market.trading(RAW.open_time - 1)
        assert not market.trading(RAW.close_time)
        assert not parsed(status="inactive").trading(RAW.open_time)


class TestHockey:
    """The wordings that hockey's markets have been seen with; all mean the same."""

    SERIES = KalshiSeries("KXNHLGAME", "quadratic_with_maker_fees", 1.0)

    def parsed(self, codes, suffix, subtitle, rules, day="26OCT05"):
        event = f"KXNHLGAME-{day}{codes}"
        raw = attrs.evolve(RAW, ticker=f"{event}-{suffix}", event_ticker=event, yes_sub_title=subtitle, rules_primary=rules)
        return parse_market(raw, self.SERIES)

    @pytest.mark.parametrize(
        ("codes", "suffix", "subtitle", "day", "home", "rules"),
        [
            ("SJDAL", "SJ", "San Jose", "26OCT05", None,
             "San Jose wins the San Jose vs Dallas NHL game originally scheduled for Oct 5, 2026"),
            ("COLNJ", "NJ", "New Jersey", "25OCT26", None, "NJ Devils wins the Colorado vs New Jersey PRO game scheduled for Oct 26, 2025"),
            ("CARVGK", "VGK", "Vegas", "26JUN14", True,
             "VGK Golden Knights wins the Game 6: Carolina at Vegas PRO game scheduled for Jun 14, 2026"),
            ("TORNYI", "NYI", "New York I", "26OCT05", True,
             "New York I wins the Toronto at New York I PRO game originally scheduled for Oct 5, 2026"),
        ],
    )  # fmt: skip
    def test_each_wording_is_read(self, codes, suffix, subtitle, day, home, rules):
        sentence = f"If {rules.replace('PRO', 'professional hockey')}, then the market resolves to Yes."
        market = self.parsed(codes, suffix, subtitle, sentence, day)
        assert isinstance(market, Market), market
        assert (market.domain, market.meaning.team.code, market.meaning.home) == ("nhl", suffix, home)
        assert market.meaning.team.code in codes

    @pytest.mark.parametrize(
        ("subtitle", "rules", "why"),
        [
            ("Dallas", "If San Jose wins the San Jose vs Dallas NHL game", "yes_sub_title says DAL"),
            ("San Jose", "If Dallas wins the San Jose vs Dallas NHL game", "rules_primary says DAL"),
            ("San Jose", "If San Jose wins the San Jose vs Dallas NBA game", "about NBA"),
            ("San Jose", "If San Jose wins the San Jose vs Dallas professional basketball game", "about basketball"),
            ("San Jose", "If San Jose wins the 1st period of the San Jose vs Dallas NHL game", "1st period"),
            ("New York", "If San Jose wins the San Jose vs Dallas NHL game", "names 'New York'"),
        ],
    )
    def test_what_says_otherwise_is_refused(self, subtitle, rules, why):
        whole = f"{rules} originally scheduled for Oct 5, 2026, then the market resolves to Yes."
        market = self.parsed("SJDAL", "SJ", subtitle, whole)
        assert isinstance(market, Refused)
        assert why in market.why

    def test_two_letter_codes_are_told_apart(self):
        assert [NHL.split(codes) is not None for codes in ("LATB", "NJSJ", "NYINYR", "LALA", "TBXX")] == [True, True, True, False, False]

    def test_every_team_is_known_by_code_city_and_nickname_and_espns_abbreviation(self):
        assert len(NHL.teams) == 32
        for team in NHL.teams:
            assert {NHL.by_code(team.code), NHL.by_espn(team.espn), NHL.by_name(team.city), NHL.by_name(team.nickname)} == {team}


class TestRefused:
    """One record at a time says something else than the others, and the market is not traded."""

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"yes_sub_title": "Indiana"}, "yes_sub_title says IND"),
            ({"yes_sub_title": ""}, "names ''"),
            ({"yes_sub_title": "Los Angeles"}, "no NBA team"),
            ({"ticker": "KXNBAGAME-25MAY31NYKIND-BOS"}, "suffix 'BOS'"),
            ({"ticker": "KXNBAGAME-25MAY30NYKIND-NYK"}, "not its event"),
            ({"event_ticker": "KXNBAGAME-25MAY31NYKXXX", "ticker": "KXNBAGAME-25MAY31NYKXXX-NYK"}, "not two NBA teams"),
            ({"event_ticker": "KXNBAGAME-25MAY31NYKNYK", "ticker": "KXNBAGAME-25MAY31NYKNYK-NYK"}, "not two NBA teams"),
            ({"event_ticker": "KXNBAGAME-NYKIND", "ticker": "KXNBAGAME-NYKIND-NYK"}, "not SERIES-YYMONDD"),
            ({"event_ticker": "KXNBAGAME-25FEB31NYKIND", "ticker": "KXNBAGAME-25FEB31NYKIND-NYK"}, "no date"),
            ({"rules_primary": ""}, "not a wording that is known"),
            ({"rules_primary": RULES.replace("If New York", "If Indiana")}, "says IND wins"),
            ({"rules_primary": RULES.replace("at Indiana", "at Boston")}, "NYK at BOS"),
            ({"rules_primary": RULES.replace("New York at Indiana", "Indiana at New York")}, "IND at NYK"),
            ({"rules_primary": RULES.replace("wins", "loses")}, "not a wording that is known"),
            ({"rules_primary": RULES.replace("to Yes", "to No")}, "not a wording that is known"),
            ({"rules_primary": RULES + " Otherwise it does too."}, "not a wording that is known"),
            ({"rules_primary": RULES.replace("wins the", "wins the first half of the")}, "no NBA team"),
            ({"rules_primary": RULES.replace("basketball", "tennis")}, "about tennis"),
            ({"rules_primary": RULES.replace("May 31", "Jun 1")}, "dated 2025-06-01"),
            ({"rules_primary": RULES.replace("May", "Mai")}, "no date"),
            ({"price_ranges": ()}, "no valid price"),
            ({"price_ranges": ((0, 10_000, 0),)}, "price band"),
            ({"result": "scalar"}, "'scalar'"),
            ({"market_type": "scalar"}, "'scalar'"),
            ({"mve_collection_ticker": "KXMVENBA"}, "combo"),
            ({"ticker": "KXMVENBASINGLEGAME-S1"}, "combo"),
            ({"status": "dreaming"}, "dreaming"),
        ],
    )
    def test_disagreement_is_refused_with_its_reason(self, changes, why):
        assert why in refusal(**changes)

    def test_a_series_without_a_known_meaning_is_refused(self):
        market = parse_market(RAW, attrs.evolve(SERIES, ticker="KXNBATOTAL"))
        assert isinstance(market, Refused)
        assert "KXNBATOTAL" in market.why

    def test_a_market_of_another_series_is_refused(self):
        assert "not of series" in refusal(ticker="KXNBASERIES-25-NYK")

    @pytest.mark.data
    def test_no_recorded_market_of_another_sport_is_taken_for_a_game(self, shared_data):
        page, _ = decode.page((shared_data / "kalshi/demo_rest_ws/markets__status_open.json").read_bytes(), "markets")
        assert len(page) == 200
        for raw in page:
            market = decode.market(raw)
            # As if it were listed as a game: nothing in its wording may pass for one.
            game = attrs.evolve(market, ticker=f"KXNBAGAME-{market.ticker}", event_ticker=f"KXNBAGAME-{market.event_ticker}")
            assert isinstance(parse_market(market, SERIES), Refused)
            assert isinstance(parse_market(game, SERIES), Refused)


class TestFees:
    def test_the_series_sets_the_terms(self):
        assert parsed().fee == FeeTerms("quadratic", Fraction(1))

    def test_an_event_overrides_its_series(self):
        event = KalshiEvent(RAW.event_ticker, "KXNBAGAME", fee_type_override="flat", fee_multiplier_override=0.1)
        market = parse_market(RAW, SERIES, event)
        assert isinstance(market, Market)
        assert market.fee == FeeTerms("flat", Fraction(1, 10))

    def test_another_event_overrides_nothing(self):
        market = parse_market(RAW, SERIES, KalshiEvent("KXNBAGAME-25JUN01NYKIND", "KXNBAGAME", fee_type_override="flat"))
        assert isinstance(market, Market)
        assert market.fee.fee_type == "quadratic"

    def test_a_waiver_is_carried_with_its_end(self):
        assert parsed(fee_waiver_expiration_time=5.0).fee.waived_until == 5.0


class TestPriceGrid:
    def test_zero_and_one_are_never_valid(self):
        assert not CENT_GRID.valid(0)
        assert not CENT_GRID.valid(ONE)
        assert CENT_GRID.floor(ONE) == 9_900
        assert CENT_GRID.ceil(0) == 100

    def test_past_the_ends_there_is_no_price(self):
        assert CENT_GRID.floor(99) is None
        assert CENT_GRID.ceil(9_901) is None
        assert CENT_GRID.down(100) is None
        assert CENT_GRID.up(9_900) is None

    def test_a_boundary_belongs_to_both_bands(self):
        odd = PriceGrid(((0, 1_000, 300), (1_000, 10_000, 1_000)))
        assert [price for price in range(1, 2_001) if odd.valid(price)] == [300, 600, 900, 1_000, 2_000]

    def test_steps_change_with_the_band(self):
        assert (BANDED.up(990), BANDED.up(1_000), BANDED.down(1_100), BANDED.up(9_000)) == (1_000, 1_100, 1_000, 9_010)

    def test_the_tick_reaches_every_band(self):
        assert (CENT_GRID.tick, BANDED.tick) == (100, 10)

    @pytest.mark.parametrize("bands", [(), ((0, 0, 1),), ((5, 3, 1),), ((0, 20_000, 1),), ((0, 10, 0),), ((0, 50, 10), (40, 90, 10))])
    def test_bands_that_make_no_grid_are_refused(self, bands):
        with pytest.raises(ValueError, match="price band"):
            PriceGrid(bands)

    @settings(max_examples=100, deadline=None)
    @given(price=st.integers(-100, ONE + 100), grid=st.sampled_from([CENT_GRID, BANDED, PriceGrid(((0, 105, 10), (105, 9_000, 50)))]))
    def test_floor_and_ceil_are_the_nearest_valid_prices(self, price, grid):
        valid = [p for p in range(1, ONE) if grid.valid(p)]
        assert grid.floor(price) == max((p for p in valid if p <= price), default=None)
        assert grid.ceil(price) == min((p for p in valid if p >= price), default=None)
        assert all(p % grid.tick == 0 for p in valid)


class TestTeams:
    def test_thirty_teams_by_every_spelling(self):
        assert len(NBA.teams) == 30
        for team in NBA.teams:
            assert NBA.by_code(team.code) is team
            assert NBA.by_espn(team.espn) is team
            assert all(NBA.by_name(name) is team for name in (team.city, team.name, team.nickname, team.name.upper()))

    @pytest.mark.parametrize(
        ("espn", "code"), [("GS", "GSW"), ("NY", "NYK"), ("SA", "SAS"), ("NO", "NOP"), ("UTAH", "UTA"), ("WSH", "WAS"), ("BKN", "BKN")]
    )
    def test_espn_abbreviates_otherwise(self, espn, code):
        team = NBA.by_espn(espn)
        assert team is not None
        assert team.code == code

    def test_a_city_of_two_teams_names_none(self):
        assert NBA.by_name("Los Angeles") is None
        assert NBA.by_name("LA Clippers") is NBA.by_code("LAC")

    @pytest.mark.data
    def test_every_code_in_the_recorded_tickers_is_known(self, shared_data):
        parquet = pytest.importorskip("pyarrow.parquet")
        path = shared_data / "kalshi/nba_minute_trades/trades_2025.parquet"
        tickers = set(parquet.read_table(path, columns=["ticker"])["ticker"].to_pylist())
        assert len(tickers) > 300
        for ticker in tickers:
            _, event, code = ticker.split("-")
            sides = NBA.split(event[7:])
            assert sides is not None, ticker
            assert NBA.by_code(code) in sides

"""The models' scores on recorded games, as shipped and with the scored season left out; and what is said where files are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from chimera.audit import nba_score, nhl_score
from chimera.audit.models import audit_models
from chimera.audit.nba_score import Event
from chimera.errors import ConfigError
from chimera.models.nba import PARAMS, NbaParams

EVENT = Event("0021600001", "2016-17", 2, 4, 90.0, 4, 1.0, 0, 0.6, True, 0.8)


def test_the_last_two_minutes_are_those_of_regulation_and_close_is_within_six() -> None:
    last, close = nba_score.PHASES["last_2min"], nba_score.PHASES["last_2min_close"]
    assert last(EVENT)
    assert close(EVENT)
    assert not last(attrs.evolve(EVENT, period=5))
    assert not last(attrs.evolve(EVENT, seconds_left=120.5))
    assert not close(attrs.evolve(EVENT, home_lead=-7))


def test_a_season_is_never_scored_by_parameters_that_have_seen_it() -> None:
    seasons = ["2016-17", "2017-18", "2018-19"]
    events = [attrs.evolve(EVENT, season=season, game=season, home_lead=lead) for lead in (1, 4) for season in seasons]
    asked = []

    def refit(others: Any) -> NbaParams:
        asked.append({event.season for event in others})
        return attrs.evolve(PARAMS, possession_pts=float(len(asked)))

    said = nba_score.leave_one_season_out(events, refit)
    assert asked == [set(seasons) - {season} for season in seasons]
    assert [row.game for row in said] == [event.game for event in events]
    assert said[0].p < said[1].p < said[2].p


def test_parameters_that_made_the_results_are_found_again() -> None:
    """Games drawn from known parameters: the ball and the free throws come back, and the price at the tip is the prior's."""
    pytest.importorskip("numpy")
    from random import Random

    from chimera.audit.nba_fit import fit

    truth = attrs.evolve(PARAMS, possession_pts=1.5, free_throw_pts=0.2)
    rng = Random(1)
    events = []
    for number in range(6000):
        drawn = attrs.evolve(
            EVENT, game=str(number), seconds_left=rng.choice([10.0, 30.0, 60.0, 120.0, 700.0, 2000.0]), home_lead=rng.randint(-5, 5),
            possession=rng.choice([-1.0, 1.0]), pending_ft=rng.choice([-2, 0, 2]), p0=rng.uniform(0.2, 0.8),
        )  # fmt: skip
        p = nba_score.price([drawn], truth)[0].p
        events.append(attrs.evolve(drawn, won=rng.random() < p))
    found = fit(events)
    assert found.possession_pts == pytest.approx(1.5, abs=0.3)
    assert found.free_throw_pts == pytest.approx(0.2, abs=0.2)
    assert found.drift == found.sd(2880.0)


def test_a_directory_with_nothing_to_score_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nba_events\.parquet"):
        audit_models(tmp_path)


def test_a_file_that_is_no_parquet_or_lacks_a_column_is_refused_by_name(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / nba_score.EVENTS
    path.parent.mkdir()
    path.write_bytes(b"no parquet")
    with pytest.raises(ConfigError, match=r"nba_events\.parquet: it cannot be read"):
        audit_models(tmp_path)
    parquet.write_table(pyarrow.table({"game_id": ["1"]}), path)
    with pytest.raises(ConfigError, match="no column season, period"):
        audit_models(tmp_path)


def test_a_part_whose_file_is_absent_is_left_out(tmp_path: Path) -> None:
    write_games(tmp_path, 40)
    assert set(audit_models(tmp_path)) == {"nba"}


def write_games(data: Path, games: int) -> None:
    """Games of one moment each, in two seasons; the home side wins those it leads."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    (data / "sports").mkdir(exist_ok=True)
    leads = [number % 7 - 3 for number in range(games)]
    columns = {
        "game_id": [f"002{number:07}" for number in range(games)], "season": [f"201{6 + number % 2}" for number in range(games)],
        "period": [4] * games, "sec_remaining": [60.0] * games, "home_lead": leads, "poss": [1.0] * games, "pending_ft": [0] * games,
        "p0_home": [0.55] * games, "home_won": [int(lead > 0) for lead in leads], "p_b135": [0.5] * games,
    }  # fmt: skip
    parquet.write_table(pyarrow.table(columns), data / nba_score.EVENTS)


def test_the_json_form_has_the_contracts_keys_and_counts(tmp_path: Path) -> None:
    write_games(tmp_path, 40)
    numbers: dict[str, Any] = audit_models(tmp_path)["nba"].numbers
    assert set(numbers) == {"all", "last_2min", "last_2min_close"}
    assert set(numbers["all"]) == {"n", "games", "brier", "log_loss", "ece", "baseline_brier"}
    assert (numbers["all"]["n"], numbers["last_2min_close"]["games"]) == (40, 40)
    assert numbers["all"]["baseline_brier"] == 0.25
    assert numbers["all"]["brier"] < 0.25


# On what was recorded


@pytest.fixture(scope="module")
def events(shared_data: Path) -> list[Event]:
    pytest.importorskip("pyarrow.parquet")
    return nba_score.read_events(shared_data)


@pytest.mark.data
def test_as_shipped_it_beats_the_baseline_in_every_phase_by_more_than_chance(events: list[Event]) -> None:
    """470 games: .1593, .0548 and .1086 against .1650, .0601 and .1193; every fourth event here."""
    every = events[::4]
    found = nba_score.score_phases(every, nba_score.price(every))
    for phase, most in (("all", 0.161), ("last_2min", 0.0560), ("last_2min_close", 0.114)):
        assert found[phase].brier <= most, phase
        assert found[phase].gain[1] < 0.0, phase
    assert found["all"].ece <= 0.025
    assert found["last_2min"].ece <= 0.025


@pytest.mark.data
def test_with_each_season_left_out_it_still_does(events: list[Event]) -> None:
    """470 games, all events: .1600, .0558 and .1106; every fourth here."""
    pytest.importorskip("numpy")
    from chimera.audit.nba_fit import fit

    every = events[::4]
    found = nba_score.score_phases(every, nba_score.leave_one_season_out(every, fit))
    for phase, most in (("all", 0.1625), ("last_2min", 0.0575), ("last_2min_close", 0.114)):
        assert found[phase].brier <= most, phase
        assert found[phase].brier < found[phase].baseline_brier, phase
    assert found["all"].gain[1] < 0.0


@pytest.mark.data
def test_hockeys_shares_are_those_seen_and_poissons_are_worse(shared_data: Path) -> None:
    """1,978 games with a price: 1.0362 against 1.0571."""
    pytest.importorskip("pyarrow.parquet")
    found = nhl_score.score_games(nhl_score.read_results(shared_data))
    assert found.games > 1900
    assert found.log_loss <= found.poisson_log_loss - 0.015
    assert found.tie_share_model == pytest.approx(found.tie_share, abs=0.015)
    for seen, said in zip(found.margin_shares, found.margin_shares_model, strict=True):
        assert said == pytest.approx(seen, abs=0.012)

"""The simulated Odds API: a document the feed's own decoder reads, a quota that runs out, and games under way still quoted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chimera.feeds.odds_api import decode_odds, fair
from chimera.sim.server import Request, Response
from chimera.sim.world.odds import CREDITS, Odds
from chimera.sim.world.schedule import evening

NOW = 1_795_000_000.0
GAMES = evening(7, NOW)


def ask(odds: Odds, sport: str = "basketball_nba", *, at: float = NOW, **query: str) -> Response:
    values = {name: [value] for name, value in ({"apiKey": "k"} | query).items()}
    return odds.respond(Request("GET", f"/v4/sports/{sport}/odds", values, {}), at)


def test_a_game_that_is_coming_has_a_prior_near_what_it_was_drawn_from() -> None:
    page = decode_odds(ask(Odds(GAMES, 7)).body, "nba", received_at=NOW)
    assert not page.refused
    priors = {event.home.code: fair(event, "nba", NOW) for event in page.events}
    assert len(priors) == len(GAMES)
    for game in GAMES:
        found = priors[game.home.code]
        if game.scheduled > NOW:
            assert found is not None
            assert found == (pytest.approx(game.pregame, abs=0.03), 4)
        else:
            assert found is None


def test_a_game_that_is_over_is_listed_no_more() -> None:
    odds, last = Odds(GAMES, 7), max(game.end for game in GAMES)
    assert json.loads(ask(odds, at=last).body) == []


def test_each_answer_costs_a_credit_and_without_any_it_is_a_refusal() -> None:
    odds = Odds(GAMES, 7)
    assert dict(ask(odds).headers)["x-requests-remaining"] == str(CREDITS - 1)
    odds.credits_left = 0
    spent = ask(odds)
    assert (spent.status, json.loads(spent.body)["error_code"]) == (401, "OUT_OF_USAGE_CREDITS")


@pytest.mark.parametrize(("query", "sport", "status"), [({"apiKey": ""}, "basketball_nba", 401), ({}, "chess", 404)])
def test_a_request_without_a_key_or_for_another_sport_is_refused_and_costs_nothing(query: dict[str, Any], sport: str, status: int) -> None:
    odds = Odds(GAMES, 7)
    assert ask(odds, sport, **query).status == status
    assert odds.credits_left == CREDITS

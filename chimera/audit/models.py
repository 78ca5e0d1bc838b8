"""The models against recorded results: the parameters as shipped, or fitted anew with the scored season left out.

Each part of the report stands for one file under the data directory; where that is absent the part is left out. What is printed for people
says more than the JSON: intervals, overtime, seasons one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from chimera.audit import nba_score, nhl_score
from chimera.audit.scores import Score
from chimera.errors import ConfigError


@attrs.frozen(slots=True)
class Part:
    """One model's scores: `numbers` by the contract, `lines` for people."""

    numbers: dict[str, object]
    lines: tuple[str, ...]


Audit: TypeAlias = Callable[[Path, bool], Part]
"""(data directory, whether each season is scored with parameters fitted to the others) -> the part."""


def audit_models(data: Path, *, leave_season_out: bool = False) -> dict[str, Part]:
    """Every part whose file is there. ConfigError where none is, or where one cannot be read."""
    found = {name: audit(data, leave_season_out) for name, (file, audit) in PARTS.items() if (data / file).is_file()}
    if not found:
        wanted = ", ".join(str(file) for file, _ in PARTS.values())
        raise ConfigError(f"{data}: there is nothing to score; looked for {wanted}")
    return found


def _nba(data: Path, leave_season_out: bool) -> Part:
    events = nba_score.read_events(data)
    if not events:
        raise ConfigError(f"{data / nba_score.EVENTS}: it holds no event with a closing price and a result")
    said = nba_score.leave_one_season_out(events, _nba_refit()) if leave_season_out else nba_score.price(events)
    phases, seasons = nba_score.score_phases(events, said), nba_score.score_seasons(events, said)
    how = "each season with parameters fitted to the others" if leave_season_out else "parameters as shipped"
    lines = [f"NBA, {how}; baseline: score and line pro rata", _HEAD]
    lines += [_line(name, score) for name, score in phases.items()]
    lines += [_line(name, score) for name, score in seasons.items()]
    return Part({name: score.to_json() for name, score in phases.items() if name in _NBA_CONTRACT}, tuple(lines))


def _nba_refit() -> nba_score.Refit:
    try:
        from chimera.audit.nba_fit import fit
    except ImportError:
        raise ConfigError("fitting a model needs numpy: pip install 'chimera-trader[audit]'") from None
    return fit


_NBA_CONTRACT: Final = ("all", "last_2min", "last_2min_close")
_HEAD: Final = f"{'':<16}{'events':>9}{'games':>7}{'Brier':>9}{'baseline':>10}{'difference, 95 % over games':>32}{'log loss':>10}{'ECE':>8}"


def _line(name: str, score: Score) -> str:
    low, high = score.gain
    gain = f"{score.brier - score.baseline_brier:+.4f} [{low:+.4f}, {high:+.4f}]"
    return (
        f"{name:<16}{score.n:>9}{score.games:>7}{score.brier:>9.4f}{score.baseline_brier:>10.4f}{gain:>32}"
        f"{score.log_loss:>10.4f}{score.ece:>8.4f}"
    )


def _nhl(data: Path, leave_season_out: bool) -> Part:
    if not (data / nhl_score.PRICES).is_file():
        raise ConfigError(f"{data / nhl_score.PRICES}: there is no such file, and {nhl_score.RESULTS} tells nothing without prices")
    games = nhl_score.read_results(data)
    try:
        score = nhl_score.leave_one_season_out(games) if leave_season_out else nhl_score.score_games(games)
    except ValueError as error:
        raise ConfigError(f"{data / nhl_score.RESULTS}, with the prices of {nhl_score.PRICES.name}: {error}") from None
    how = "goals and damping of ties from the other seasons" if leave_season_out else "parameters as shipped"
    lines = (
        f"NHL after regulation, {how}: {score.games} games with a price",
        f"log loss of home, level, away: {score.log_loss:.4f}, Poisson {score.poisson_log_loss:.4f}",
        f"level: {score.tie_share:.4f} seen, {score.tie_share_model:.4f} said",
        f"{'goals apart':<12}" + "".join(f"{k:>8}" for k in range(nhl_score.MARGINS)),
        f"{'seen':<12}" + "".join(f"{share:>8.4f}" for share in score.margin_shares),
        f"{'said':<12}" + "".join(f"{share:>8.4f}" for share in score.margin_shares_model),
    )
    return Part(score.to_json(), lines)


PARTS: Final[dict[str, tuple[Path, Audit]]] = {"nba": (nba_score.EVENTS, _nba), "nhl": (nhl_score.RESULTS, _nhl)}

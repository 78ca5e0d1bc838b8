"""Requests and answers in form: JSON bodies read as Kalshi's server reads them, query parameters, pages, and the bodies of refusals.

The four shapes of an error are here. A body that is no JSON or has a field of another type is refused flat, in the words of the decoder
that Kalshi uses; a query parameter with a bare message; what the exchange itself declines is nested.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NoReturn, TypeAlias, TypeVar

import attrs

from chimera.conventions import Count, Price, parse_count, parse_price
from chimera.sim.exchange.members import Member
from chimera.sim.exchange.orders import Declined
from chimera.sim.server import Request, Response

T = TypeVar("T")
LARGEST_COUNT: Count = 10**11
"""A thousand million contracts: more than any order Kalshi takes."""
LATEST = 253_402_300_799
"""The last second of the year 9999."""
NOT_FOUND = Response(404, b'{"error":{"code":"not_found","message":"not found"}}')
Fields: TypeAlias = Mapping[str, object]


class BadParameter(Exception):
    """A query parameter that Kalshi would not take, as it would say so."""


class BadBody(Exception):
    """A body that Kalshi would not take: `code` and `details` of the flat shape."""

    def __init__(self, details: str, code: str = "bad_request") -> None:
        super().__init__(details)
        self.code, self.details = code, details


@attrs.frozen(slots=True)
class Call:
    """One request on its way to its handler: the segments that its route named, who asks, and when."""

    request: Request
    named: tuple[str, ...]
    member: Member
    now: float
    lag: float = 0.0

    @property
    def as_of(self) -> float:
        """The time whose state the reading surfaces show."""
        return self.now - self.lag


def answer(document: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(document, separators=(",", ":"), sort_keys=True).encode())


def refusal(fault: Declined) -> Response:
    """The nested shape. As recorded, `service` stands where there are no details."""
    return answer({"error": error_object(fault)}, fault.status)


def error_object(fault: Declined) -> dict[str, str]:
    """Code, message and details or service."""
    said = {"code": fault.code, "message": fault.code.replace("_", " ")}
    return said | ({"details": fault.details} if fault.details else {"service": "exchange"})


def bad_body(fault: BadBody) -> Response:
    """The flat shape."""
    return answer({"code": fault.code, "message": fault.code.replace("_", " "), "details": fault.details}, 400)


def bad_parameter(fault: BadParameter) -> Response:
    """The bare shape."""
    return answer({"msg": str(fault)}, 400)


# Query parameters


def limit_of(request: Request, operation: str, greatest: int, default: int) -> int:
    """The `limit` parameter. BadParameter where it is no number or over the greatest; 0 stands for the default."""
    text = request.param("limit")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadParameter(f"Parameter validation failed for {operation}: limit is not a number")
    limit = int(text)
    if limit > greatest:
        raise BadParameter(_validation(operation, "Limit", "lte"))
    return limit or default


def number_of(request: Request, name: str, operation: str, *, least: int = 0) -> int | None:
    """A whole-number parameter; None where it is absent or empty."""
    text = request.param(name)
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 16) or int(text) < least:
        raise BadParameter(f"Parameter validation failed for {operation}: {name} is not a number of at least {least}")
    return int(text)


def choice_of(request: Request, name: str, operation: str, choices: Iterable[str]) -> str:
    """A parameter that is one of some words; "" where it is absent."""
    text = request.param(name)
    if text and text not in choices:
        raise BadParameter(_validation(operation, name.title().replace("_", ""), "oneof"))
    return text


def names_of(request: Request, name: str, *, most: int = 100) -> set[str]:
    """A comma-separated list; empty where it is absent."""
    names = set(filter(None, request.param(name).split(",")))
    if len(names) > most:
        raise BadParameter(f"Parameter validation failed: at most {most} values for {name}")
    return names


def _validation(operation: str, field: str, tag: str) -> str:
    key = f"Key: '{operation}Params.{field}' Error:Field validation for '{field}' failed on the '{tag}' tag"
    return f"Parameter validation failed for {operation}: {key}"


def _place(cursor: str) -> int | None:
    try:
        number = base64.urlsafe_b64decode(cursor.encode() + b"==").decode()
    except (binascii.Error, ValueError):
        return None
    return int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode().rstrip("=")


def page(rows: Sequence[T], request: Request, limit: int) -> tuple[Sequence[T], str]:
    """One page, and the cursor of the next ("" on the last). A garbage cursor gives the first page."""
    start = _place(request.param("cursor")) or 0
    end = start + limit
    return rows[start:end], _cursor(end) if end < len(rows) else ""


def page_back(rows: Sequence[T], wanted: Callable[[T], bool], request: Request, limit: int) -> tuple[list[T], str]:
    """One page of rows that are kept oldest first, newest first; a cursor stays right while rows are added."""
    place = _place(request.param("cursor"))
    found: list[T] = []
    for index in range(min(len(rows), len(rows) if place is None else place) - 1, -1, -1):
        if not wanted(rows[index]):
            continue
        if len(found) == limit:
            return found, _cursor(index + 1)
        found.append(rows[index])
    return found, ""


# Bodies


def read_body(body: bytes) -> dict[str, object]:
    """A JSON object. BadBody where it is none; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        document = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadBody("invalid character in JSON body") from None
    if not isinstance(document, dict):
        raise BadBody(f"json: cannot unmarshal {_kind(document)} into Go value of type object")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _kind(value: object) -> str:
    names: tuple[tuple[type, str], ...] = ((bool, "bool"), (int, "number"), (float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "object" if isinstance(value, dict) else "null")


_GO = {str: "string", int: "int64", bool: "bool", list: "[]"}


class Form:
    """One JSON object, read field by field. `name` is what Kalshi's server calls its type; a null counts as absent."""

    def __init__(self, name: str, fields: Fields) -> None:
        self._name = name
        self._fields = fields

    def text(self, field: str, *, required: bool = False) -> str:
        return self._get(field, str, "", required)

    def number(self, field: str, *, least: int = -(2**63)) -> int | None:
        value: int | None = self._get(field, int, None, False)
        if value is not None and not least <= value < 2**63:
            raise BadBody(f"{self._name}.{field} is out of range", "invalid_parameters")
        return value

    def flag(self, field: str) -> bool:
        return self._get(field, bool, False, False)

    def rows(self, field: str) -> list[dict[str, object]]:
        """A list of objects."""
        values: list[object] = self._get(field, list, [], True)
        for value in values:
            if not isinstance(value, dict):
                raise BadBody(f"json: cannot unmarshal {_kind(value)} into Go struct field {self._name}.{field} of type object")
        return [value for value in values if isinstance(value, dict)]

    def choice(self, field: str, kind: Callable[[str], T]) -> T:
        """A required word that `kind` knows."""
        text = self.text(field, required=True)
        try:
            return kind(text)
        except ValueError:
            raise self._invalid(field, "oneof") from None

    def price(self, field: str) -> Price:
        """A required price. One that is finer than 1e-4 $ is off every grid."""
        return self._decimal(field, parse_price, "invalid_price")

    def count(self, field: str) -> Count:
        """A required count of more than nothing."""
        count = self._decimal(field, parse_count, "invalid_order")
        if not 0 < count <= LARGEST_COUNT:
            raise Declined(400, "invalid_order", "invalid count")
        return count

    def count_or_none(self, field: str) -> Count | None:
        """A count that may be absent, and may be 0."""
        if not self.text(field):
            return None
        return self._decimal(field, parse_count, "invalid_order")

    def expiry(self, field: str) -> int | None:
        """A time in unix seconds within the calendar; None where absent."""
        value = self.number(field, least=0)
        if value is not None and value > LATEST:
            raise Declined(400, "invalid_order", "expiration_time is out of range")
        return value

    def shard(self) -> int | None:
        """`exchange_index`; None where the exchange is to route by ticker."""
        value = self.number("exchange_index", least=-1)
        return None if value in (None, -1) else value

    def _decimal(self, field: str, parse: Callable[[str], int], too_fine: str) -> int:
        text = self.text(field, required=True)
        try:
            return parse(text)
        except ValueError as error:
            if "more than" in str(error):
                raise Declined(400, too_fine) from None
            raise BadBody(f"{self._name}.{field}: {text[:40]!r} is not a fixed-point number", "invalid_parameters") from None

    def _get(self, field: str, kind: type[T], default: object, required: bool) -> T:
        value = self._fields.get(field)
        if value is None or (required and value == ""):
            if required:
                raise self._invalid(field, "required")
            return default  # type: ignore[return-value]  # None or a value of the kind, as the callers above say
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadBody(f"json: cannot unmarshal {_kind(value)} into Go struct field {self._name}.{field} of type {_GO[kind]}")
        return value

    def _invalid(self, field: str, tag: str) -> BadBody:
        go = field.title().replace("_", "")
        return BadBody(f"Key: '{self._name}.{go}' Error:Field validation for '{go}' failed on the '{tag}' tag", "invalid_parameters")

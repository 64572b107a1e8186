"""What requests may hold: strict about names and types."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field, JsonValue, ValidationError, field_validator
from pydantic_core import from_json

from churnml.asof import parse_as_of
from churnml.columns import CUSTOMER_ID, SIGNED_UP_AT
from churnml.errors import ChurnmlError
from churnml.feature_extraction.sent import MOST_ROWS
from churnml.service.problems import bad_request, invalid, places, too_large
from churnml.tables.schema import SCHEMAS

MOST_CUSTOMERS = 1_000
MOST_BODY_MIB = 16
LONGEST_ID = 1_000
_DATE = re.compile(r"\d{4}-\d\d-\d\d")

# One example, in parts and as a whole.
_DAY = "2024-07-01"
_IDS: list[JsonValue] = ["C00000001", "C00000002"]
_CUSTOMER: dict[str, JsonValue] = {CUSTOMER_ID: "C00000001", SIGNED_UP_AT: "2023-01-10"}
_USAGE: list[JsonValue] = [{"used_at": "2024-06-01", "data_mb": 210.5}]

Id = Annotated[str, Field(max_length=LONGEST_ID)]
Rows = Annotated[list[dict[str, Any]], Field(max_length=MOST_ROWS), FailFast()]
Asked = TypeVar("Asked", bound="Body")


class Body(BaseModel):
    """What is sent: no other members, no other types, no number that is none."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class ScoreRequest(Body):
    """Customers to score by their ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer_ids": _IDS, "reasons": True}]})

    customer_ids: list[Id] = Field(min_length=1, max_length=MOST_CUSTOMERS, examples=[_IDS])
    reasons: bool = Field(default=False, description="Whether to tell why, in words.")


def _rows(table: str, **more: Any) -> Any:
    columns = (
        f"{column.name}{'*' if column.required else ''}"
        for column in SCHEMAS[table].columns
        if column.name != CUSTOMER_ID
    )
    return Field(default=[], description=f"Rows with {', '.join(columns)} (* required).", **more)


class SentCustomer(Body):
    """One customer's row of `customers`, and rows of the other tables, under our names; times are ISO 8601 text."""

    customer: dict[str, Any] = Field(
        description=f"{CUSTOMER_ID} and {SIGNED_UP_AT}, and what else is known.",
        examples=[_CUSTOMER],
        json_schema_extra={
            "required": [CUSTOMER_ID, SIGNED_UP_AT],
            "properties": {
                CUSTOMER_ID: {"type": "string", "minLength": 1, "maxLength": LONGEST_ID},
                SIGNED_UP_AT: {"type": "string"},
            },
        },
    )
    subscriptions: Rows = _rows("subscriptions")
    usage: Rows = _rows("usage", examples=[_USAGE])
    bills: Rows = _rows("bills")
    complaints: Rows = _rows("complaints")
    surveys: Rows = _rows("surveys")
    costs: Rows = _rows("costs")
    contacts: Rows = _rows("contacts")

    @field_validator("customer")
    @classmethod
    def _has_an_id(cls, customer: dict[str, Any]) -> dict[str, Any]:
        given = customer.get(CUSTOMER_ID)
        if not isinstance(given, str) or not 0 < len(given) <= LONGEST_ID:
            raise ValueError(f"{CUSTOMER_ID} should be a text of 1 to {LONGEST_ID} characters")
        return customer


class HistoriesRequest(Body):
    """Customers to score by the histories that are sent with them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"as_of": _DAY, "customers": [{"customer": _CUSTOMER, "usage": _USAGE}], "reasons": True},
            ]
        }
    )

    as_of: str = Field(
        description="The date as of which to score.",
        json_schema_extra={"format": "date"},
        examples=[_DAY],
    )
    customers: list[SentCustomer] = Field(min_length=1, max_length=MOST_CUSTOMERS)
    reasons: bool = Field(default=False, description="Whether to tell why, in words.")

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, text: str) -> str:
        try:
            if not _DATE.fullmatch(text):  # other ways of ISO 8601 are not what the document says
                raise ValueError(text)
            parse_as_of(dt.date.fromisoformat(text))
        except (ValueError, ChurnmlError):
            raise ValueError("should be a date such as 2024-07-01") from None
        return text

    @property
    def day(self) -> dt.date:
        """T."""
        return dt.date.fromisoformat(self.as_of)


def read(model: type[Asked], content: bytes, most: int) -> Asked:
    """Read a body.

    Parameters
    ----------
    model : type of Body
        What it should hold.
    content : bytes
        What was sent.
    most : int
        How many customers are taken at once.

    Returns
    -------
    Body
        Of the type that was asked for.

    Raises
    ------
    Refused
        400 if it is no JSON, 413 if it holds too many customers, 422 if it holds something else.
    """
    try:
        found = from_json(content, allow_inf_nan=False)
    except (ValueError, RecursionError):
        raise bad_request("the body is no JSON in UTF-8; send one object") from None
    listed = found.get("customer_ids", found.get("customers")) if isinstance(found, dict) else None
    if isinstance(listed, list) and len(listed) > most:
        raise too_large(f"{len(listed):,} customers are too many: send {most:,} at most", limit=most)
    _refuse_many_members(model, found)
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise invalid(places(error)) from None


def _refuse_many_members(model: type[Body], found: Any) -> None:
    """Refuse at once what would be refused member by member, which takes long where they are many."""
    if isinstance(found, dict) and len(found) > 2 * len(model.model_fields):
        raise invalid([{"place": "", "problem": f"has {len(found):,} members; send {', '.join(model.model_fields)}"}])

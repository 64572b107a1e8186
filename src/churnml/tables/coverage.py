"""Where a table's rows end early or leave a gap in time."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np

from churnml.tables.histories import Histories
from churnml.tables.schema import SCHEMAS
from churnml.wording import Language, say

# Tables that get rows as long as there are customers; the others may be silent for good reasons.
_STEADY = ("usage", "bills", "complaints", "surveys", "costs")

_EARLY_DAYS = 31
_GAP_DAYS = 7
_GAP_FACTOR = 1.9  # a month that is missing among monthly bills is one


@dataclass(frozen=True)
class Finding:
    """Something about a column or table that will hurt.

    Attributes
    ----------
    table, column : str or None
        What it is about.
    key : str
        Which sentence says it (see `wording.say`).
    facts : dict
        What the sentence speaks of; a fact that has words is a dict of them by language.
    """

    table: str | None
    column: str | None
    key: str
    facts: dict[str, Any]

    def message(self, lang: Language = "en") -> str:
        """Return the sentence."""
        facts = {name: fact[lang] if isinstance(fact, dict) else fact for name, fact in self.facts.items()}
        return say(self.key, lang, **facts)


def uncovered(histories: Histories) -> list[Finding]:
    """List the tables that end before the others, and their gaps in time.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    list of Finding
        One for each early end, one for the longest gap of each table.
    """
    days = {table: _days(histories, table) for table in _STEADY if histories.has(table)}
    days = {table: found for table, found in days.items() if len(found)}
    latest = max(days, key=lambda table: days[table][-1], default=None)
    findings = []
    for table, found in days.items():
        event = SCHEMAS[table].event
        gaps = np.diff(found).astype(int)
        usual = int(np.quantile(gaps, 0.9, method="lower")) if len(gaps) else 1
        behind = int((days[latest][-1] - found[-1]).astype(int)) if latest else 0
        if behind > max(_EARLY_DAYS, _GAP_FACTOR * usual):
            facts = {"last": _date(found[-1]), "days": behind, "other": latest}
            findings.append(Finding(table, event, "ends_early", facts))
        if len(gaps) and gaps.max() > max(_GAP_DAYS, _GAP_FACTOR * usual):
            at = int(gaps.argmax())
            start, end = _date(found[at]) + dt.timedelta(days=1), _date(found[at + 1]) - dt.timedelta(days=1)
            findings.append(
                Finding(table, event, "gap", {"start": start, "end": end, "days": int(gaps[at]) - 1, "usual": usual})
            )
    return findings


def _days(histories: Histories, table: str) -> np.ndarray[Any, np.dtype[np.datetime64]]:
    rows = histories.newest(table)
    days = rows.select(day=rows[SCHEMAS[table].event].date()).distinct().order_by("day")
    return np.asarray(days.to_pyarrow()["day"].to_numpy(), dtype="datetime64[D]")


def _date(day: np.datetime64) -> dt.date:
    return day.astype(object)  # type: ignore[no-any-return]

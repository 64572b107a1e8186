"""Which as-of dates a model is trained and tested on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from churnml.asof import DAY
from churnml.errors import ChurnmlError
from churnml.labels.outcome import known_from, observed_until, value_known_until
from churnml.snapshots.readiness import EVENTS, first_row, usable_dates
from churnml.snapshots.splits import OutOfTime, out_of_time, overlapping
from churnml.tables.histories import Histories


@dataclass(frozen=True)
class Schedule:
    """The dates of one model.

    Attributes
    ----------
    known : list of datetime.date
        Every date whose outcome is known: what is registered is fitted on them.
    train, test : list of datetime.date
        The split; both are all dates where there is none.
    outcome_days : int
        Days from a date to the end of its outcome.
    out_of_time : bool
        Whether the test is later than the training; otherwise customers are cross-validated.
    """

    known: list[dt.date]
    train: list[dt.date]
    test: list[dt.date]
    outcome_days: int
    out_of_time: bool

    @property
    def overlapping(self) -> list[dt.date]:
        """The train dates that see what the test asks for."""
        return overlapping(self.train, self.test, self.outcome_days) if self.out_of_time else []

    @property
    def tests_later(self) -> bool:
        """Whether the test asks for nothing that the training has seen."""
        return self.out_of_time and not self.overlapping


def churn_schedule(histories: Histories, given: Sequence[dt.date] = ()) -> Schedule:
    """Choose the dates of the churn model.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    given : sequence of datetime.date
        Dates asked for, in place of those of the configuration.

    Returns
    -------
    Schedule
        Out of time; not so only where the tables are of one date and no histories.

    Raises
    ------
    ChurnmlError
        If the outcome of a given date is not known, or the histories cannot hold train dates, the gap and a test date.
    """
    label = histories.config.label
    outcome_days = label.lead_days + label.horizon_days
    until = observed_until(histories)
    for day in sorted(given):
        if day + outcome_days * DAY > until.date():
            raise ChurnmlError(
                f"the outcome of {day} is not known yet (outcomes are known until {until:%Y-%m-%d})",
                f"it will be known on {known_from(histories, day)}: train on earlier dates until then",
                date=str(day),
            )
    known = sorted(set(given)) or usable_dates(histories)
    if not known:
        raise _too_short("churn", outcome_days, _missing_without_dates(histories, outcome_days), histories)
    split = out_of_time(known, outcome_days)
    if split.train:
        return Schedule(known, split.train, split.test, outcome_days, True)
    if not any(histories.has(table) for table in EVENTS):
        return Schedule(known, known, known, outcome_days, False)
    raise _too_short("churn", outcome_days, split.missing_days, histories, known)


def value_schedule(histories: Histories, churn: Schedule) -> Schedule | None:
    """Choose the dates of the value model among those of the churn model; None where there are no bills.

    Raises
    ------
    ChurnmlError
        If the histories cannot hold train dates, the gap and a test date.
    """
    until = value_known_until(histories)
    if until is None:
        return None
    outcome_days = histories.config.value.horizon_days
    known = [day for day in churn.known if day + outcome_days * DAY <= until.date()]
    if not known:
        missing = (churn.known[0] + 2 * outcome_days * DAY - until.date()).days
        raise _too_short("value", outcome_days, missing, histories)
    split: OutOfTime = out_of_time(known, outcome_days)
    if split.train:
        return Schedule(known, split.train, split.test, outcome_days, True)
    raise _too_short("value", outcome_days, split.missing_days, histories, known)


def _missing_without_dates(histories: Histories, outcome_days: int) -> int:
    training = histories.config.training
    first = training.first if training else (first_row(histories) + 31 * DAY).date()
    return (first + 2 * outcome_days * DAY - observed_until(histories).date()).days


def _too_short(
    model: Literal["churn", "value"],
    outcome_days: int,
    missing: int,
    histories: Histories,
    known: Sequence[dt.date] = (),
) -> ChurnmlError:
    label = histories.config.label
    what = f"lead {label.lead_days} + horizon {label.horizon_days}" if model == "churn" else "value.horizon_days"
    shorter = "label.horizon_days" if model == "churn" else "value.horizon_days"
    span = f"{known[0]} to {known[-1]}" if len(known) > 1 else f"{known[0]} alone" if known else "no date"
    dates = f"the outcome of {span} is known"
    missing = max(missing, 1)
    return ChurnmlError(
        f"the histories cannot hold train dates, the gap of {outcome_days} days ({what}) and a test date of the"
        f" {model} model: {dates}, {missing} days are missing",
        f"let the dates begin {missing} days earlier, wait for as many more days of data, or shorten {shorter};"
        " churnml check tells which simple rule is best until then",
        missing_days=missing,
        model=model,
    )

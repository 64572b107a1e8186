"""Simulating an operator, and going on with it after a campaign."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from churnml.config import Offer, load_config
from churnml.errors import ChurnmlError
from churnml.files import atomic_folder
from churnml.simulator import settings as c
from churnml.simulator.clock import FIRST_DAY, Period, month_name, month_of
from churnml.simulator.contacts import assigned_contacts, own_campaign, past_contacts
from churnml.simulator.draws import Draws
from churnml.simulator.template import configuration
from churnml.simulator.traits import People, people_by
from churnml.simulator.world import SPAN, Planner, World
from churnml.simulator.write import write_tables, write_truth

_SETTINGS = "simulation.json"
_CONFIGURATION = "churnml.yaml"
_NEXT = "next"  # there only while a period is added


@dataclass(frozen=True)
class SimulationSummary:
    """Say what a simulation wrote.

    Attributes
    ----------
    folder : str
        Where it lies.
    first_day, last_day : str
        Dates in ISO 8601, both within the period.
    customers : int
        Customers at the end of the period.
    left : int
        Departures in the period.
    contacted : int
        Contacts of the period that reached the customer.
    rows : dict of int
        Rows written, by table.
    """

    folder: str
    first_day: str
    last_day: str
    customers: int
    left: int
    contacted: int
    rows: dict[str, int]


def simulate(
    out: Path, *, customers: int = 20_000, months: int = 18, seed: int = 0, show_progress: bool = False
) -> SimulationSummary:
    """Simulate an operator: tables, a configuration for them, and the truth.

    Parameters
    ----------
    out : Path
        The folder to make; it appears whole, or not at all.
    customers : int
        Customers at the start, 1 January 2023; others join later.
    months : int
        Months to simulate.
    seed : int
        The same seed, customers and months give the same bytes.
    show_progress : bool
        Show on stderr how far the work is.

    Returns
    -------
    SimulationSummary
        What was written.

    Raises
    ------
    ChurnmlError
        If a number is out of range, the months would pass today, or the folder holds something.
    """
    if not 1 <= customers <= 10_000_000:
        raise ChurnmlError(f"customers is {customers}", "give 1 to 10000000", value=customers)
    if seed < 0:
        raise ChurnmlError(f"seed is {seed}", "give 0 or more", value=seed)
    _require_past(months, 0)
    facts = {"layout": c.LAYOUT, "seed": seed, "customers": customers, "start": c.START}
    with atomic_folder(out) as part:
        (part / _CONFIGURATION).write_text(configuration(customers, months), encoding="utf-8")
        (part / _SETTINGS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        offers = _offers(part)
        world = _world(seed, customers, months, partial(own_campaign, months, offers))
        return _write(world, Period(0, months - 1), offers, part, out, show_progress=show_progress)


def continue_simulation(
    folder: Path, assignments: Path, *, months: int, show_progress: bool = False
) -> SimulationSummary:
    """Simulate the months that follow, with a campaign at their start.

    Parameters
    ----------
    folder : Path
        A folder that ``simulate`` made. The new months appear whole, or not at all; the rest is not changed.
    assignments : Path
        Parquet with the columns of a campaign's assignments: ``treated`` and ``control`` become contacts.
    months : int
        Months to add.
    show_progress : bool
        Show on stderr how far the work is.

    Returns
    -------
    SimulationSummary
        What was written.

    Raises
    ------
    ChurnmlError
        If the folder is no simulation, the months would pass today, or the assignments have an unknown
        customer or offer.
    """
    facts = _facts(folder)
    first = _months_done(folder)
    _require_past(months, first)
    period = Period(first, first + months - 1)
    offers = _offers(folder)
    known = people_by(facts["customers"], first - 1)
    assigned = assigned_contacts(assignments, first, known, offers, folder / _CONFIGURATION)
    plan = pd.concat([past_contacts(folder / "tables"), assigned], ignore_index=True)

    with atomic_folder(folder / _NEXT) as part:
        if len(list(folder.glob(f".{_NEXT}.*.part"))) > 1:
            raise ChurnmlError(f"another run continues {folder}", "wait until it has ended", file=str(folder))
        world = _world(
            facts["seed"], facts["customers"], first + months, lambda _, month, *__: plan[plan["month"] == month]
        )
        summary = _write(world, period, offers, part, folder, show_progress=show_progress)
        _append(part, folder, period)
    (folder / _NEXT).rmdir()
    return summary


def _offers(folder: Path) -> dict[str, Offer]:
    return {offer.id: offer for offer in load_config(folder / _CONFIGURATION).campaign.offers}


def _world(seed: int, customers: int, months: int, plan_contacts: Planner) -> World:
    """Live through the months, and as far beyond them as the truth about the last one reaches."""
    draws = Draws(seed, people_by(customers, months + SPAN - 1))
    return World(People(draws, customers, months + SPAN), draws, months + SPAN, plan_contacts)


def _write(
    world: World, period: Period, offers: dict[str, Offer], part: Path, folder: Path, *, show_progress: bool
) -> SimulationSummary:
    """Write a period into a hidden folder that is to become ``folder``, or to be added to it."""
    for kind in ("tables", "truth"):
        (part / kind / period.name).mkdir(parents=True)
    rows = write_tables(world, period, part / "tables" / period.name, show_progress=show_progress)
    write_truth(world, period, offers, part / "truth" / period.name)
    contacts = world.contacts[world.contacts["month"].between(period.first, period.last)]
    return SimulationSummary(
        folder=str(folder),
        first_day=f"{month_name(period.first)}-01",
        last_day=str(FIRST_DAY + period.end - 1),
        customers=int(world.there(period.end).sum()),
        left=int(period.holds(world.left).sum()),
        contacted=int(np.isfinite(contacts["contacted"]).sum()),
        rows=rows,
    )


def _append(part: Path, folder: Path, period: Period) -> None:
    """Move a period to the others, the tables last: from then on it is there."""
    (folder / "truth").mkdir(exist_ok=True)
    for truth in (folder / "truth").glob("[0-9]*"):
        if not (folder / "tables" / truth.name).exists():  # a killed run moved it
            shutil.rmtree(truth)
    for kind in ("truth", "tables"):
        (part / kind / period.name).replace(folder / kind / period.name)
        (part / kind).rmdir()


def _today() -> datetime:
    return datetime.now(ZoneInfo(c.TIMEZONE))


def _require_past(months: int, done: int) -> None:
    """Refuse months that are not over yet: a required time later than now is a bad row."""
    if months < 1:
        raise ChurnmlError(f"months is {months}", "give 1 or more", value=months)
    fit = month_of(_today().strftime("%Y-%m")) - done
    if months > fit:
        raise ChurnmlError(
            f"{months} months from {month_name(done)} on would pass today",
            f"give at most {fit}" if fit > 0 else "wait until a month is over, or make a shorter simulation",
            months=months,
            fit=max(fit, 0),
        )


def _facts(folder: Path) -> dict[str, int]:
    file = folder / _SETTINGS
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        if (facts["layout"], facts["start"]) != (c.LAYOUT, c.START):
            raise ValueError("another version made it")
        return {key: int(facts[key]) for key in ("seed", "customers")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChurnmlError(
            f"{folder} is not a simulation that can go on ({_SETTINGS}: {error})",
            "name a folder that this version of churnml simulate made",
            file=str(file),
        ) from error


def _months_done(folder: Path) -> int:
    """Count the months that are there, from the names of the period folders."""
    names = sorted(item.name for item in (folder / "tables").glob("????-??_????-??"))
    ends = [month_of(name[8:]) + 1 for name in names]
    if not names or [name[:7] for name in names] != [month_name(month) for month in (0, *ends[:-1])]:
        raise ChurnmlError(f"{folder / 'tables'} lacks a period", "simulate it anew", file=str(folder))
    return ends[-1]

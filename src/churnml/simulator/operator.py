"""Simulating an operator, and going on with it after a campaign."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from churnml.errors import ChurnmlError
from churnml.files import atomic_folder
from churnml.simulator import settings as c
from churnml.simulator.clock import Array, month_name, month_of, month_start
from churnml.simulator.contacts import assigned_contacts, no_contacts, own_campaign, past_contacts
from churnml.simulator.draws import Draws
from churnml.simulator.latent import Mood
from churnml.simulator.offers import Offer, read_offers
from churnml.simulator.path import Path, Planner, live
from churnml.simulator.template import configuration
from churnml.simulator.traits import make_people, people_by
from churnml.simulator.truth import SPAN
from churnml.simulator.write import Period, World, write_tables, write_truth

_SETTINGS = "simulation.json"
_CONFIGURATION = "churnml.yaml"


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
    out: FilePath, *, customers: int = 20_000, months: int = 18, seed: int = 0, show_progress: bool = False
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
    for name, value, least in (("customers", customers, 1), ("months", months, 1), ("seed", seed, 0)):
        if value < least:
            raise ChurnmlError(f"{name} is {value}", f"give {least} or more", value=value)
    if customers > 10_000_000:
        raise ChurnmlError(f"customers is {customers}", "give at most 10000000", value=customers)
    _require_past(months, 0)
    with atomic_folder(FilePath(out)) as folder:
        (folder / _CONFIGURATION).write_text(configuration(customers, months), encoding="utf-8")
        facts = {"layout": c.LAYOUT, "seed": seed, "customers": customers, "start": c.START}
        (folder / _SETTINGS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        offers = read_offers(folder / _CONFIGURATION)
        period = Period(0, months - 1)
        listed = list(offers.values())
        draws = _draws(facts, months + SPAN)

        def planner(month: int, there: Array, mood: Mood) -> pd.DataFrame:
            return own_campaign(month, draws, there, mood, listed) if month < months else no_contacts()

        world = _world(facts, draws, period, planner, offers)
        for name in ("tables", "truth"):
            (folder / name / period.name).mkdir(parents=True)
        rows = write_tables(world, period, folder / "tables" / period.name, show_progress=show_progress)
        write_truth(world, period, folder / "truth" / period.name)
    return _summary(FilePath(out), period, world.path, rows)


def continue_simulation(
    folder: FilePath, assignments: FilePath, *, months: int, show_progress: bool = False
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
    folder = FilePath(folder)
    facts = _facts(folder)
    if months < 1:
        raise ChurnmlError(f"months is {months}", "give 1 or more", value=months)
    first = _months_done(folder)
    _require_past(months, first)
    period = Period(first, first + months - 1)
    offers = read_offers(folder / _CONFIGURATION)
    known = people_by(facts["customers"], first - 1)
    assigned = assigned_contacts(FilePath(assignments), first, known, offers, folder / _CONFIGURATION)
    plan = pd.concat([past_contacts(folder / "tables"), assigned], ignore_index=True)

    def planner(month: int, there: Array, mood: Mood) -> pd.DataFrame:  # noqa: ARG001
        return plan[plan["month"] == month]

    world = _world(facts, _draws(facts, first + months + SPAN), period, planner, offers)
    with _appending(folder, period.name) as part:
        rows = write_tables(world, period, part / "tables", show_progress=show_progress)
        write_truth(world, period, part / "truth")
    return _summary(folder, period, world.path, rows)


def _draws(facts: dict[str, Any], months: int) -> Draws:
    return Draws(facts["seed"], people_by(facts["customers"], months - 1))


def _world(facts: dict[str, Any], draws: Draws, period: Period, planner: Planner, offers: dict[str, Offer]) -> World:
    """Live through the period, and as far beyond it as the truth about its last month reaches."""
    months = period.last + 1 + SPAN
    people = make_people(draws, facts["customers"], months)
    return World(people, draws, live(people, draws, months, planner), offers)


def _summary(folder: FilePath, period: Period, path: Path, rows: dict[str, int]) -> SimulationSummary:
    begin, end = period.begin, period.end
    contacted = sum(int(np.isfinite(path.contacts[m]["contacted"]).sum()) for m in period.months())
    return SimulationSummary(
        folder=str(folder),
        first_day=f"{month_name(period.first)}-01",
        last_day=str(np.datetime64(c.START) + month_start(period.last + 1) - 1),
        customers=int(path.there(end).sum()),
        left=int(((path.left >= begin) & (path.left < end)).sum()),
        contacted=contacted,
        rows=rows,
    )


def _today() -> datetime:
    return datetime.now(ZoneInfo(c.TIMEZONE))


def _require_past(months: int, done: int) -> None:
    """Refuse months that are not over yet: a required time later than now is a bad row."""
    fit = month_of(_today().strftime("%Y-%m")) - done
    if months > fit:
        raise ChurnmlError(
            f"{months} months from {month_name(done)} on would pass today",
            f"give at most {fit}" if fit > 0 else "wait until a month is over, or make a shorter simulation",
            months=months,
            fit=max(fit, 0),
        )


def _facts(folder: FilePath) -> dict[str, Any]:
    file = folder / _SETTINGS
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        numbers = {key: int(facts[key]) for key in ("layout", "seed", "customers")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChurnmlError(
            f"{folder} is not a simulation ({_SETTINGS} is missing or cannot be read)",
            "name a folder that churnml simulate made",
            file=str(file),
        ) from error
    if numbers["layout"] != c.LAYOUT or facts.get("start") != c.START:
        raise ChurnmlError(f"{folder} was made by another version", "simulate it anew", file=str(file))
    return numbers


def _months_done(folder: FilePath) -> int:
    """Count the months that are there, from the names of the period folders."""
    names = sorted(item.name for item in (folder / "tables").glob("[0-9]*") if item.is_dir())
    done = 0
    for name in names:
        found = re.fullmatch(r"(\d{4}-\d{2})_(\d{4}-\d{2})", name)
        if not found or month_of(found[1]) != done:
            raise ChurnmlError(f"{folder / 'tables'} has a gap before {name}", "simulate it anew", file=str(folder))
        done = month_of(found[2]) + 1
    if not done:
        raise ChurnmlError(f"{folder / 'tables'} has no period", "simulate it anew", file=str(folder))
    return done


@contextlib.contextmanager
def _appending(folder: FilePath, name: str) -> Iterator[FilePath]:
    """Yield a hidden folder whose ``tables`` and ``truth`` become a period; renaming ``tables`` counts."""
    part = folder / f".{name}.{os.getpid()}.part"
    try:
        _clean(folder)
        for kind in ("tables", "truth"):
            (part / kind).mkdir(parents=True)
        yield part
        (folder / "truth").mkdir(exist_ok=True)
        (part / "truth").replace(folder / "truth" / name)
        (part / "tables").replace(folder / "tables" / name)
    except OSError as error:
        raise ChurnmlError(
            f"{folder} cannot be written ({error.strerror or error})",
            "free space on the disk",
            file=str(folder),
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _clean(folder: FilePath) -> None:
    """Remove what a killed run left: its hidden folder, and truth whose tables never came."""
    for item in folder.glob(".*.part"):
        pid = re.fullmatch(r"\.[-_0-9]+\.(\d+)\.part", item.name)
        if pid and _alive(int(pid[1])):
            raise ChurnmlError(f"another run continues {folder}", "wait until it has ended", file=str(folder))
        shutil.rmtree(item)
    for item in (folder / "truth").glob("[0-9]*"):
        if not (folder / "tables" / item.name).exists():
            shutil.rmtree(item)


def _alive(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

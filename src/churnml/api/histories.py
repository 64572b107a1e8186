"""From histories to features: init, simulate, check, features, catalog."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd

from churnml.asof import parse_as_of
from churnml.config import Config, ConfigLike, load_config
from churnml.errors import ChurnmlError
from churnml.feature_extraction.catalogue import catalogue_of
from churnml.files import atomic_file, require_folder, require_writable
from churnml.labels.outcome import is_observed
from churnml.reporting.catalogue_page import write_catalogue
from churnml.simulator import SimulationSummary, continue_simulation
from churnml.simulator import simulate as _simulate
from churnml.snapshots.audit import moving_features
from churnml.snapshots.leaks import ENOUGH_OF_EACH, leaking_columns
from churnml.snapshots.panel import Panel
from churnml.snapshots.readiness import outcomes, readiness, usable_dates
from churnml.tables.coverage import Finding, uncovered
from churnml.tables.disagreements import disagreements
from churnml.tables.doubtful import doubtful
from churnml.tables.histories import (
    Histories,
    TableReport,
    describe_tables,
    open_histories,
    refuse_too_many_bad,
)
from churnml.tables.sources import all_files_of
from churnml.training.dates import churn_schedule, value_schedule
from churnml.training.meanwhile import rule_meanwhile
from churnml.wording import Language, say

PathLike = str | os.PathLike[str]
AsOf = str | dt.date
Engine = Literal["duckdb", "spark"]


@dataclass(frozen=True)
class CheckReport:
    """What `check` found.

    Attributes
    ----------
    tables : dict of TableReport
        Rows, accepted, quarantined and reasons of each table.
    findings : list of Finding
        What will hurt.
    enough_to_train : bool
        Whether there are enough churners and months to train a model and test it out of time.
    """

    tables: dict[str, TableReport]
    findings: list[Finding]
    enough_to_train: bool

    def refuse_too_many_bad(self, config: Config) -> None:
        """Raise a ChurnmlError if a table has more rows in quarantine than the configuration allows."""
        refuse_too_many_bad(self.tables, config)

    def warnings(self, lang: Language = "en") -> list[dict[str, str | None]]:
        """List the findings as ``table``, ``column``, ``message``."""
        return [
            {"table": found.table, "column": found.column, "message": found.message(lang)} for found in self.findings
        ]

    def to_dict(self, lang: Language = "en") -> dict[str, Any]:
        """Return the report as it is printed with ``--json``."""
        kept = ("rows", "accepted", "quarantined", "reasons")
        tables = {name: {word: asdict(report)[word] for word in kept} for name, report in self.tables.items()}
        return {"tables": tables, "warnings": self.warnings(lang), "enough_to_train": self.enough_to_train}


def init(folder: PathLike) -> Path:
    """Write a commented configuration to fill in.

    Parameters
    ----------
    folder : path
        Where ``churnml.yaml`` is written; made where it does not exist (the folder it lies in must).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ChurnmlError
        If there is one already, or the folder cannot be made.
    """
    target = Path(folder) / "churnml.yaml"
    if target.exists():
        raise ChurnmlError(f"{target} exists", "name another folder, or edit that file", file=str(target))
    require_folder(Path(folder))
    try:
        Path(folder).mkdir(exist_ok=True)
    except OSError as error:
        raise ChurnmlError(f"{folder} cannot be made ({error.strerror})", "name another folder") from error
    with atomic_file(target) as part:
        part.write_bytes(resources.files("churnml").joinpath("template.yaml").read_bytes())
    return target


def simulate(
    out: PathLike | None = None,
    *,
    customers: int = 20_000,
    months: int = 18,
    seed: int = 0,
    continue_folder: PathLike | None = None,
    assignments: PathLike | None = None,
    progress: bool = False,
) -> SimulationSummary:
    """Simulate an operator whose truth is known, or the following months of one.

    Parameters
    ----------
    out : path, optional
        The folder to make, with the tables, a ``churnml.yaml`` for them, and the truth in ``truth/``.
    customers : int
        Customers at the start.
    months : int
        Months to simulate.
    seed : int
        The same seed gives the same bytes.
    continue_folder : path, optional
        In place of ``out``: a simulated operator to go on with.
    assignments : path, optional
        With ``continue_folder``: who is treated with which offer (Parquet, as a campaign's assignments).
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    SimulationSummary
        What was written.

    Raises
    ------
    ChurnmlError
        If the folder holds something, or the assignments do not fit the operator.
    """
    if (out is None) == (continue_folder is None):
        raise ChurnmlError("a simulation is either new or continued", "give --out DIR, or --continue DIR")
    if out is not None:
        return _simulate(Path(out), customers=customers, months=months, seed=seed, show_progress=progress)
    if assignments is None:
        raise ChurnmlError("the following months need assignments", "give --assignments FILE")
    return continue_simulation(Path(str(continue_folder)), Path(assignments), months=months, show_progress=progress)


def check(config: ConfigLike, *, strict: bool = True, progress: bool = False) -> CheckReport:
    """Tell what of the tables is usable, what will hurt, and whether there is enough to train.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    strict : bool
        Whether too many rows in quarantine are an error.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    CheckReport
        Bad rows themselves are in ``quarantine/`` of the state folder.

    Raises
    ------
    ChurnmlError
        If a table cannot be read, or (when strict) has too many bad rows.
    """
    with open_histories(load_config(config), strict=strict, progress=progress) as histories:
        enough, missing = readiness(histories)
        leaks = _leaks(histories) if is_observed(histories) else []
        rule = None if enough or not is_observed(histories) else rule_meanwhile(histories, progress=progress)
        missing += [] if rule is None else [rule]
        findings = [*doubtful(histories), *disagreements(histories), *leaks, *uncovered(histories), *missing]
        return CheckReport(dict(histories.reports), findings, enough)


@dataclass(frozen=True)
class AuditReport:
    """What `audit` found.

    Attributes
    ----------
    as_of : datetime.date
        The date at which features were computed.
    features : int
        How many.
    findings : list of Finding
        Features that move with the future, columns that give the outcome away, train dates whose outcome the test
        date sees.
    """

    as_of: dt.date
    features: int
    findings: list[Finding]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def to_dict(self, lang: Language = "en") -> dict[str, Any]:
        """Return the report as it is printed with ``--json``."""
        found = [{"table": one.table, "column": one.column, "message": one.message(lang)} for one in self.findings]
        return {"as_of": str(self.as_of), "features": self.features, "passed": self.passed, "findings": found}


def audit(config: ConfigLike, as_of: AsOf | None = None, *, progress: bool = False) -> AuditReport:
    """Look for leaks: features that see the future, and columns that were made from the outcome.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    as_of : date or text, optional
        The date; by default the latest whose outcome is known.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    AuditReport
        What was found.

    Raises
    ------
    ChurnmlError
        If a table cannot be read, or no date is given and none has a known outcome.
    """
    with open_histories(load_config(config), progress=progress) as histories:
        day = parse_as_of(as_of) if as_of is not None else next(reversed(usable_dates(histories)), None)
        if day is None:
            raise ChurnmlError("no as-of date has a known outcome", "name a date with --as-of")
        panel = Panel(histories, [day], labels=True)
        rows = panel.to_pandas(progress=progress)
        findings = [*moving_features(histories, day), *leaking_columns(rows, panel.features, day)]
        return AuditReport(day, len(panel.features), [*findings, *_overlaps(histories)])


def _overlaps(histories: Histories) -> list[Finding]:
    """Look for dates that training would learn from although their outcome reaches past the test date."""
    try:
        churn = churn_schedule(histories)
        value = value_schedule(histories, churn)
    except ChurnmlError:  # too little to train on: `train` says so
        return []
    found = {"churn": churn.overlapping, "value": value.overlapping if value else []}
    tests = {"churn": churn.test, "value": value.test if value else []}
    return [
        Finding(None, None, "overlaps", {"model": model, "dates": len(days), "first": days[0], "test": tests[model][0]})
        for model, days in found.items()
        if days
    ]


def _leaks(histories: Histories) -> list[Finding]:
    """Judge columns at the latest date that has enough customers of both outcomes."""
    for as_of in reversed(usable_dates(histories)):
        if min(outcomes(histories, as_of)) >= ENOUGH_OF_EACH:
            panel = Panel(histories, [as_of], labels=True)
            return leaking_columns(panel.to_pandas(), panel.features, as_of)
    return [Finding(None, None, "not_judged", {"needed": ENOUGH_OF_EACH})]


@overload
def features(
    config: ConfigLike,
    as_of: AsOf | Iterable[AsOf],
    *,
    labels: bool = ...,
    out: None = ...,
    engine: Engine = ...,
    progress: bool = ...,
) -> pd.DataFrame: ...


@overload
def features(
    config: ConfigLike,
    as_of: AsOf | Iterable[AsOf],
    *,
    labels: bool = ...,
    out: PathLike,
    engine: Engine = ...,
    progress: bool = ...,
) -> dict[str, Any]: ...


def features(
    config: ConfigLike,
    as_of: AsOf | Iterable[AsOf],
    *,
    labels: bool = False,
    out: PathLike | None = None,
    engine: Engine = "duckdb",
    progress: bool = False,
) -> pd.DataFrame | dict[str, Any]:
    """Compute the panel: the features of every customer at risk at each as-of date.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    as_of : date, text or several
        As-of dates.
    labels : bool
        Whether to add ``churned`` and ``value``, null where the outcome is not known.
    out : path, optional
        A Parquet file to write in place of returning the panel; memory then does not grow with the number of dates.
        Spark always writes: a folder with a partition for each date.
    engine : {"duckdb", "spark"}
        What computes it; Spark in the session that is active (``pip install churnml[spark]``).
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    pandas.DataFrame or dict
        One row for each customer and date, in the order of ``as_of`` and ``customer_id``: keys, features in the order
        of the catalogue, labels. With ``out``: the numbers of ``rows``, ``columns`` and the ``dates`` written.

    Raises
    ------
    ChurnmlError
        If a table cannot be used, a date is none, or nobody is at risk at one.
    """
    settings = load_config(config)
    dates = [parse_as_of(as_of)] if isinstance(as_of, str | dt.date) else [parse_as_of(day) for day in as_of]
    if not dates:
        raise ChurnmlError("no as-of date is given", "give at least one: --as-of 2024-03-01")
    if engine == "spark":
        return _features_on_spark(settings, dates, labels=labels, out=folder_for_spark(out), progress=progress)
    if out is not None:
        refuse_to_overwrite(settings, Path(out))
    with open_histories(settings, progress=progress) as histories:
        panel = Panel(histories, dates, labels=labels)
        if out is None:
            return panel.to_pandas(progress=progress)
        rows = panel.write(Path(out), progress=progress)
        written = [str(day) for day in panel.dates]
        return {"rows": rows, "columns": len(panel.schema), "dates": written, "out": str(out)}


def _features_on_spark(
    config: Config, dates: list[dt.date], *, labels: bool, out: str, progress: bool
) -> dict[str, Any]:
    from churnml.snapshots.spark_panel import SparkPanel
    from churnml.tables.spark import open_on_spark

    with open_on_spark(config, progress=progress) as histories:
        panel = SparkPanel(histories, dates, labels=labels)
        rows = panel.write_folder(out, progress=progress)
        written = [str(day) for day in panel.dates]
        return {"rows": rows, "columns": len(panel.schema), "dates": written, "out": out}


def folder_for_spark(out: PathLike | None) -> str:
    """Return the folder that Spark writes.

    Raises
    ------
    ChurnmlError
        If none is given.
    """
    if out is None:
        raise ChurnmlError("the engine spark writes a folder and returns no rows", "give out")
    return os.fspath(out)


def refuse_to_overwrite(config: Config, out: Path) -> None:
    """Raise if an output file would take the place of a source, or of what is no Parquet file."""
    require_writable(out)
    if out.suffix.lower() in (".csv", ".xlsx", ".json"):
        raise ChurnmlError(f"{out} is to be a Parquet file", "let its name end in .parquet", file=str(out))
    if out.exists() and out.stat().st_size:
        with out.open("rb") as file:
            if file.read(4) != b"PAR1":
                raise ChurnmlError(f"{out} exists and is no Parquet file", "name another file to write", file=str(out))
    for name, source in config.tables.given().items():
        if out.resolve() in [file.resolve() for file in all_files_of(name, source, config.folder)]:
            raise ChurnmlError(f"{out} is the source of table {name}", "name another file to write", file=str(out))


def catalog(
    config: ConfigLike,
    *,
    html: PathLike | None = None,
    as_of: Iterable[AsOf] = (),
    lang: Language = "en",
    progress: bool = False,
) -> pd.DataFrame:
    """List every feature that the operator's tables give.

    Parameters
    ----------
    config : path, mapping or Config
        The configuration.
    html : path, optional
        A page to write, too: coverage, spread and shift of each feature.
    as_of : dates, optional
        Of the page; by default the first, a middle and the last date whose outcome is known.
    lang : {"en", "zh"}
        Language of the page.
    progress : bool
        Whether to show progress on stderr.

    Returns
    -------
    pandas.DataFrame
        One row for each feature: ``name``, ``source`` (table), ``window`` (days), ``unit``, ``dtype``, ``meaning``,
        ``phrase_en``, ``phrase_zh``, ``theme`` (features of one theme give one reason) and ``why`` it tells of leaving.

    Raises
    ------
    ChurnmlError
        If a table cannot be read.
    """
    settings = load_config(config)
    if html is None:
        listed = catalogue_of(settings, describe_tables(settings))
    else:
        require_writable(Path(html))
        with open_histories(settings, progress=progress) as histories:
            panel = Panel(histories, [parse_as_of(day) for day in as_of] or _some(usable_dates(histories)))
            listed = panel.features
            write_catalogue(panel.to_pandas(progress=progress), listed, Path(html), project=settings.project, lang=lang)
    columns = ["name", "source", "window", "unit", "dtype", "meaning", "phrase_en", "phrase_zh", "theme"]
    table = pd.DataFrame([{name: getattr(feature, name) for name in columns} for feature in listed], columns=columns)
    return table.astype({"window": "Int64"}).assign(why=[say(f"why_{theme}", lang) for theme in table["theme"]])


def _some(dates: list[dt.date]) -> list[dt.date]:
    if not dates:
        raise ChurnmlError("no as-of date has a known outcome", "name dates with --as-of")
    return sorted({dates[0], dates[len(dates) // 2], dates[-1]})

"""Writing lists to files that people open: CSV, Excel, Parquet."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

from churnml.campaigns.call_list import call_list
from churnml.campaigns.store import assignments_of
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.files import atomic_file, require_writable
from churnml.formulas import defused
from churnml.tables.histories import Histories
from churnml.wording import Language

ENDINGS = (".csv", ".xlsx", ".parquet")

_MOST_ROWS, _LONGEST = 1_048_575, 32_767  # of Excel, below the heading


def export_campaign(
    histories: Histories,
    out: str | os.PathLike[str],
    *,
    name: str,
    role: str = "retention",
    manager: str | None = None,
    lang: Language = "en",
) -> dict[str, Any]:
    """Write the call list of a campaign (see `campaigns.call_list.call_list`).

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    out : path
        Where; the ending tells the format.
    name : str
        The campaign.
    role : {"retention", "account_manager", "admin"}
        Who reads it.
    manager : str, optional
        With ``account_manager``: whose customers.
    lang : {"en", "zh"}
        Language of the reasons.

    Returns
    -------
    dict
        ``rows`` and ``out``.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, role or manager, or the file cannot be written.
    """
    target = require_ending(out)
    rows = call_list(histories, name, role=role, manager=manager, lang=lang)
    write_list(rows, target)
    return {"rows": len(rows), "out": str(out)}


def export_assignments(config: Config, out: str | os.PathLike[str], *, name: str) -> dict[str, Any]:
    """Write the assignments of a campaign: everyone in the population.

    Parameters
    ----------
    config : Config
        Where they are kept.
    out : path
        Where to; the ending tells the format.
    name : str
        The campaign.

    Returns
    -------
    dict
        ``rows`` and ``out``.

    Raises
    ------
    ChurnmlError
        If there is no such campaign, or the file cannot be written.
    """
    target = require_ending(out)
    rows = assignments_of(config, name)
    write_list(rows, target)
    return {"rows": len(rows), "out": str(out)}


def require_ending(out: str | os.PathLike[str]) -> Path:
    """Return the path of a list to write.

    Raises
    ------
    ChurnmlError
        If its ending tells no format, or it cannot be written.
    """
    target = Path(out)
    if target.suffix.lower() not in ENDINGS:
        raise ChurnmlError(f"{target} has no ending of a list", f"use one of {', '.join(ENDINGS)}", file=str(target))
    require_writable(target)
    return target


def write_list(rows: pd.DataFrame, target: Path) -> None:
    """Write a table as a file that appears whole or not at all.

    In CSV and Excel, texts (and headings) that a spreadsheet would take for a formula begin with an apostrophe; CSV
    is UTF-8 with a byte-order mark, by which Excel knows it. Parquet holds everything as it is.

    Parameters
    ----------
    rows : DataFrame
        What to write.
    target : Path
        A file that ends in ``.csv``, ``.xlsx`` or ``.parquet``.

    Raises
    ------
    ChurnmlError
        If there are more rows than Excel holds, or the file cannot be written.
    """
    ending = target.suffix.lower()
    if ending == ".xlsx" and len(rows) > _MOST_ROWS:
        raise ChurnmlError(
            f"{target}: Excel holds {_MOST_ROWS:,} rows, not {len(rows):,}",
            "use one of .csv, .parquet",
            file=str(target),
            rows=len(rows),
        )
    with atomic_file(target) as part:
        if ending == ".csv":
            # with other line ends, a text with a carriage return in it would not be quoted
            _defused(rows).to_csv(part, index=False, encoding="utf-8-sig", lineterminator="\r\n")
        elif ending == ".xlsx":
            part.write_bytes(_workbook(_defused(rows)))
        else:
            pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), part, compression="zstd")


def _defused(rows: pd.DataFrame) -> pd.DataFrame:
    safe = rows.copy()
    for name in safe:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].astype("str").map(defused, na_action="ignore")
    return safe.rename(columns=lambda name: defused(str(name)))


def _workbook(rows: pd.DataFrame) -> bytes:
    """Return an Excel file with one sheet; built in memory, so that a full disk is met in one place only."""
    content = io.BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, {"in_memory": True, **plain}) as book:
        sheet = book.add_worksheet()
        sheet.freeze_panes(1, 0)
        for number, name in enumerate(rows):
            sheet.write_string(0, number, str(name)[:_LONGEST], book.add_format({"bold": True}))
            for place, value in enumerate(rows[name].tolist(), start=1):
                if pd.isna(value):
                    continue
                if isinstance(value, bool):
                    sheet.write_boolean(place, number, value)
                elif isinstance(value, int | float):
                    sheet.write_number(place, number, value)
                else:
                    sheet.write_string(place, number, value[:_LONGEST])
    return content.getvalue()

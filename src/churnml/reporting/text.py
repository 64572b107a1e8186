"""The report in short, as text for a terminal."""

from __future__ import annotations

import io
import shutil
import sys

from rich.console import Console
from rich.table import Table

from churnml.reporting.listing import listed, told_of_list
from churnml.reporting.report import Report
from churnml.reporting.words import Words, cautions, head, lead, shown
from churnml.wording import Language

_WIDE = 200
_ROOM = 150  # columns that a list with its reasons takes
_NARROW = ("rank", "customer", "tier", "risk", "value_at_risk", "offer", "expected_profit")


def summary_text(report: Report, lang: Language = "en") -> str:
    """Return what matters most, and the first ten customers of the list.

    Parameters
    ----------
    report : Report
        What is told.
    lang : {"en", "zh"}
        Language.

    Returns
    -------
    str
        As wide as the terminal, and wide elsewhere.
    """
    words = Words(lang, shown(report.currency))
    lines = [head(report, words), "", *lead(report, words)]
    mind = cautions(report, words)
    if mind:
        lines += ["", words.say("report_before"), *(f"  - {caution}" for caution in mind)]
    rows = listed(report, words)
    told = told_of_list(report, words)
    lines += ["", told["title"], told["order"]]
    return "\n".join([*lines, "", _table(report, rows, words)] if rows else [*lines, ""])


def _table(report: Report, rows: list[dict[str, object]], words: Words) -> str:
    columns = ["rank", "customer", "key", "tier", "segment", "risk", "value_at_risk", "offer", "expected_profit"]
    if report.campaign is None:
        columns = columns[:-2]
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _WIDE
    below = width < _ROOM  # reasons then have a line of their own
    if below:
        columns = [column for column in columns if column in _NARROW]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column in ("rank", "risk", "value_at_risk", "expected_profit")
        heading = words.say("report_key_account" if column == "key" else f"report_{column}")
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    if not below:
        table.add_column(words.say("report_reasons"), overflow="fold")
    lines = []
    for row in rows:
        cells = [
            words.say("report_key_mark") * bool(row["key"]) if name == "key" else str(row[name]) for name in columns
        ]
        reasons = row["reasons"] if isinstance(row["reasons"], list) else []
        told = ("；" if words.lang == "zh" else "; ").join(map(str, reasons))
        table.add_row(*cells, *([] if below else [told]))
        lines += [f"{row['rank']:>4}  {told}"] if below else []
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=terminal, markup=False, highlight=False, emoji=False).print(table)
    found = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join([*found, *(["", words.say("report_reasons")] if below else []), *lines]) + "\n"

"""Columns of ``customers`` for which the operator's systems have different values."""

from __future__ import annotations

from churnml.columns import CHURN_TYPE, CUSTOMER_ID
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories
from churnml.tables.merging import DISAGREEMENTS
from churnml.tables.schema import SCHEMAS
from churnml.tables.sources import quoted

_FEW = 50  # a column with more different values may tell who a customer is


def disagreements(histories: Histories) -> list[Finding]:
    """List the columns that the sources of ``customers`` disagree about, the most frequent first.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    list of Finding
        One for each column, with an example where its values can hardly be personal.
    """
    table = histories.config.tables.customers
    if not table.sources:
        return []
    names = [source.name or "" for source in table.sources]
    found = histories.con.con.execute(
        f'SELECT "column", count(DISTINCT {CUSTOMER_ID}) AS n FROM {DISAGREEMENTS} GROUP BY ALL ORDER BY n DESC, 1'
    ).fetchall()
    file = histories.config.state_folder / "conflicts" / "customers.parquet"
    return [
        Finding(
            "customers",
            column,
            "sources_disagree",
            {
                "customers": count,
                "sources": ", ".join(names),
                "example": _example(histories, column, names) if _may_be_shown(histories, column) else "",
                "file": str(file),
            },
        )
        for column, count in found
    ]


def _may_be_shown(histories: Histories, column: str) -> bool:
    named = SCHEMAS["customers"].column(column)
    if column in histories.config.personal:
        return False
    if column == CHURN_TYPE or (named is not None and named.kind == "time"):
        return True
    if column not in histories.extras["customers"]:  # somebody's name or words
        return False
    query = f"SELECT count(DISTINCT {quoted(column)}) FROM accepted_customers"
    (distinct,) = histories.con.con.execute(query).fetchone()
    return bool(distinct <= _FEW)


def _example(histories: Histories, column: str, names: list[str]) -> str:
    """Return the most frequent combination of values, such as `` (crm: mass, billing: business)``."""
    listed = ", ".join(map(quoted, names))
    query = (
        f'SELECT {listed} FROM {DISAGREEMENTS} WHERE "column" = ? GROUP BY ALL ORDER BY count(*) DESC, {listed} LIMIT 1'
    )
    values = histories.con.con.execute(query, [column]).fetchone()
    shown = (f"{name}: {value}" for name, value in zip(names, values, strict=True) if value is not None)
    return f" ({', '.join(shown)})"

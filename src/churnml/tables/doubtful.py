"""Columns that are perhaps not what they seem: personal ones that are missing or forgotten, numbers that are text."""

from __future__ import annotations

from churnml.columns import CUSTOMER_ID
from churnml.tables.coverage import Finding
from churnml.tables.histories import Histories

_MANY = 100
_NEARLY_EVERY = 0.8
_MOSTLY = 0.5
_LIKE_A_NUMBER = r"^\s*[+-]?\d[\d.' ]*,\d+\s*$"


def doubtful(histories: Histories) -> list[Finding]:
    """List columns that are perhaps not what they seem.

    Parameters
    ----------
    histories : Histories
        The operator's tables.

    Returns
    -------
    list of Finding
        Personal columns that no table has, text attributes of which nearly every customer has a value of his own, and
        text columns of usage that look like numbers.
    """
    return [*_personal(histories), *_numbers_as_text(histories)]


def _numbers_as_text(histories: Histories) -> list[Finding]:
    rows = histories.newest("usage")
    texts = [name for name, kind in histories.extras["usage"].items() if kind == "text"]
    if not texts:
        return []
    shares = {f"_{name}": rows[name].re_search(_LIKE_A_NUMBER).mean() for name in texts}
    (found,) = rows.agg(**shares).to_pyarrow().to_pylist()
    return [Finding("usage", name, "no_number", {}) for name in texts if (found[f"_{name}"] or 0) >= _MOSTLY]


def _personal(histories: Histories) -> list[Finding]:
    there = {name for names in histories.columns.values() for name in names}
    findings = [Finding(None, name, "not_there", {}) for name in histories.config.personal if name not in there]
    texts = [name for name, kind in histories.extras["customers"].items() if kind == "text"]
    if not texts:
        return findings
    rows = histories.newest("customers")
    counts = rows.agg(customers=rows[CUSTOMER_ID].nunique(), **{f"_{n}": rows[n].nunique() for n in texts})
    (found,) = counts.to_pyarrow().to_pylist()
    customers = found["customers"]
    for name in texts:
        if customers >= _MANY and found[f"_{name}"] >= _NEARLY_EVERY * customers:
            facts = {"distinct": found[f"_{name}"], "rows": customers}
            findings.append(Finding("customers", name, "identifies", facts))
    return findings

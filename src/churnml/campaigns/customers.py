"""What lists know of customers beside their scores: the newest version of the latest spell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ibis
import pandas as pd

from churnml.columns import CUSTOMER_ID, SIGNED_UP_AT, VALUE_TIER
from churnml.config import Config
from churnml.tables.histories import Histories

MANAGER, SEGMENT = "account_manager", "segment"

_KEY_SEGMENT = "key"


def newest_customers(histories: Histories, further: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the newest version of every customer's latest spell.

    Parameters
    ----------
    histories : Histories
        The operator's tables.
    further : mapping of str to str, optional
        Columns beside segment and account manager: what they are to be called, and what they are called. Those that
        the table does not have are left out.

    Returns
    -------
    DataFrame
        ``customer_id``, ``segment``, ``account_manager``, and the further columns.
    """
    spells = histories.newest("customers")
    latest = ibis.row_number().over(group_by=spells[CUSTOMER_ID], order_by=spells[SIGNED_UP_AT].desc())
    numbered = spells.mutate(__older=latest)
    wanted = {name: name for name in (CUSTOMER_ID, SEGMENT, MANAGER)}
    wanted |= {new: old for new, old in (further or {}).items() if old in spells.columns}
    rows = numbered.filter(numbered["__older"] == 0).select(**{new: numbered[old] for new, old in wanted.items()})
    frame: pd.DataFrame = rows.to_pyarrow().to_pandas()
    return frame.astype({CUSTOMER_ID: "str", SEGMENT: "str", MANAGER: "str"})


def is_key(rows: pd.DataFrame, config: Config) -> pd.Series[Any]:
    """Return whether each row is of a key account, by its segment and its tier."""
    levels = config.tiers.first.key if config.tiers is not None else ()
    return (rows[SEGMENT] == _KEY_SEGMENT).fillna(False).astype(bool) | rows[VALUE_TIER].isin(levels)


def key_accounts(histories: Histories, scores: pd.DataFrame) -> set[str]:
    """Return the customers of scores who are key accounts."""
    rows = scores[[CUSTOMER_ID, VALUE_TIER]].merge(newest_customers(histories), how="left", on=CUSTOMER_ID)
    return set(rows.loc[is_key(rows, histories.config), CUSTOMER_ID])

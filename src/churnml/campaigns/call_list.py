"""The call list: who is to be contacted, key accounts first, with what the reader may see of them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from churnml.campaigns import schema as s
from churnml.campaigns.customers import MANAGER, SEGMENT, is_key, newest_customers
from churnml.campaigns.store import assignments_of, scores_of
from churnml.columns import CHURN_PROBABILITY, CUSTOMER_ID, RISK_BAND, VALUE_AT_RISK, VALUE_TIER
from churnml.config import Config
from churnml.errors import ChurnmlError
from churnml.tables.histories import Histories
from churnml.wording import Language

Role = Literal["retention", "account_manager", "admin"]
ROLES: tuple[Role, ...] = ("retention", "account_manager", "admin")

_COLUMNS = (
    "rank",
    s.ASSIGNMENT_ID,
    CUSTOMER_ID,
    "key_account",
    VALUE_TIER,
    SEGMENT,
    s.OFFER_ID,
    s.CHANNEL,
    CHURN_PROBABILITY,
    RISK_BAND,
    VALUE_AT_RISK,
    s.EXPECTED_PROFIT,
    "reasons",
    MANAGER,
)


def call_list(
    histories: Histories,
    name: str,
    *,
    role: str = "retention",
    manager: str | None = None,
    lang: Language = "en",
) -> pd.DataFrame:
    """Return the treated of a campaign, in the order in which to contact them.

    Parameters
    ----------
    histories : Histories
        The operator's tables: segment, account manager and personal columns are of the newest version of
        ``customers``.
    name : str
        The campaign.
    role : {"retention", "account_manager", "admin"}
        Who reads it. Personal columns are there for an account manager, who has own customers only, and for an admin.
    manager : str, optional
        With ``account_manager``: whose customers.
    lang : {"en", "zh"}
        Language of the reasons.

    Returns
    -------
    DataFrame
        Key accounts first, then by descending ``expected_profit``; ``rank`` counts from 1. Whoever was forgotten since
        is not in it. Personal columns come last;
        one that has the name of another column of the list is called ``personal_{name}``. Where ``segment`` or
        ``account_manager`` is personal itself, it is null for the retention team.

    Raises
    ------
    ChurnmlError
        If there is no such campaign or role, an account manager is not named or has no customers at all.
    """
    config = histories.config
    _check(role, manager)
    rows = assignments_of(config, name, arms=(s.TREATED,))
    scores = scores_of(config, name)[[CUSTOMER_ID, VALUE_TIER, RISK_BAND, VALUE_AT_RISK, "reasons"]]
    customers = newest_customers(histories, {_marked(column): column for column in _personal(config)})
    if role == "account_manager":
        customers = customers[customers[MANAGER] == manager]
        if customers.empty:
            raise ChurnmlError(
                f"table customers: no customer has the {MANAGER} {manager}",
                "name one of those in this column",
                table="customers",
                column=MANAGER,
                value=manager,
            )
        rows = rows[rows[CUSTOMER_ID].isin(customers[CUSTOMER_ID])]
    listed = rows.merge(scores, how="inner", on=CUSTOMER_ID).merge(customers, how="left", on=CUSTOMER_ID)
    listed["key_account"] = is_key(listed, config)
    listed["reasons"] = [_sentences(reasons, lang) for reasons in listed["reasons"]]
    listed = listed.sort_values(
        ["key_account", s.EXPECTED_PROFIT, CUSTOMER_ID], ascending=[False, False, True], ignore_index=True
    )
    listed["rank"] = np.arange(1, len(listed) + 1)
    return _shown(listed, config, see_all=role != "retention")


def _check(role: str, manager: str | None) -> None:
    if role not in ROLES:
        raise ChurnmlError(f"the role {role} has no call list", f"use one of {', '.join(ROLES)}", value=role)
    if role == "account_manager" and not manager:
        raise ChurnmlError("an account manager sees own customers only", "say whose with --manager ID")
    if role != "account_manager" and manager:
        raise ChurnmlError(f"the role {role} has no manager", "leave --manager out, or use --role account_manager")


def _personal(config: Config) -> list[str]:
    """List the personal columns that are added: customer_id, segment and account_manager are in the list already."""
    return [name for name in dict.fromkeys(config.personal) if name not in (CUSTOMER_ID, SEGMENT, MANAGER)]


def _marked(name: str) -> str:
    return f"personal column {name}"


def _sentences(reasons: Any, lang: Language) -> str:
    said = [str(reason[f"text_{lang}"]) for reason in ([] if reasons is None else reasons)]
    return ("；" if lang == "zh" else "; ").join(said)


def _shown(listed: pd.DataFrame, config: Config, *, see_all: bool) -> pd.DataFrame:
    shown = listed[list(_COLUMNS)].copy()
    if not see_all:
        for name in (SEGMENT, MANAGER):
            if name in config.personal:
                shown[name] = pd.Series(None, index=shown.index, dtype="str")
        return shown
    for name in _personal(config):
        if _marked(name) in listed:
            own = name
            while own in shown or (own != name and own in config.personal):
                own = f"personal_{own}"
            shown[own] = _as_text(listed[_marked(name)])
    return shown


def _as_text(column: pd.Series[Any]) -> pd.Series[Any]:
    """Return what names a person as text: a telephone number is no number to count with."""
    texts = [
        None if pd.isna(value) else f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
        for value in column
    ]
    return pd.Series(texts, index=column.index, dtype="str")

"""The numbers of a report, in no language."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from churnml.columns import CUSTOMER_ID
from churnml.reporting.report import Report

_RISKIEST = 90  # percentile above which a customer counts to the riskiest tenth


@dataclass(frozen=True)
class Headline:
    """What matters most.

    Attributes
    ----------
    population, scored : int
        Customers at risk, and those of them with a score.
    leavers : float
        How many are expected to leave in the window: the sum of the probabilities.
    value_at_risk : float or None
        The money that is expected to go with them; None without a value model.
    treated, key, control : int
        Customers to contact, key accounts among them, and customers kept aside.
    saved : float
        How many of those contacted are expected to stay because of it.
    cost, expected_profit : float
        Of contacting them, in money; discounts and cost are off the profit.
    assumed : bool
        Whether the effect of offers is assumed and not learnt, for one of them at least.
    """

    population: int
    scored: int
    leavers: float
    value_at_risk: float | None
    treated: int = 0
    key: int = 0
    control: int = 0
    saved: float = 0.0
    cost: float = 0.0
    expected_profit: float = 0.0
    assumed: bool = False

    @property
    def share(self) -> float:
        """Share of the scored who are expected to leave."""
        return self.leavers / self.scored if self.scored else 0.0


def headline(report: Report) -> Headline:
    """Return the numbers that come first."""
    scored = report.scored
    amounts = scored["value_at_risk"]
    at_risk = float(amounts.sum()) if amounts.notna().any() else None
    found = Headline(len(report.scores), len(scored), float(scored["churn_probability"].sum()), at_risk)
    if report.campaign is None:
        return found
    arms = report.campaign.assignments
    treated = arms[arms["arm"] == "treated"]
    return replace(
        found,
        treated=len(treated),
        key=int(scored.loc[scored["key"], CUSTOMER_ID].isin(treated[CUSTOMER_ID]).sum()),
        control=int((arms["arm"] == "control").sum()),
        saved=float(pd.to_numeric(treated["uplift"]).sum()),
        cost=float(report.campaign.summary["cost"]),
        expected_profit=float(report.campaign.summary["expected_profit"]),
        assumed=bool((treated["uplift_source"] == "assumed").any()),
    )


def call_list(report: Report) -> pd.DataFrame:
    """Return the customers to contact, key accounts first, then by what contacting them is expected to bring.

    Parameters
    ----------
    report : Report
        With or without a campaign.

    Returns
    -------
    pandas.DataFrame
        Rows of `Report.scored`, those of the campaign with its ``offer_id``, ``channel``, ``expected_profit``. Without
        a campaign, the tenth of customers with the highest risk, by the money at risk.
    """
    scored = report.scored
    if report.campaign is None:
        listed = scored[scored["churn_percentile"] > _RISKIEST]
        by = ["key", "value_at_risk", "churn_probability"]
    else:
        arms = report.campaign.assignments
        chosen = arms.loc[arms["arm"] == "treated", [CUSTOMER_ID, "offer_id", "channel", "expected_profit"]]
        listed = scored.merge(chosen, on=CUSTOMER_ID)
        by = ["key", "expected_profit", "churn_probability"]
    order = listed.sort_values([*by, CUSTOMER_ID], ascending=[False, False, False, True])
    return order.reset_index(drop=True)


def groups(report: Report, column: str, most: int = 10) -> pd.DataFrame:
    """Return customers, risk and money at risk by tier, segment or risk band.

    Parameters
    ----------
    report : Report
        What is told.
    column : {"value_tier", "segment", "risk_band"}
        By what.
    most : int
        Only so many groups; the smallest are put together as one that is called "".

    Returns
    -------
    pandas.DataFrame
        ``group`` (None where it is not known), ``customers``, ``churn_probability`` (mean), ``leavers`` (expected),
        and ``value_at_risk`` (sum) where there is a value model; the most at risk first. Empty where no customer has
        a group.
    """
    scored = report.scored
    if scored.empty or scored[column].isna().all():
        return pd.DataFrame(columns=["group", "customers", "churn_probability", "leavers"])
    named = scored.assign(group=scored[column].astype(object).where(scored[column].notna(), None))
    sizes = named["group"].value_counts()
    if len(sizes) > most:
        named["group"] = named["group"].where(named["group"].isna() | named["group"].isin(sizes.index[: most - 1]), "")
    grouped = named.groupby("group", dropna=False)
    risk = grouped["churn_probability"]
    table = pd.DataFrame({"customers": grouped.size(), "churn_probability": risk.mean(), "leavers": risk.sum()})
    by = "leavers"
    if scored["value_at_risk"].notna().any():
        table["value_at_risk"] = grouped["value_at_risk"].sum()
        by = "value_at_risk"
    ordered = table.reset_index().sort_values([by, "group"], ascending=[False, True]).reset_index(drop=True)
    return ordered.assign(group=ordered["group"].astype(object).where(ordered["group"].notna(), None))


def reasons(report: Report) -> pd.DataFrame:
    """Return what raises the risk, counted over the reasons of all scored customers.

    Parameters
    ----------
    report : Report
        What is told.

    Returns
    -------
    pandas.DataFrame
        ``code``, ``feature`` (the one that most often stands for it), ``effect`` (mean over all scored customers, in
        log-odds), ``share`` of them who have it (0-1), ``share_riskiest`` (the same of the tenth with the highest
        risk); the largest effect first.
    """
    riskiest = report.scored["churn_percentile"] > _RISKIEST
    found = pd.DataFrame(
        [
            (reason["code"], reason["feature"], reason["effect"], risky)
            for listed, risky in zip(report.scored["reasons"], riskiest, strict=True)
            for reason in as_list(listed)
            if reason["effect"] > 0
        ],
        columns=["code", "feature", "effect", "riskiest"],
    )
    by_code = found.groupby("code")
    table = pd.DataFrame(
        {
            "feature": by_code["feature"].agg(_most_often),
            "effect": by_code["effect"].sum() / max(len(report.scored), 1),
            "share": by_code.size() / max(len(report.scored), 1),
            "share_riskiest": by_code["riskiest"].sum().astype(float) / max(int(riskiest.sum()), 1),
        }
    )
    return table.reset_index().sort_values(["effect", "code"], ascending=[False, True], ignore_index=True)


def as_list(listed: Any) -> list[dict[str, Any]]:
    """Return a customer's reasons as a list, as they come from a frame or a Parquet file; none where they are null."""
    return list(listed) if hasattr(listed, "__len__") and not isinstance(listed, str) else []


def _most_often(texts: pd.Series[str]) -> str:
    counts = texts.value_counts()
    return str(min(counts.index[counts == counts.max()]))

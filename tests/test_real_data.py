"""Real histories through the whole of it, every figure worked out once more from the raw files with pandas."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import churnml
from churnml.config import State

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data"

DAY = pd.Timedelta(days=1)


def needs(name):
    return pytest.mark.skipif(
        not (DATA / name).is_dir(), reason=f"the public data set {name} is not in ../shared/data beside the repository"
    )


def configured(name, tmp_path_factory):
    config = churnml.load_config(REPOSITORY / "configs" / f"{name}.yaml")
    return config.model_copy(update={"state": State(folder=str(tmp_path_factory.mktemp(name)))})


def quarantined(config, table):
    return pd.read_parquet(config.state_folder / "quarantine" / f"{table}.parquet")


def agree(found, expected, **kwargs):
    pd.testing.assert_series_equal(
        found, expected, check_names=False, check_dtype=False, check_index_type=False, rtol=1e-9, atol=1e-9, **kwargs
    )


# --- the gift wholesaler ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def retail(tmp_path_factory):
    return configured("online_retail", tmp_path_factory)


@pytest.fixture(scope="module")
def retail_report(retail):
    return churnml.check(retail)


@pytest.fixture(scope="module")
def retail_panel(retail):
    return churnml.features(retail, ["2010-12-10", "2011-03-01", "2011-10-01"], labels=True)


@pytest.fixture(scope="module")
def lines():
    """The invoice lines of both years, those of December 2010 once."""
    folder = DATA / "online_retail"
    names = ["invoice", "code", "text", "quantity", "at", "price", "customer", "country"]
    first = pd.read_parquet(folder / "online_retail_II_2009_2010.parquet").set_axis(names, axis=1)
    second = pd.read_parquet(folder / "online_retail_2010_2011.parquet").set_axis(names, axis=1)
    first["at"] = pd.to_datetime(first["at"])
    overlap = first[first["at"] >= "2010-12-01"]
    told_twice = second[second["invoice"].isin(overlap["invoice"])]
    assert len(overlap) == len(told_twice) == 22_523
    assert overlap["quantity"].sum() == told_twice["quantity"].sum()
    lines = pd.concat([first[first["at"] < "2010-12-01"], second], ignore_index=True)
    lines["customer"] = lines["customer"].astype("Int64").astype("string").astype(object)
    return lines.assign(amount=lines["quantity"] * lines["price"], cancelled=lines["invoice"].str.startswith("C"))


@pytest.fixture(scope="module")
def invoices(lines):
    grouped = lines.groupby("invoice")
    assert grouped["customer"].nunique(dropna=False).max() == 1
    return grouped.agg(
        customer=("customer", "first"),
        at=("at", "min"),
        amount=("amount", "sum"),
        quantity=("quantity", "sum"),
        lines=("amount", "size"),
        country=("country", "first"),
        cancelled=("cancelled", "first"),
    ).reset_index()


@needs("online_retail")
def test_every_invoice_is_accepted_or_in_quarantine(retail, retail_report, invoices):
    purchases = invoices[~invoices["cancelled"]]
    expected = {
        "customers": (invoices["customer"].nunique(), 0),
        "usage": (len(purchases), purchases["customer"].isna().sum()),
        "bills": (len(invoices), invoices["customer"].isna().sum()),
    }
    assert expected == {"customers": (5_942, 0), "usage": (45_336, 8_361), "bills": (53_628, 8_752)}
    for table, (rows, bad) in expected.items():
        found = retail_report.tables[table]
        assert (found.rows, found.accepted, found.quarantined) == (rows, rows - bad, bad)
        assert found.reasons == ({"null customer_id": bad} if bad else {})
        assert len(quarantined(retail, table)) == bad
    assert set(quarantined(retail, "bills")["bill_id"]) == set(invoices[invoices["customer"].isna()]["invoice"])


@needs("online_retail")
def test_no_column_of_the_wholesaler_is_accused_and_there_is_enough(retail_report):
    gap = "not one row from 2009-12-24 to 2010-01-03 (11 days)"
    assert [(w["table"], w["column"]) for w in retail_report.warnings()] == [
        ("usage", "used_at"),
        ("bills", "billed_at"),
    ]
    assert all(gap in w["message"] for w in retail_report.warnings())
    assert retail_report.enough_to_train


@needs("online_retail")
@pytest.mark.parametrize("day", ["2010-12-10", "2011-03-01"])
def test_features_of_all_customers_are_those_of_the_raw_lines(retail_panel, invoices, day):
    T = pd.Timestamp(day)
    panel = retail_panel[retail_panel["as_of"] == T].set_index("customer_id")
    bills = invoices[invoices["customer"].notna() & (invoices["at"] < T)]
    purchases = bills[~bills["cancelled"]]

    at_risk = purchases[purchases["at"] >= T - 180 * DAY]["customer"].unique()
    assert set(panel.index) == set(at_risk)
    assert panel.index.is_unique

    def of(rows, days, what="amount", how="sum", empty=0.0):
        inside = rows[rows["at"] >= T - days * DAY]
        return inside.groupby("customer")[what].agg(how).reindex(panel.index, fill_value=empty).astype(float)

    for days in (7, 30, 90, 180):
        agree(panel[f"usage_spend_sum_{days}d"], of(purchases, days))
        agree(panel[f"usage_quantity_sum_{days}d"], of(purchases, days, "quantity"))
        agree(panel[f"usage_lines_sum_{days}d"], of(purchases, days, "lines"))
        agree(panel[f"bills_amount_sum_{days}d"], of(bills, days))
        agree(panel[f"bills_amount_mean_{days}d"], of(bills, days, how="mean", empty=np.nan))
        day_of = purchases.assign(day=purchases["at"].dt.normalize())
        agree(panel[f"usage_active_days_{days}d"], of(day_of, days, "day", "nunique"))
    base = of(purchases, 90, "lines")
    agree(panel["usage_lines_trend_30d_90d"], (of(purchases, 30, "lines") / 30) / (base / 90).where(base > 0))
    last = purchases.groupby("customer")["at"].max().reindex(panel.index)
    agree(panel["usage_days_since_last"], (T - last.dt.normalize()).dt.days.astype(float))

    first = bills.sort_values(["at", "invoice"]).groupby("customer").first().reindex(panel.index)
    agree(panel["account_tenure_days"], (T - first["at"].dt.normalize()).dt.days)
    assert (panel["account_country"] == first["country"]).all()
    assert (panel["bills_unpaid_amount"] == 0).all()


@needs("online_retail")
def test_labels_of_all_customers_are_those_of_the_raw_lines(retail_panel, invoices):
    shares = {}
    for day in ("2010-12-10", "2011-03-01"):
        T = pd.Timestamp(day)
        panel = retail_panel[retail_panel["as_of"] == T].set_index("customer_id")
        purchases = invoices[~invoices["cancelled"] & invoices["customer"].notna()]
        window = purchases["at"].between(T + 14 * DAY, T + 104 * DAY, inclusive="left")
        expected = ~panel.index.isin(purchases[window]["customer"])
        assert (panel["churned"] == expected).all()
        shares[day] = round(float(expected.mean()), 3)
        billed = invoices[invoices["at"].between(T, T + 180 * DAY, inclusive="left")]
        agree(panel["value"], billed.groupby("customer")["amount"].sum().reindex(panel.index, fill_value=0.0))
    assert shares == {"2010-12-10": 0.652, "2011-03-01": 0.574}


@needs("online_retail")
def test_an_outcome_that_lies_in_the_future_is_unknown(retail_panel):
    late = retail_panel[retail_panel["as_of"] == "2011-10-01"]
    assert len(late) > 2_500
    assert late["churned"].isna().all()
    assert late["value"].isna().all()


@needs("online_retail")
def test_an_order_that_was_cancelled_is_usage_but_no_money(retail_panel):
    # 12346 ordered 74,215 pieces for 77,183.60 on 18 January 2011, and cancelled 16 minutes later
    row = retail_panel[retail_panel["as_of"] == "2011-03-01"].set_index("customer_id").loc["12346"]
    assert row["usage_spend_sum_90d"] == pytest.approx(77_183.6)
    assert row["bills_amount_sum_90d"] == pytest.approx(0)


@needs("online_retail")
def test_a_country_that_changes_is_that_of_the_first_invoice(retail_panel, invoices):
    named = invoices[invoices["customer"].notna()].sort_values(["at", "invoice"])
    several = named.groupby("customer")["country"].nunique().loc[lambda count: count > 1].index
    assert len(several) == 13
    first = named.groupby("customer")["country"].first()
    seen = retail_panel[retail_panel["customer_id"].isin(several)]
    assert seen["customer_id"].nunique() > 5
    assert (seen["account_country"].to_numpy() == first.loc[seen["customer_id"]].to_numpy()).all()


@needs("online_retail")
def test_the_catalogue_explains_every_column_of_the_wholesalers_panel(retail, retail_panel):
    listed = churnml.catalog(retail)
    assert list(retail_panel.columns) == ["customer_id", "as_of", *listed["name"], "churned", "value"]
    assert listed.notna().drop(columns="window").all(axis=None)
    assert set(listed[listed["name"].str.startswith("bills_amount_sum")]["unit"]) == {"GBP"}


# --- five tables of one date --------------------------------------------------------------------------------------

MADE_FROM_THE_OUTCOME = {
    "Satisfaction Score",
    "Customer Status",
    "Churn Label",
    "Churn Value",
    "Churn Score",
    "Churn Category",
    "Churn Reason",
}


@pytest.fixture(scope="module")
def telco(tmp_path_factory):
    return configured("telco_ibm", tmp_path_factory)


@pytest.fixture(scope="module")
def telco_report(telco):
    return churnml.check(telco)


@pytest.fixture(scope="module")
def telco_panel(telco):
    return churnml.features(telco, "2018-10-01", labels=True).set_index("customer_id")


@pytest.fixture(scope="module")
def joined():
    def sheet(name):
        file = DATA / "telco_ibm_5tables" / f"Telco_customer_churn_{name}.xlsx"
        return pd.read_excel(file, engine="calamine", keep_default_na=False, na_values=[""])  # an offer is called None

    wide = sheet("demographics")
    for name in ("location", "services", "status"):
        wide = wide.merge(
            sheet(name).drop(columns=["Count", "Quarter"], errors="ignore"), on="Customer ID", validate="1:1"
        )
    return wide.merge(sheet("population"), on="Zip Code", how="left", validate="m:1").set_index("Customer ID")


@needs("telco_ibm_5tables")
def test_every_customer_of_the_five_tables_is_there(telco, telco_report, joined):
    found = telco_report.tables["customers"]
    assert (found.rows, found.accepted, found.quarantined) == (7_043, 7_043, 0)
    assert len(joined) == 7_043
    assert len(quarantined(telco, "customers")) == 0


@needs("telco_ibm_5tables")
def test_the_columns_made_from_the_outcome_are_found_and_no_other(telco_report):
    accused = [warning for warning in telco_report.warnings() if warning["column"]]
    assert {warning["table"] for warning in accused} == {"customers"}
    assert {warning["column"] for warning in accused} == MADE_FROM_THE_OUTCOME


@needs("telco_ibm_5tables")
def test_one_date_is_not_enough_and_check_says_why_and_what_to_do_meanwhile(telco_report):
    about_time, meanwhile = [warning["message"] for warning in telco_report.warnings() if not warning["column"]]
    assert "must lie 30 days apart" in about_time
    assert "from 2018-10-01 to 2018-10-01" in about_time
    assert "call first those with the lowest value of “days as a customer”" in meanwhile
    assert "1,869 of 7,043 left" in meanwhile
    assert not telco_report.enough_to_train


@needs("telco_ibm_5tables")
def test_the_panel_of_the_one_date_holds_what_the_sheets_hold(telco_panel, joined):
    assert set(telco_panel.index) == set(joined.index)
    raw = joined.loc[telco_panel.index]
    agree(telco_panel["churned"], raw["Churn Value"])
    assert telco_panel["churned"].sum() == 1_869
    assert telco_panel["value"].isna().all()
    for column in ("Age", "Monthly Charge", "Population", "Latitude", "Number of Referrals", "CLTV"):
        agree(telco_panel[f"account_{column}"], raw[column].astype(float))
    for column in ("Contract", "City", "Payment Method", "Offer", "Churn Reason"):
        assert telco_panel[f"account_{column}"].isna().equals(raw[column].isna())
        assert (telco_panel[f"account_{column}"].fillna("") == raw[column].fillna("")).all()
    months = pd.Series(
        [pd.Timestamp("2018-10-01") - pd.DateOffset(months=m) for m in raw["Tenure in Months"]], raw.index
    )
    agree(telco_panel["account_tenure_days"], (pd.Timestamp("2018-10-01") - months).dt.days)


@needs("telco_ibm_5tables")
def test_the_catalogue_names_the_sheets_columns(telco, telco_panel):
    listed = churnml.catalog(telco)
    assert list(telco_panel.columns) == ["as_of", *listed["name"], "churned", "value"]
    own = set(listed["name"].str.removeprefix("account_"))
    assert own >= MADE_FROM_THE_OUTCOME
    assert not own & {"Customer ID", "Count", "Quarter"}

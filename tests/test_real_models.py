"""Training and scoring on real histories. How good the models are is in benchmarks/results/models.md."""

from pathlib import Path

import numpy as np
import pytest

import churnml
from churnml.config import State, Tracking
from churnml.errors import ChurnmlError

REPOSITORY = Path(__file__).parents[1]
DATA = REPOSITORY.parent / "shared" / "data"
MADE_FROM_THE_OUTCOME = {
    "Satisfaction Score",
    "Customer Status",
    "Churn Label",
    "Churn Value",
    "Churn Score",
    "Churn Category",
    "Churn Reason",
}


def needs(name):
    return pytest.mark.skipif(
        not (DATA / name).is_dir(), reason=f"the public data set {name} is not in ../shared/data beside the repository"
    )


@pytest.fixture(scope="module")
def configured(tmp_path_factory):
    """Return configurations by name, with states of their own and one MLflow store (to make one takes seconds)."""
    store = tmp_path_factory.mktemp("store")

    def configure(name):
        config = churnml.load_config(REPOSITORY / "configs" / f"{name}.yaml")
        state = State(folder=str(tmp_path_factory.mktemp(name)))
        return config.model_copy(
            update={"state": state, "tracking": Tracking(uri=f"sqlite:///{store / 'mlflow.db'}")},
        )

    return configure


@pytest.fixture(scope="module")
def quick():
    """Resample customers less often and stop boosting early: nothing here rests on the third digit."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("churnml.evaluation.judge.DRAWS", 30)
        patched.setattr("churnml.models.boosting.MAX_ROUNDS", 60)
        yield


def refusing(report, model="churn"):
    return {gate.name for gate in report.models[model].verdict.refusing}


def gate_of(report, name):
    [gate] = [gate for gate in report.models["churn"].verdict.gates if gate.name == name]
    return gate


# --- the gift wholesaler ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def retail(configured, quick):
    return churnml.train(configured("online_retail"), ["2010-08-01", "2010-10-01", "2010-12-01", "2011-06-01"])


@needs("online_retail")
def test_the_wholesaler_is_tested_out_of_time_and_the_model_beats_the_recency_rule(retail):
    trained = retail.training.models["churn"]
    assert trained.schedule.out_of_time
    assert [str(day) for day in trained.schedule.test] == ["2011-06-01"]
    assert max(map(str, trained.schedule.train)) == "2010-12-01"
    assert len(trained.tested) > 2_500
    assert not {"out_of_time", "beats_recency", "enough_churners", "no_leak"} & refusing(retail)
    by = trained.evaluation.query("slice == 'all'").set_index(["model", "metric"])
    assert by.loc[("model", "auc"), "value"] > 0.72
    assert by.loc[("recency", "auc_gain"), "low"] > 0.02
    assert by.loc[("recency", "log_loss_gain"), "value"] < 0


@needs("online_retail")
def test_the_wholesalers_value_is_judged_on_later_dates_beside_last_years_spend(retail):
    trained = retail.training.models["value"]
    assert trained.schedule.out_of_time
    assert np.isfinite(trained.tested[["observed", "predicted", "last_year_spend"]]).all(axis=None)
    by = trained.evaluation.query("slice == 'all'").set_index(["model", "metric"])
    assert by.loc[("model", "normalised_gini"), "value"] > 0.7


# --- five tables of one date --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def honest_config(configured):
    return configured("telco_ibm_honest")


@pytest.fixture(scope="module")
def honest(honest_config, quick):
    return churnml.train(honest_config)


@needs("telco_ibm_5tables")
def test_check_suspects_no_column_of_the_honest_tables(honest_config):
    report = churnml.check(honest_config)
    assert [warning for warning in report.warnings() if warning["column"]] == []
    listed = set(churnml.catalog(honest_config)["name"].str.removeprefix("account_"))
    assert not listed & {*MADE_FROM_THE_OUTCOME, "CLTV"}
    assert listed >= {"Contract", "Monthly Charge", "Number of Referrals", "City"}


@needs("telco_ibm_5tables")
def test_tables_of_one_date_are_cross_validated_and_refused_for_that_only(honest):
    trained = honest.training.models["churn"]
    assert set(honest.models) == {"churn"}
    assert not trained.schedule.out_of_time
    assert trained.tested["customer_id"].is_unique
    assert len(trained.tested) == 7_043
    assert refusing(honest) == {"out_of_time"}
    assert not honest.models["churn"].promoted
    assert 0.89 < honest.models["churn"].metrics["auc"] < 0.93


@needs("telco_ibm_5tables")
def test_without_a_champion_nobody_is_scored_and_the_gate_is_named(honest_config, honest):
    with pytest.raises(ChurnmlError, match="cross-validation only, not on later dates") as caught:
        churnml.score(honest_config, "2018-10-01")
    assert caught.value.details["gates"] == ["out_of_time"]
    assert "--candidate" in caught.value.remedy


@needs("telco_ibm_5tables")
def test_the_candidate_scores_everyone_and_its_scores_are_not_kept(honest_config, honest, tmp_path):
    scores = churnml.score(honest_config, "2018-10-01", candidate=True, out=tmp_path / "scores.parquet")
    assert len(scores) == scores["customer_id"].nunique() == 7_043
    assert set(scores["status"]) == {"scored"}
    assert scores["churn_probability"].between(0, 1).all()
    assert 0.24 < scores["churn_probability"].mean() < 0.29
    assert scores["expected_value"].isna().all()  # there are no bills
    assert (tmp_path / "scores.parquet").is_file()
    assert not (honest_config.state_folder / "scores").exists()


@needs("telco_ibm_5tables")
def test_columns_made_from_the_outcome_are_named_by_the_gate(configured, quick):
    config = configured("telco_ibm")
    customers = config.tables.customers
    some = customers.model_copy(update={"sql": f"{customers.sql} WHERE \"Customer ID\" < '2'"})
    config = config.model_copy(update={"tables": config.tables.model_copy(update={"customers": some})})
    report = churnml.train(config)
    assert refusing(report) == {"out_of_time", "no_leak"}
    assert set(gate_of(report, "no_leak").facts["columns"].split(", ")) == MADE_FROM_THE_OUTCOME

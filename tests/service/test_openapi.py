"""The document is true: checked in, the running service's own, and held by what it answers."""

import json
import os

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance
from serving import CAMPAIGN, ODD_ID, REPOSITORY

from churnml.config import Service
from churnml.service.app import openapi_document
from churnml.service.openapi import text_of

KEPT = REPOSITORY / "src" / "churnml" / "service" / "openapi.json"
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "30"))  # of each operation
NEVER = "Traceback"

REFUSALS = [400, 401, 403, 404, 405, 408, 413, 422, 429, 503]  # the contract's

schema = schemathesis.openapi.from_dict(
    json.loads(KEPT.read_text(encoding="utf-8")),
    config=SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": REFUSALS}}}),
)


def test_the_document_is_that_of_the_code():
    now = text_of(openapi_document(Service()))
    assert KEPT.read_text(encoding="utf-8") == now, "run python -m churnml.service"


def test_the_running_service_has_the_same(service, operator):
    found = service.ask("GET", "/openapi.json", operator.keys["crm"])
    assert found.json() == json.loads(KEPT.read_text(encoding="utf-8"))


def test_every_operation_declares_its_key_and_its_errors():
    document = json.loads(KEPT.read_text(encoding="utf-8"))
    for path, operations in document["paths"].items():
        for operation in operations.values():
            if path.startswith("/v1/"):
                assert operation["security"] == [{"key": []}]
                assert {"401", "403", "429", "503"} <= operation["responses"].keys()
            for status, answer in operation["responses"].items():
                if status in ("429", "503"):
                    assert "Retry-After" in answer["headers"]


def keeps_to_its_document(path, method):
    """Return the test of one operation: xdist runs only one test of a name, so that each needs its own."""

    @schema.include(path=path, method=method).parametrize()
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def test(case, service, operator):
        headers = {"Authorization": f"Bearer {operator.keys['admin']}"}
        # rows may contradict each other, and a cursor is one that was given: no schema tells of that
        without = [positive_data_acceptance] if case.operation.path.endswith(("/score_histories", "/targets")) else []
        response = case.call_and_validate(base_url=service.url, headers=headers, excluded_checks=without)
        assert response.status_code < 500
        assert NEVER not in response.text

    return test


for path, operations in schema.raw_schema["paths"].items():
    for method in operations:
        globals()[f"test_the_service_keeps_to_its_document_{method}_{path}"] = keeps_to_its_document(
            path, method.upper()
        )


def test_what_is_there_is_answered_as_documented(service, operator):
    from urllib.parse import quote

    for path, template in (
        ("/v1/campaigns", "/v1/campaigns"),
        (f"/v1/campaigns/{CAMPAIGN}", "/v1/campaigns/{campaign_id}"),
        (f"/v1/campaigns/{CAMPAIGN}/targets", "/v1/campaigns/{campaign_id}/targets"),
        (f"/v1/customers/{quote(ODD_ID, safe='')}", "/v1/customers/{customer_id}"),
        ("/v1/model", "/v1/model"),
    ):
        answer = service.ask("GET", path, operator.keys["admin"])
        assert answer.status_code == 200
        schema[template]["GET"].validate_response(answer)
    answer = service.score(operator.keys["crm"], [ODD_ID, "nobody"], reasons=True)
    schema["/v1/score"]["POST"].validate_response(answer)

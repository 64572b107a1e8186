"""Every feature and label of the contract equals a slow, obvious oracle, to 1e-9, on histories that nobody wants."""

import tempfile

import comparing
import histories
import oracle
import pytest
from hypothesis import given

from churnml.errors import ChurnmlError
from churnml.snapshots.panel import Panel


def compare(tables, configured, dates):
    accepted, quarantined = oracle.read(tables, configured)
    with tempfile.TemporaryDirectory() as folder:
        if not accepted["customers"]:
            with (
                pytest.raises(ChurnmlError, match="table customers: none of its"),
                comparing.opened(tables, configured, folder),
            ):
                pass
            return
        with comparing.opened(tables, configured, folder) as found:
            for table, report in found.reports.items():
                assert report.rows == len(tables[table])
                assert report.rows == report.accepted + report.quarantined
                assert (table, report.quarantined) == (table, len(quarantined.get(table, [])))
                assert sum(report.reasons.values()) == report.quarantined
            for as_of in dates:
                expected = comparing.expected_of(accepted, as_of, configured)
                if not expected:
                    with pytest.raises(ChurnmlError, match=f"nobody is at risk at {as_of}"):
                        Panel(found, [as_of]).to_pandas()
                    continue
                got = comparing.panel(found, as_of)
                assert set(got.columns) - {"as_of"} == set(next(iter(expected.values())))
                assert not comparing.differences(got, expected)


@comparing.EXAMPLES
@given(histories.operators())
def test_features_and_labels_equal_the_oracle(operator):
    compare(*operator)


@comparing.EXAMPLES
@given(histories.bad_operators())
def test_bad_rows_go_to_quarantine_and_the_rest_equals_the_oracle(operator):
    compare(*operator)

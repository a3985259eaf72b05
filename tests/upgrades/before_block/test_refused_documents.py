"""What other series say of documents that a copy refuses is kept without their values, too."""

from __future__ import annotations

from testbed.elasticsearch import ElasticsearchServer
from testbed.fixtures import emptied
from tests.elastic.refused import CONFLICTS, is_told_without_its_value
from tests.elasticsearch import Elastic


def test_refused_documents_are_told_by_type_and_field_only(
    other_series: ElasticsearchServer,
) -> None:
    with Elastic(emptied(other_series)) as es:
        for conflict in CONFLICTS.values():
            is_told_without_its_value(es, conflict)

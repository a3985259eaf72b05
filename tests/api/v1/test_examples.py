"""The examples of the document are answers that the service could give."""

from __future__ import annotations

import json

import pytest

from app.api.v1 import schemas
from app.api.v1.schemas import Wire

SHOWN: list[type[Wire]] = [
    schemas.OperationList,
    schemas.OperationDetails,
    schemas.WorkerAnswer,
    schemas.DoctorAnswer,
]


@pytest.mark.parametrize("model", SHOWN)
def test_an_example_comes_out_as_it_went_in(model: type[Wire]) -> None:
    (example,) = model.model_json_schema()["examples"]
    dumped = model.model_validate(example).model_dump_json(by_alias=True)
    assert json.loads(dumped) == example

"""The shapes on the wire: each is there once, and says what its keys mean."""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator

import app.wire
from app.wire.notation import Sent, Wire


def shapes() -> list[type[Wire]]:
    for module in pkgutil.iter_modules(app.wire.__path__, "app.wire."):
        importlib.import_module(module.name)
    return [shape for shape in below(Wire) if shape is not Sent]


def below(root: type[Wire]) -> Iterator[type[Wire]]:
    for shape in root.__subclasses__():
        if shape.__module__.startswith("app.wire."):
            yield shape
            yield from below(shape)


def test_every_shape_and_every_key_is_explained_where_it_stands() -> None:
    dumb = [
        f"{shape.__name__}.{name}"
        for shape in shapes()
        for name, field in shape.model_fields.items()
        if not field.description
    ]
    assert not dumb
    assert not [shape.__name__ for shape in shapes() if not shape.__doc__]


def test_every_shape_has_a_name_of_its_own() -> None:
    names = Counter(shape.__name__ for shape in shapes())
    assert len(names) > 50
    assert not [name for name, times in names.items() if times > 1]


def test_what_is_sent_has_no_key_that_is_not_known_and_an_answer_may_have_one() -> None:
    for shape in shapes():
        assert (shape.model_config.get("extra") == "forbid") is issubclass(shape, Sent)

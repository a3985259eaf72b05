"""What an old index has in its mappings and settings that 8.x refuses for a new one, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

Tree = Mapping[str, Any]

FIELD_NAMES = "_field_names"
MOST_CONTEXTS = 10

_CAMEL_CASE = re.compile(r"(?:basic|date|hour|ordinal|strict|tTime|time|week|year)\w*")
_FILTERS = {"nGram": "ngram", "edgeNGram": "edge_ngram"}


def without_defaults(mappings: Tree) -> dict[str, Any]:
    """A mapping without `_field_names.enabled: true`, which 7.x prints where it was said, and which
    8.x refuses to be told though it is the only way there is."""
    if says_field_names(mappings):
        return {key: value for key, value in mappings.items() if key != FIELD_NAMES}
    return dict(mappings)


def says_field_names(mappings: Tree) -> bool:
    """True where it says no more of `_field_names` than what goes without saying."""
    names: Any = mappings.get(FIELD_NAMES)
    return isinstance(names, Mapping) and {
        key: str(value).lower() for key, value in cast(Tree, names).items()
    } == {"enabled": "true"}


def retired(mappings: Tree, settings: Tree) -> list[str]:
    """Each in words, with what it becomes in an index that is made by hand. `settings` are flat."""
    found = [*_of_root(mappings)]
    waiting: list[tuple[str, Tree]] = [("", mappings)]
    while waiting:
        prefix, level = waiting.pop()
        for part in ("properties", "fields"):
            inside: Any = level.get(part)
            for name, child in cast(Tree, inside if isinstance(inside, Mapping) else {}).items():
                if isinstance(child, Mapping):
                    field = cast(Tree, child)
                    found += _of_field(f"{prefix}{name}", field)
                    if part == "fields" and isinstance(field.get("fields"), Mapping):
                        found.append(f"the multi-fields of {prefix}{name}: copy_to another field")
                    waiting.append((f"{prefix}{name}.", field))
    return [*found, *_of_analysis(settings)]


def _of_root(mappings: Tree) -> Iterator[str]:
    names: Any = mappings.get(FIELD_NAMES)
    if isinstance(names, Mapping) and not says_field_names(mappings):
        yield f"{FIELD_NAMES} ({', '.join(cast(Tree, names))}): leave it out"


def _of_field(path: str, field: Tree) -> Iterator[str]:
    if "boost" in field:
        yield f"boost {field['boost']} of {path}: give it to the query"
    contexts = field.get("contexts")
    if isinstance(contexts, list) and len(cast(list[Any], contexts)) > MOST_CONTEXTS:
        count = len(cast(list[Any], contexts))
        yield f"{count} contexts of {path}: {MOST_CONTEXTS} at most"
    for name in str(field.get("format", "")).split("||"):
        if _CAMEL_CASE.fullmatch(name) and name != (becomes := _snake_case(name)):
            yield f"format {name} of {path}: {becomes}"


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _of_analysis(settings: Tree) -> Iterator[str]:
    for key, value in settings.items():
        if key.startswith("index.analysis.") and key.endswith(".type") and value in _FILTERS:
            own = key.removeprefix("index.analysis.").removesuffix(".type")
            yield f"type {value} of {own}: {_FILTERS[value]}"

"""What a target has otherwise than its source while it is filled, beside settings of the copy: no
document may add a field to it, and limits that were lowered since refuse none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

Tree = Mapping[str, Any]
Told = Callable[[Tree], dict[str, Any]]
Path = tuple[str, ...]

UNMAPPED_IS_LEFT_OUT = "false"
"""`dynamic` under which a field that the mapping does not list stays in `_source` only."""

RAISED: dict[str, str] = {
    "index.mapping.field_name_length.limit": "999999",
    "index.mapping.nested_fields.limit": "999999",
    "index.mapping.nested_objects.limit": "999999999",
    "index.mapping.total_fields.limit": "999999",
}
"""Limits that an index keeps its mapping and documents under after they were lowered, but that a
new index like it is refused by (7.17, 8.19, 9.4).

Not that of the depth: an index that is deeper can have no setting changed any more, that limit
itself not either (8.19).
"""

NESTED_OBJECTS = "index.mapping.nested_objects.limit"
"""The one that refuses documents, not the mapping."""

_DROPS_FIELDS = "index.mapping.total_fields.ignore_dynamic_beyond_limit"
_OBJECTS = ("nested", "object", "passthrough")


def closed_to_new_fields(mappings: Tree) -> dict[str, Any]:
    """The same mapping in which no `dynamic` is set to anything but `false`.

    Only one that is set is another: one that was left out is inherited, and can never be taken away
    again once it was set (7.17, 8.19, 9.4). A document that came under another `dynamic` than the
    one of now finds one that is set, at its object or above, for that very reason.
    """
    return _with(mappings, dynamic_closed(mappings))


def dynamic_closed(mappings: Tree) -> dict[str, Any]:
    """The part of a mapping that closes it to new fields; empty where nothing is to be done."""
    return _parts(mappings, lambda _level: {"dynamic": UNMAPPED_IS_LEFT_OUT}, lambda _level: {})


def dynamic_set(mappings: Tree) -> dict[str, Any]:
    """The part of a mapping that `dynamic_closed` changes, as it is."""
    return _parts(mappings, lambda level: {"dynamic": level["dynamic"]}, lambda _level: {})


def dynamic_request(mappings: Tree, instead: str | None = None) -> dict[str, Any]:
    """The same part as a request that sets it, each `dynamic` to what it is here, or to `instead`.

    An object is named with all its parameters: a nested one refuses to be told without those that
    cannot be changed (`include_in_root`; 7.17, 8.19, 9.4).
    """

    def opened(level: Tree) -> dict[str, Any]:
        return {**_parameters(level), "dynamic": instead or level["dynamic"]}

    found = _parts(mappings, opened, _parameters)
    root = {"dynamic": found["dynamic"]} if _is_open(mappings) else {}
    return {**root, "properties": found["properties"]} if "properties" in found else root


def _parameters(level: Tree) -> dict[str, Any]:
    kept = {key: value for key, value in level.items() if key != "properties"}
    return {"type": "object", **kept}


def _parts(mappings: Tree, opened: Told, passed: Told) -> dict[str, Any]:
    """What `opened` tells of each object whose `dynamic` is to change, and `passed` of those on the
    way to one."""
    levels = dict(_levels(mappings))
    parts: dict[Path, dict[str, Any]] = {}
    for path, level in levels.items():
        if _is_open(level):
            _add(path, parts, levels, opened, passed)
    return parts.get((), {})


def _add(
    path: Path,
    parts: dict[Path, dict[str, Any]],
    levels: Mapping[Path, Tree],
    opened: Told,
    passed: Told,
) -> None:
    """Adds the part of an object, and those that it is in, as far as they are not there yet."""
    inner: tuple[str, dict[str, Any]] | None = None
    while True:
        known = path in parts
        if not known:
            level = levels[path]
            parts[path] = opened(level) if _is_open(level) else passed(level)
        if inner:
            parts[path].setdefault("properties", {})[inner[0]] = inner[1]
        if known or not path:
            return
        path, inner = path[:-1], (path[-1], parts[path])


def _levels(mappings: Tree) -> Iterator[tuple[Path, Tree]]:
    """Every object whose fields are mapped by where it is: the root first, and each before those
    in it. Without recursion, for a mapping may be as deep as its limit lets it."""
    waiting: list[tuple[Path, Tree]] = [((), mappings)]
    while waiting:
        path, level = waiting.pop()
        if str(level.get("enabled", True)).lower() != "false":  # else nothing in it is mapped
            yield path, level
            waiting += [((*path, name), child) for name, child in _objects_in(level)]


def _is_open(level: Tree) -> bool:
    dynamic = level.get("dynamic")
    return dynamic is not None and str(dynamic).lower() != UNMAPPED_IS_LEFT_OUT


def _objects_in(level: Tree) -> Iterator[tuple[str, Tree]]:
    """The fields of an object that are objects themselves."""
    fields: Any = level.get("properties")
    for name, field in cast(Tree, fields if isinstance(fields, Mapping) else {}).items():
        if isinstance(field, Mapping):
            child = cast(Tree, field)
            if child.get("type", "object") in _OBJECTS:
                yield name, child


def _with(tree: Tree, part: Tree) -> dict[str, Any]:
    """`tree` with the values of `part`, which has none where `tree` has none."""
    whole = dict(tree)
    waiting: list[tuple[dict[str, Any], Tree]] = [(whole, part)]
    while waiting:
        merged, changes = waiting.pop()
        for key, value in changes.items():
            if isinstance(value, Mapping):
                inner = dict(cast(Tree, merged[key]))
                waiting.append((inner, cast(Tree, value)))
                merged[key] = inner
            else:
                merged[key] = value
    return whole


def limits_raised(settings: Tree) -> dict[str, str]:
    """For a target that is refused by a limit.

    Where fields beyond the limit are dropped rather than refused, it decides which there are: that
    one stays.
    """
    drops = str(settings.get(_DROPS_FIELDS)).lower() == "true"
    return {key: to for key, to in RAISED.items() if not (drops and "total_fields" in key)}


def limits_for_documents(mappings: Tree) -> dict[str, str]:
    """The limit that is raised for any target which has documents in documents."""
    nested = any(level.get("type") == "nested" for _, level in _levels(mappings))
    return {NESTED_OBJECTS: RAISED[NESTED_OBJECTS]} if nested else {}


def limits_given_back(source: Tree, target: Tree) -> dict[str, str | None]:
    """The source's own value of every limit that `target` has raised; both are flat settings."""
    return {key: source.get(key) for key, to in RAISED.items() if target.get(key) == to}


def as_limited(source: Tree, target: Tree) -> dict[str, Any]:
    """The flat settings of a target as they will be once its limits are the source's again."""
    given = limits_given_back(source, target)
    kept = {key: value for key, value in target.items() if key not in given}
    return {**kept, **{key: value for key, value in given.items() if value is not None}}

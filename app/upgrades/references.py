"""Who refers to an index by its name, as far as the cluster can tell."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from app.domain import index_settings
from app.domain.errors import AnswerMisread, ClusterRefused
from app.elastic.answers import IndexState
from app.elastic.cluster import ClusterView
from app.upgrades.steps.identity import named

ROLLOVER_ALIAS = "index.lifecycle.rollover_alias"


@dataclass(frozen=True)
class Reference:
    """`kind`: alias, lifecycle, pipeline, enrichPolicy, transform, template. `effect`: what the
    reindex means for it."""

    kind: str
    name: str
    effect: str


@dataclass
class References:
    """By index. `unknown`: what the cluster does not have, or does not show to our user.
    `aliases`: of each index, with their properties."""

    by_index: dict[str, list[Reference]] = field(default_factory=dict[str, list[Reference]])
    unknown: list[str] = field(default_factory=list[str])
    aliases: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def add(self, index: str, reference: Reference) -> None:
        self.by_index.setdefault(index, []).append(reference)


async def references_of(
    targets: Mapping[str, str], states: Mapping[str, IndexState], cluster: ClusterView
) -> References:
    """`targets`: the new name of each index. A few questions, however many indices there are."""
    found = References()
    properties = await _ask("aliases", lambda: _aliases(states.values(), cluster), found)
    found.aliases = properties or {}
    for name, state in states.items():
        for alias in named(state.aliases):
            effect = _of_alias(found.aliases.get(name, {}).get(alias, {}))
            found.add(name, Reference("alias", alias, effect))
        if policy := state.settings.get(index_settings.POLICY):
            found.add(name, Reference("lifecycle", str(policy), _of_lifecycle(state)))
    for kind, effect, ask in (
        ("pipeline", "names it; an alias serves it as well", cluster.references.ingest_pipelines),
        (
            "enrichPolicy",
            "reads it; an alias serves it as well",
            cluster.references.enrich_policies,
        ),
        (
            "transform",
            "reads or writes it; writes fail during the copy",
            cluster.references.transforms,
        ),
    ):
        documents = await _ask(kind, ask, found)
        for name, document in (documents or {}).items():
            for index in targets.keys() & set(_words(document)):
                found.add(index, Reference(kind, name, effect))
    templates = await _ask("template", cluster.references.index_templates, found)
    for name, patterns in (templates or {}).items():
        matching = _matching(patterns)
        for index, target in targets.items():
            if matching(target):
                found.add(index, Reference("template", name, f"applies to {target}"))
    return found


async def _ask(
    what: str, question: Callable[[], Awaitable[Mapping[str, Any]]], found: References
) -> Mapping[str, Any] | None:
    try:
        return await question()
    except (ClusterRefused, AnswerMisread):  # a module that it does not have, or a privilege
        found.unknown.append(what)
        return None


async def _aliases(states: Iterable[IndexState], cluster: ClusterView) -> Mapping[str, Any]:
    shown = [s.index_name for s in states if s.aliases and "index.blocks.metadata" not in s.blocks]
    return await cluster.aliases.of(shown)


def _of_alias(properties: Mapping[str, Any]) -> str:
    if properties.get("is_write_index"):
        return "moves along; it is its write index, so writes stop for the whole copy"
    kept = [word for word in ("filter", "routing") if any(word in key for key in properties)]
    return "moves along" + (f" with its {' and '.join(kept)}" if kept else "")


def _of_lifecycle(state: IndexState) -> str:
    alias = state.settings.get(ROLLOVER_ALIAS)
    rolled = f"; it rolls {alias} over" if alias and not state.rollovers else ""
    return f"rests during the copy; the age of the index stays{rolled}"


def _words(tree: Any) -> Iterator[str]:
    """Every text in a document; a list of names may be one text with commas."""
    if isinstance(tree, Mapping):
        for value in cast(Mapping[str, Any], tree).values():
            yield from _words(value)
    elif isinstance(tree, list):
        for value in cast(list[Any], tree):
            yield from _words(value)
    elif isinstance(tree, str):
        yield from (part.strip() for part in tree.split(","))


def _matching(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name is one that a template is for: `*` stands for anything."""
    parts = [re.escape(pattern).replace(r"\*", ".*") for pattern in patterns]
    return lambda name: any(re.fullmatch(part, name) for part in parts)

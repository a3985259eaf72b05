"""`docs/architecture.md` is about the modules, phases and routes that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from app.domain.job import Goal
from app.domain.operation import Step
from app.upgrades.rewrite import FORWARD, Rewrite
from docs.picture import layers

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def section(title: str) -> str:
    """What stands below a heading, down to the next of its level."""
    level = title.split(" ", 1)[0]
    return PAGE.split(f"\n{title}\n", 1)[1].split(f"\n{level} ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of tables, headers left out."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    return [row for row in cells if row[0] and set(row[0]) != {"-"} and row[-1] != "past return"]


def modules_of_rooms() -> Iterator[str]:
    """Modules by their path in `app/`, as the tables of the rooms name them."""
    for part in section("## The rooms").split("\n### ")[1:]:
        title = part.split("\n", 1)[0]
        room = "" if title == "Above the rooms" else title.split("`")[1] + "/"
        yield from (room + row[0].strip("`") for row in rows(part) if row[0].startswith("`"))


def test_every_module_has_one_line() -> None:
    named = list(modules_of_rooms())
    there = [file.relative_to(ROOT / "app") for file in (ROOT / "app").rglob("*.py")]
    assert len(named) == len(set(named))
    assert set(named) == {str(file) for file in there if file.name != "__init__.py"}


def test_every_path_that_is_named_is_there() -> None:
    rest = PAGE.replace(section("## The rooms"), "")
    rooms = "|".join(room for layer in layers() for room in layer)
    named = set(re.findall(rf"`((?:{rooms})/[\w/]+(?:\.py|/))", rest))
    others = set(re.findall(r"`((?:tests|testbed|docs|alembic)/[\w/.]+)`", rest))
    assert len(named) > 60
    assert [path for path in named if not (ROOT / "app" / path).exists()] == []
    assert [path for path in others if not (ROOT / path).exists()] == []


def test_every_name_that_is_named_with_its_module_is_there() -> None:
    rooms = "|".join(room for layer in layers() for room in layer)
    named = set(re.findall(rf"`((?:{rooms})/[\w/]+)\.(?!py`)(\w+)`", PAGE))
    assert len(named) > 4
    for module, name in named:
        source = (ROOT / "app" / f"{module}.py").read_text()
        assert re.search(rf"^(?:class|def|async def) {name}\b", source, re.MULTILINE), (
            module,
            name,
        )


def test_the_way_of_a_batch_is_a_list_of_45_of_which_15_tell_the_story() -> None:
    way = rows(section("## The way of a batch").split("\n### ")[0])
    listed = [row for row in way if row[0].isdigit()]
    assert [int(number) for number, *_ in listed] == [*range(1, len(listed) + 1)]
    assert len(listed) <= 45
    assert len({row[1].strip("*`") for row in listed}) == len(listed)
    assert sum(row[1].startswith("**") for row in listed) == 15


def test_the_table_of_phases_is_the_route_to_the_end() -> None:
    table = section("## The phases of a rewrite").split("\n**Back and aside.**")[0]
    said = [(row[0].strip("`"), row[1], row[4], row[5]) for row in rows(table) if "`" in row[0]]
    assert said == [
        (
            phase.name,
            "" if phase.kibana_step is None else str(Step(phase.kibana_step).value),
            "yes" if phase.joined else "",
            "yes" if phase.past_return else "",
        )
        for phase in FORWARD
    ]
    for row in rows(table):
        module = ROOT / "app" / row[2].strip("`")
        name = row[0].strip("`")
        assert re.search(rf"^async def {name}\(", module.read_text(), re.MULTILINE), name


def test_the_table_of_routes_is_of_every_other_goal() -> None:
    table = section("## The phases of a rewrite").split("\n**Back and aside.**")[1]
    said = {
        goal: re.findall(r"`(\w+)`", row[1])
        for row in rows(table)
        if "`" in row[0]
        for goal in re.findall(r"`(\w+)`", row[0])
    }
    routes = {goal.value: [phase.name for phase in route] for goal, route in Rewrite.routes.items()}
    assert said == {goal: names for goal, names in routes.items() if goal != Goal.FINISH.value}

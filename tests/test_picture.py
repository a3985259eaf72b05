"""The picture of the rooms is of the imports that there are."""

from __future__ import annotations

from pathlib import Path

from docs.picture import imports, layers, picture

FILE = Path(__file__).parent.parent / "docs" / "architecture.svg"


def test_the_picture_is_as_make_picture_draws_it() -> None:
    assert FILE.read_text() == picture(layers(), imports())


def test_only_the_command_line_imports_a_room_above_its_own() -> None:
    rooms = [room for layer in layers() for room in layer]
    upward = {
        (room, other)
        for room, others in imports().items()
        for other in others
        if rooms.index(other) < rooms.index(room)
    }
    assert upward == {("cli", "serving"), ("cli", "backup")}

"""`python -m demo.recording FILE`: runs the demo on a terminal and draws what was seen, as SVG.

The picture moves: a line appears when it was printed, but for long waits, which are cut short.
Nothing is written when the demo does not end well.
"""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS, ROWS = 110, 30
LONGEST_WAIT = 1.0
"""Seconds; a longer wait between two lines is shown as this."""
FIRST, STANDING = 1.0, 12.0
"""Seconds for which the end is shown, before it begins anew and afterwards."""
CELL = (8.4, 19.0)
"""Width and height of a character in pixels, for a font of 14."""
MARGIN = 14
NO_BREAK = "\N{NO-BREAK SPACE}"
"""Other spaces are drawn as one."""


@dataclass(frozen=True)
class Line:
    """What was printed, and how many seconds after the start."""

    at: float
    text: Text


def main() -> int:
    """The demo's exit code."""
    (file,) = sys.argv[1:]
    lines = list(_lines(_run([sys.executable, "-m", "demo"])))
    Path(file).write_text(picture(lines), encoding="utf-8")
    return 0


def _run(words: Sequence[str]) -> Iterator[tuple[float, str]]:
    """Seconds and text, as it comes; raises CalledProcessError in the end if it failed."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": ""}
    began = time.monotonic()
    decoder = codecs.getincrementaldecoder("utf-8")()
    with subprocess.Popen(words, stdin=its, stdout=its, stderr=its, env=environment) as process:
        os.close(its)
        while chunk := _read(ours):
            text = decoder.decode(chunk)
            sys.stdout.write(text)
            sys.stdout.flush()
            yield time.monotonic() - began, text
    os.close(ours)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux's word for a terminal that its last program has left
        return b""


def _lines(chunks: Iterator[tuple[float, str]]) -> Iterator[Line]:
    """Whole lines, long ones folded, on a clock that does not wait."""
    rest, clock, before = "", 0.0, 0.0
    for at, chunk in chunks:
        clock, before = clock + min(at - before, LONGEST_WAIT), at
        *whole, rest = (rest + chunk).replace("\r\n", "\n").split("\n")
        for line in whole:
            text = Text.from_ansi(line)
            for start in range(0, max(len(text), 1), COLUMNS):
                yield Line(clock, text[start : start + COLUMNS])


def picture(lines: Sequence[Line]) -> str:
    """A terminal of ROWS lines in which they appear, again and again.

    Where pictures do not move, the end is what is seen, and the first frame shows it, too.
    """
    wide, high = CELL
    width, height = COLUMNS * wide + 2 * MARGIN, ROWS * high + 2 * MARGIN
    shown = [(min(n, ROWS) * high, max(n - ROWS, 0) * -high) for n in range(1, len(lines) + 1)]
    ups = [f"0 {up:.0f}" for _, up in shown]
    heights = [f"{seen:.0f}" for seen, _ in shown]
    scrolls = _moves("animateTransform", 'attributeName="transform" type="translate"', lines, ups)
    grows = _moves("animate", 'attributeName="height"', lines, heights)
    texts = "\n".join(_text(line.text, (n + 0.75) * high) for n, line in enumerate(lines))
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" \
width="{width:.0f}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" \
font-size="14">
<title>make demo, as it ran</title>
<rect width="100%" height="100%" rx="8" fill="{MONOKAI.background_color.hex}"/>
<clipPath id="seen"><rect width="{COLUMNS * wide:.0f}" height="{heights[-1]}">
{grows}
</rect></clipPath>
<g transform="translate({MARGIN} {MARGIN})" clip-path="url(#seen)">
<g fill="{MONOKAI.foreground_color.hex}" transform="translate({ups[-1]})">
{scrolls}
{texts}
</g></g></svg>
"""


def _moves(element: str, of: str, lines: Sequence[Line], values: Sequence[str]) -> str:
    """One value after the other, each from when its line came; first the last for a moment, since
    who draws a single picture may draw the first."""
    whole = FIRST + lines[-1].at + STANDING
    kept = [n for n, (this, following) in enumerate(pairwise(lines)) if this.at != following.at]
    kept.append(len(lines) - 1)  # of lines that came at once the last one counts
    times = ";".join(["0", *(f"{(FIRST + lines[n].at) / whole:.5f}" for n in kept)])
    steps = ";".join([values[-1], *(values[n] for n in kept)])
    return (
        f'<{element} {of} calcMode="discrete" dur="{whole:.1f}s" repeatCount="indefinite"'
        f' keyTimes="{times}" values="{steps}"/>'
    )


def _text(text: Text, y: float) -> str:
    """A line of the terminal; every run of one style at its own column."""
    parts = [
        f'<tspan x="{column * CELL[0]:.1f}" textLength="{len(run) * CELL[0]:.1f}"{_look(style)}>'
        f"{escape(run.replace(' ', NO_BREAK))}</tspan>"
        for column, run, style in _runs(text)
        if run.strip()
    ]
    return f'<text y="{y:.1f}">{"".join(parts)}</text>'


def _runs(text: Text) -> Iterator[tuple[int, str, Style]]:
    cuts = sorted({0, len(text), *(s.start for s in text.spans), *(s.end for s in text.spans)})
    for start, end in pairwise(cuts):
        styles = [s.style for s in text.spans if s.start <= start < s.end]
        style = Style.combine([Style.null(), *(s for s in styles if isinstance(s, Style))])
        yield start, text.plain[start:end], style


def _look(style: Style) -> str:
    look = ' font-weight="bold"' if style.bold else ""
    look += ' opacity="0.7"' if style.dim else ""
    if style.color:
        look += f' fill="{style.color.get_truecolor(MONOKAI).hex}"'
    return look


if __name__ == "__main__":
    sys.exit(main())

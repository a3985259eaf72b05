"""`python -m ops.dashboard FILE`: builds the dashboard for Grafana, as JSON to import there."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableOption,
    VariableRefresh,
)

SOURCE = DataSourceRef("prometheus", "${source}")
STAT_WIDTH, STAT_HEIGHT = 4, 4
GRAPH_WIDTH, GRAPH_HEIGHT = 12, 8
"""In Grafana's grid, which is 24 wide."""
RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Line:
    """An expression of PromQL; `name`: its legend, `{{label}}` stands for a value."""

    expression: str
    name: str = ""


@dataclass(frozen=True)
class Graph:
    """Lines over time. `unit`: as Grafana names it."""

    title: str
    words: str
    lines: Sequence[Line]
    unit: str = "short"
    stacked: bool = False


@dataclass(frozen=True)
class Number:
    """The value of now. `red_from`: from here on it is shown in red; `red_below`: below that, too.
    `without`: what is shown where there is no value."""

    title: str
    words: str
    expression: str
    unit: str = "short"
    red_from: float | None = None
    red_below: float | None = None
    without: str = "0"


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Graph | Number]


def ours(metric: str, **labels: str) -> str:
    """A metric of the service, of the chosen clusters; `labels`: which values they may have."""
    chosen = {"job": "$job", "cluster": "$cluster", **labels}
    conditions = ",".join(f'{name}=~"{values}"' for name, values in chosen.items())
    return f"reindex_queue_{metric}{{{conditions}}}"


def of_process(metric: str) -> str:
    """A metric that is of the process, and of no cluster."""
    return f'{metric}{{job=~"$job"}}'


def quantile(share: float, histogram: str, *labels: str) -> str:
    """The time within which that share of what was measured was done, in seconds."""
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({share}, sum by ({by}) (rate({histogram}{RATE})))"


NOW = Row(
    "Now",
    (
        Number(
            "Services at work",
            "Services that have the worker role. Of each cluster one is to have it.",
            f"sum({ours('lease_held')})",
            red_below=1,
        ),
        Number(
            "Waiting",
            "Rewrites that wait for their turn.",
            f"sum({ours('jobs', kind='rewrite', state='waiting')})",
        ),
        Number(
            "In hand",
            "Rewrites that are being worked on, or go back.",
            f"sum({ours('jobs', kind='rewrite', state='running|undoing')})",
        ),
        Number(
            "Holding",
            "Jobs that wait for something outside.",
            f"sum({ours('jobs_holding')})",
            red_from=1,
        ),
        Number(
            "Failed",
            "Rewrites that have failed; each says why.",
            f"sum({ours('jobs', kind='rewrite', state='failed')})",
            red_from=1,
        ),
        Number(
            "Documents a second",
            "The speed of all copies now.",
            f"sum({ours('copy_documents_per_second')})",
        ),
        Number(
            "Indices without writes",
            "Indices that take no writes because of a job.",
            f"sum({ours('indices_blocked')})",
        ),
        Number(
            "Blocked for",
            "How long the one that is blocked longest takes no writes.",
            f"time() - min({ours('indices_blocked_since_timestamp_seconds')})",
            unit="s",
            red_from=4 * 3600,
            without="none is",
        ),
        Number(
            "Nothing begins",
            "1 while everything is stopped, or outside of the hours for copies.",
            f"max({ours('closed')})",
        ),
    ),
)

PROGRESS = Row(
    "Progress",
    (
        Graph(
            "Rewrites by state",
            "All that the database knows.",
            [Line(f"sum by (state) ({ours('jobs', kind='rewrite')})", "{{state}}")],
            stacked=True,
        ),
        Graph(
            "Jobs that ended",
            "By kind and by how they ended.",
            [
                Line(
                    f"sum by (kind, state) (increase({ours('jobs_ended_total')}{RATE}))",
                    "{{kind}} {{state}}",
                )
            ],
        ),
        Graph(
            "Documents copied a second",
            "What copy tasks have handled; parts that run again count again.",
            [
                Line(
                    f"sum by (cluster) (rate({ours('documents_copied_total')}{RATE}))",
                    "{{cluster}}",
                )
            ],
        ),
        Graph(
            "Bytes copied a second",
            "The share of these documents in the primaries of their sources.",
            [Line(f"sum by (cluster) (rate({ours('bytes_copied_total')}{RATE}))", "{{cluster}}")],
            unit="Bps",
        ),
        Graph(
            "Windows",
            "Parts of copies that are done, and that have to run once more.",
            [
                Line(f"sum(increase({ours('windows_done_total')}{RATE}))", "done"),
                Line(f"sum(increase({ours('windows_retried_total')}{RATE}))", "run again"),
            ],
        ),
        Graph(
            "Events",
            "How many events were written a minute.",
            [
                Line(
                    f"60 * max by (cluster) (deriv({ours('last_event_number')}{RATE}))",
                    "{{cluster}}",
                )
            ],
        ),
        Graph(
            "Events reach their readers, 95 of 100 within",
            "How old they were when streams were given them.",
            [Line(quantile(0.95, ours("event_lag_seconds_bucket"), "cluster"), "{{cluster}}")],
            unit="s",
        ),
        Graph(
            "Streams of events",
            "How many are open; a service holds 200.",
            [Line(of_process("reindex_queue_event_streams"), "{{instance}}")],
        ),
    ),
)

WAITING = Row(
    "What is waited for",
    (
        Graph(
            "Jobs that hold",
            "By cause; docs/holds.md says what ends each.",
            [Line(f"sum by (cause) ({ours('jobs_holding')}) > 0", "{{cause}}")],
            stacked=True,
        ),
        Graph(
            "Holds that began",
            "By cause.",
            [Line(f"sum by (cause) (increase({ours('holds_total')}{RATE})) > 0", "{{cause}}")],
        ),
    ),
)

PHASES = Row(
    "Phases",
    (
        Graph(
            "Time in a phase, on average",
            "What it waited for included.",
            [
                Line(
                    f"sum by (phase) (rate({ours('phase_seconds_sum')}{RATE})) / "
                    f"sum by (phase) (rate({ours('phase_seconds_count')}{RATE})) > 0",
                    "{{phase}}",
                )
            ],
            unit="s",
        ),
        Graph(
            "Time in a phase, 95 of 100 within",
            "What it waited for included.",
            [Line(quantile(0.95, ours("phase_seconds_bucket"), "phase"), "{{phase}}")],
            unit="s",
        ),
    ),
)

AROUND = Row(
    "Elasticsearch and the database",
    (
        Graph(
            "Requests a second, by outcome",
            "`not_found` is the answer to many a look, and no trouble.",
            [
                Line(
                    f"sum by (outcome) (rate({ours('elasticsearch_requests_total')}{RATE}))",
                    "{{outcome}}",
                )
            ],
            stacked=True,
        ),
        Graph(
            "Requests a second, by method",
            "GET and HEAD change nothing; POST does both.",
            [
                Line(
                    f"sum by (verb) (rate({ours('elasticsearch_requests_total')}{RATE}))",
                    "{{verb}}",
                )
            ],
            stacked=True,
        ),
        Graph(
            "Time of a request, 95 of 100 within",
            "A copy of a small index is one request that waits for its end.",
            [
                Line(
                    quantile(0.95, ours("elasticsearch_request_seconds_bucket"), "verb"), "{{verb}}"
                )
            ],
            unit="s",
        ),
        Graph(
            "Time of a save, 95 of 100 within",
            "How long the database took to save a step of a job.",
            [Line(quantile(0.95, ours("save_seconds_bucket"), "cluster"), "{{cluster}}")],
            unit="s",
        ),
        Graph(
            "Up",
            "1 where it does its work, by the service that has asked.",
            [
                Line(
                    f"min by (instance) ({ours('elasticsearch_up')})", "Elasticsearch, {{instance}}"
                ),
                Line(f"min by (instance) ({ours('database_up')})", "database, {{instance}}"),
            ],
        ),
        Graph(
            "The worker",
            "The state that the worker of each service is in.",
            [Line(f"{ours('worker')} == 1", "{{instance}} {{state}}")],
        ),
    ),
)

SERVICE = Row(
    "The service itself",
    (
        Graph(
            "Processors",
            "Processors that it keeps busy.",
            [Line(f"rate({of_process('process_cpu_seconds_total')}{RATE})", "{{instance}}")],
        ),
        Graph(
            "Memory",
            "What is resident.",
            [Line(of_process("process_resident_memory_bytes"), "{{instance}}")],
            unit="bytes",
        ),
        Graph(
            "The event loop is late, 99 of 100 within",
            "Looked at once a second. While it is late, nothing of the service goes on.",
            [
                Line(
                    quantile(
                        0.99,
                        of_process("reindex_queue_event_loop_lag_seconds_bucket"),
                        "instance",
                    ),
                    "{{instance}}",
                )
            ],
            unit="s",
        ),
        Graph(
            "Time to be scraped",
            "How long these figures took to be put together.",
            [Line(of_process("reindex_queue_scrape_seconds"), "{{instance}}")],
            unit="s",
        ),
    ),
)

ROWS = (NOW, PROGRESS, WAITING, PHASES, AROUND, SERVICE)


def main() -> int:
    (file,) = sys.argv[1:]
    Path(file).write_text(written(built()), encoding="utf-8")
    return 0


def written(made: Dashboard) -> str:
    return json.dumps(made, cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


def built() -> Dashboard:
    """The dashboard, with all its variables, rows and panels."""
    made = (
        dashboard.Dashboard("Reindex Queue")
        .uid("reindex-queue")
        .description("Built by `make dashboard`; docs/monitoring.md says what each metric means.")
        .tags(["elasticsearch", "reindex"])
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(dashboard.DatasourceVariable("source").label("Source").type("prometheus"))
        .with_variable(_values("job", "reindex_queue_build_info"))
        .with_variable(_values("cluster", 'reindex_queue_lease_held{job=~"$job"}'))
    )
    numbers = count(1)
    for row in ROWS:
        made = made.with_row(dashboard.Row(row.title).id(next(numbers)))
        for panel in row.panels:
            made = made.with_panel(_panel(panel).id(next(numbers)))
    return made.build()


def _panel(panel: Graph | Number) -> timeseries.Panel | stat.Panel:
    return _graph(panel) if isinstance(panel, Graph) else _number(panel)


def _values(label: str, metric: str) -> dashboard.QueryVariable:
    """A variable of the values of a label; several may be chosen."""
    return (
        dashboard.QueryVariable(label)
        .label(label.capitalize())
        .datasource(SOURCE)
        .query(f"label_values({metric}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _query(line: Line, letter: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery().expr(line.expression).legend_format(line.name).ref_id(letter).range()
    )


def _graph(graph: Graph) -> timeseries.Panel:
    stacking = StackingMode.NORMAL if graph.stacked else StackingMode.NONE
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.words)
        .datasource(SOURCE)
        .unit(graph.unit)
        .min(0)
        .fill_opacity(20 if graph.stacked else 5)
        .stacking(common.StackingConfig().mode(stacking))
        .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .span(GRAPH_WIDTH)
        .height(GRAPH_HEIGHT)
    )
    for letter, line in zip("ABCDEF", graph.lines, strict=False):
        panel = panel.with_target(_query(line, letter))
    return panel


def _number(number: Number) -> stat.Panel:
    steps = [Threshold(value=None, color="green")]
    if number.red_below is not None:
        steps = [Threshold(value=None, color="red"), Threshold(number.red_below, "green")]
    if number.red_from is not None:
        steps.append(Threshold(value=number.red_from, color="red"))
    return (
        stat.Panel()
        .title(number.title)
        .description(number.words)
        .datasource(SOURCE)
        .unit(number.unit)
        .no_value(number.without)
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .with_target(_query(Line(number.expression), "A"))
        .span(STAT_WIDTH)
        .height(STAT_HEIGHT)
    )


if __name__ == "__main__":
    sys.exit(main())

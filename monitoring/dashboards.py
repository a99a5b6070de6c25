"""Grafana's dashboards: ``python -m monitoring.dashboards`` writes them to ``grafana/``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, GridPos

FOLDER = Path(__file__).parent / "grafana"
_SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture: its queries by legend, in one of Grafana's units."""

    title: str
    unit: str
    queries: dict[str, str]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Panels that answer one question."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _quantile(share: str, histogram: str, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return (
        f"histogram_quantile({share}, "
        f"sum by ({labels}) (rate({histogram}_bucket{where}[$__rate_interval])))"
    )


def _rate(by: str, counter: str, where: str = "") -> str:
    return f"sum by ({by}) (rate({counter}{where}[$__rate_interval]))"


_LOCATE = '{route="/v1/locate", method="POST"}'

OVERVIEW = Dashboard(
    "geofix-overview",
    "Geofix: overview",
    (
        Panel(
            "Availability: errors, and how many there may be",
            "percentunit",
            {
                "errors, 5 minutes": "geofix:availability_errors:ratio_rate5m",
                "errors, 1 hour": "geofix:availability_errors:ratio_rate1h",
                "allowed": '1 - max(geofix_slo_target_ratio{slo="availability"})',
            },
        ),
        Panel(
            "Latency: photos that wait too long, and how many may",
            "percentunit",
            {
                "late, 5 minutes": "geofix:latency_errors:ratio_rate5m",
                "late, 1 hour": "geofix:latency_errors:ratio_rate1h",
                "allowed": '1 - max(geofix_slo_target_ratio{slo="latency"})',
            },
        ),
        Panel("Requests", "reqps", {"{{route}}": _rate("route", "geofix_http_requests_total")}),
        Panel("Statuses", "reqps", {"{{status}}": _rate("status", "geofix_http_requests_total")}),
        Panel(
            "Time of an answer",
            "s",
            {
                name: _quantile(share, "geofix_http_request_duration_seconds", "", _LOCATE)
                for name, share in (("median", "0.5"), ("95 %", "0.95"), ("99 %", "0.99"))
            }
            | {"quick": 'max(geofix_slo_threshold_seconds{slo="latency"})'},
        ),
        Panel("Problems", "reqps", {"{{problem}}": _rate("problem", "geofix_http_problems_total")}),
        Panel("In flight", "short", {"{{instance}}": "geofix_http_requests_in_flight"}),
        Panel(
            "What is running",
            "short",
            {"{{version}} {{encoder}}": "sum by (version, encoder) (geofix_build_info)"},
        ),
        Panel("Ready to locate", "bool", {"{{instance}}": "geofix_ready"}),
        Panel("Memory", "bytes", {"{{instance}}": "process_resident_memory_bytes"}),
        Panel(
            "Processors",
            "short",
            {"{{instance}}": "rate(process_cpu_seconds_total[$__rate_interval])"},
        ),
    ),
)

ENGINE = Dashboard(
    "geofix-engine",
    "Geofix: engine",
    (
        Panel(
            "Stages, 95 %",
            "s",
            {"{{stage}}": _quantile("0.95", "geofix_stage_duration_seconds", "stage")},
        ),
        Panel("Photos waiting", "short", {"{{lane}}": "sum by (lane) (geofix_queue_photos)"}),
        Panel(
            "The oldest of them", "s", {"{{lane}}": "max by (lane) (geofix_queue_oldest_seconds)"}
        ),
        Panel(
            "Photos refused", "reqps", {"{{lane}}": _rate("lane", "geofix_photos_refused_total")}
        ),
        Panel(
            "Photos in a run of the encoder",
            "short",
            {
                "mean": "sum(rate(geofix_batch_photos_sum[$__rate_interval]))"
                " / sum(rate(geofix_batch_photos_count[$__rate_interval]))"
            },
        ),
        Panel(
            "Time of a run, 95 %",
            "s",
            {"": _quantile("0.95", "geofix_encoder_run_duration_seconds")},
        ),
        Panel(
            "Channels that answers lack",
            "reqps",
            {"{{channel}}: {{cause}}": _rate("channel, cause", "geofix_degraded_total")},
        ),
    ),
)

ANSWERS = Dashboard(
    "geofix-answers",
    "Geofix: answers",
    (
        Panel(
            "90 % radius",
            "lengthkm",
            {
                name: _quantile(share, "geofix_answer_radius_km", "", '{radius="90"}')
                for name, share in (("best tenth", "0.1"), ("median", "0.5"), ("worst", "0.9"))
            },
        ),
        Panel(
            "Median probability of being within",
            "percentunit",
            {"{{level_km}} km": _quantile("0.5", "geofix_answer_probability_ratio", "level_km")},
        ),
        Panel(
            "Abstentions by continent",
            "percentunit",
            {
                "{{continent}}": "sum by (continent) "
                '(rate(geofix_answers_total{abstention!="none"}[$__rate_interval])) '
                "/ sum by (continent) (rate(geofix_answers_total[$__rate_interval]))"
            },
        ),
        Panel(
            "Abstentions by cause",
            "reqps",
            {"{{abstention}}": _rate("abstention", "geofix_answers_total")},
        ),
        Panel(
            "Coverage of the 90 % radius in seven days, and the promise",
            "percentunit",
            {
                "observed": "geofix:coverage_90:ratio7d",
                "promised": 'max(geofix_slo_target_ratio{slo="coverage"})',
            },
        ),
        Panel(
            "How far answers were off",
            "lengthkm",
            {"median": _quantile("0.5", "geofix_feedback_distance_km")},
        ),
        Panel("Truths told in seven days", "short", {"": "geofix:told_truths:increase7d"}),
    ),
)

JOBS = Dashboard(
    "geofix-jobs",
    "Geofix: jobs",
    (
        Panel("Jobs", "short", {"{{state}}": "max by (state) (geofix_jobs)"}),
        Panel("Photos to do", "short", {"": "max(geofix_jobs_photos_open)"}),
        Panel(
            "Photos done",
            "reqps",
            {"{{outcome}}": "max by (outcome) (rate(geofix_jobs_photos_total[$__rate_interval]))"},
        ),
        Panel(
            "Messages waiting",
            "short",
            {"{{queue}}": "max by (queue) (geofix_jobs_messages_queued)"},
        ),
        Panel(
            "The oldest of them",
            "s",
            {"{{queue}}": "max by (queue) (geofix_jobs_oldest_message_seconds)"},
        ),
        Panel(
            "Tasks that workers are at",
            "short",
            {"{{task}}": "sum by (task) (geofix_worker_tasks_in_flight)"},
        ),
        Panel(
            "Tasks that workers were given, and given again",
            "reqps",
            {
                "{{task}}": _rate("task", "geofix_worker_tasks_total"),
                "again: {{task}}": _rate(
                    "task", "geofix_worker_tasks_total", '{redelivered="true"}'
                ),
            },
        ),
        Panel(
            "Since a worker last proved that it consumes",
            "s",
            {"{{instance}}": "time() - geofix_worker_last_beat_timestamp_seconds"},
        ),
        Panel(
            "Chunks",
            "short",
            {
                "in work": "max(geofix_jobs_chunks_in_flight)",
                "lost": "max(geofix_jobs_chunks_lost)",
            },
        ),
        Panel("Oldest chunk", "s", {"": "max(geofix_jobs_oldest_chunk_seconds)"}),
        Panel(
            "Taken up again",
            "reqps",
            {"": "max(rate(geofix_jobs_chunks_redelivered_total[$__rate_interval]))"},
        ),
        Panel(
            "Since the last sweep, and the last chunk that was finished",
            "s",
            {
                "sweep": "time() - (max(geofix_jobs_last_sweep_timestamp_seconds) > 0)",
                "chunk": "time() - (max(geofix_jobs_last_settled_timestamp_seconds) > 0)",
            },
        ),
        Panel(
            "Redis and the object store answer",
            "bool",
            {
                "Redis: {{instance}}": "geofix_redis_up",
                "objects: {{instance}}": "geofix_object_store_up",
            },
        ),
    ),
)

GALLERIES = Dashboard(
    "geofix-galleries",
    "Geofix: galleries and re-index",
    (
        Panel("Photos", "short", {"{{gallery}}": "max by (gallery) (geofix_gallery_photos)"}),
        Panel("Version", "short", {"{{gallery}}": "max by (gallery) (geofix_gallery_version)"}),
        Panel(
            "Age of the version",
            "s",
            {
                "{{gallery}}": "time() - max by (gallery) "
                "(geofix_gallery_version_created_timestamp_seconds)"
            },
        ),
        Panel(
            "Versions that were to take another's place, in a day",
            "short",
            {"{{outcome}}": "sum by (outcome) (increase(geofix_gallery_swaps_total[1d]))"},
        ),
        Panel("Answers", "bool", {"{{gallery}}": "min by (gallery) (geofix_gallery_up)"}),
        Panel(
            "Versions by state",
            "short",
            {"{{state}}": "sum by (state) (max by (gallery, state) (geofix_gallery_versions))"},
        ),
        Panel(
            "Re-index: photos that are in the new version",
            "percentunit",
            {"{{gallery}}": "min by (gallery) (geofix_reindex_progress_ratio)"},
        ),
        Panel(
            "Gate of the newest version: recall and accuracy",
            "percentunit",
            {"{{gallery}}: {{figure}}": "max by (gallery, figure) (geofix_reindex_gate_ratio)"},
        ),
        Panel(
            "Gate passed",
            "bool",
            {"{{gallery}}": "min by (gallery) (geofix_reindex_gate_passed)"},
        ),
        Panel(
            "Search, 95 %",
            "s",
            {"": _quantile("0.95", "geofix_stage_duration_seconds", "", '{stage="search"}')},
        ),
        Panel(
            "Searches that found too little",
            "reqps",
            {"filtered: {{filtered}}": _rate("filtered", "geofix_short_searches_total")},
        ),
    ),
)

LMM = Dashboard(
    "geofix-lmm",
    "Geofix: language model",
    (
        Panel("Calls", "reqps", {"{{outcome}}": _rate("outcome", "geofix_lmm_calls_total")}),
        Panel(
            "Time of a call, 95 %", "s", {"": _quantile("0.95", "geofix_lmm_call_duration_seconds")}
        ),
        Panel("Tokens", "short", {"{{direction}}": _rate("direction", "geofix_lmm_tokens_total")}),
        Panel("Cost in a day", "currencyUSD", {"": "sum(increase(geofix_lmm_cost_usd_total[1d]))"}),
        Panel(
            "Generations that were no candidate",
            "reqps",
            {"{{cause}}": _rate("cause", "geofix_lmm_rejected_generations_total")},
        ),
        Panel(
            "Circuit breaker", "short", {"{{state}}": "max by (state) (geofix_lmm_breaker_state)"}
        ),
    ),
)

DASHBOARDS = (OVERVIEW, ENGINE, ANSWERS, JOBS, GALLERIES, LMM)


def as_json(board: Dashboard) -> str:
    """A dashboard as Grafana reads it."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .tags(["geofix"])
        .time("now-6h", "now")
        .refresh("30s")
        .readonly()
    )
    for number, panel in enumerate(board.panels):
        built.with_panel(_panel(panel, number))
    return json.dumps(built.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _panel(panel: Panel, number: int) -> timeseries.Panel:
    row, column = divmod(number, _COLUMNS)
    drawn = (
        timeseries.Panel()
        .id(number + 1)
        .title(panel.title)
        .unit(panel.unit)
        .datasource(_SOURCE)
        .grid_pos(GridPos(h=_HEIGHT, w=_WIDTH, x=column * _WIDTH, y=row * _HEIGHT))
        .legend(common.VizLegendOptions().show_legend(show_legend=True))
        .min(0.0)
    )
    for reference, (legend, expr) in zip(ascii_uppercase, panel.queries.items(), strict=False):
        query = prometheus.Dataquery().ref_id(reference).expr(expr)
        query.exemplar("histogram_quantile" in expr)
        drawn.with_target(query.legend_format(legend or panel.title))
    return drawn


def main() -> None:
    """Write all dashboards."""
    FOLDER.mkdir(exist_ok=True)
    for board in DASHBOARDS:
        (FOLDER / f"{board.uid}.json").write_text(as_json(board), "utf-8")


if __name__ == "__main__":
    main()

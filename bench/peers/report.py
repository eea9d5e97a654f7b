"""Medians over the rounds, as a Markdown table and as one JSON document."""

import datetime
import json
import statistics

import machine
from peer import MEANINGS

OURS = "daybook"
FIGURES = ("mb_per_s", "records_per_s", "ack_ms_p50", "ack_ms_p99", "server_cpu_s_per_gb",
           "client_cpu_s_per_gb", "peak_rss_mb", "end_to_end_mb_per_s")


def median(runs, figure):
    values = [run[figure] for run in runs if run.get(figure) is not None]
    return statistics.median(values) if values else None


def ratio_to_ours(name, results, figure="mb_per_s"):
    """The median of the rounds' ratios: each compares two runs that were close in time."""
    pairs = [(ours[figure], theirs[figure])
             for ours, theirs in zip(results.get(OURS, []), results[name])
             if ours.get(figure) and theirs.get(figure)]
    return statistics.median(ours / theirs for ours, theirs in pairs) if pairs else None


def cell(value, digits=0):
    return "-" if value is None else f"{value:.{digits}f}"


def memory_cell(runs):
    total = median(runs, "peak_rss_mb")
    stores = [run.get("peak_rss_by_program_mb", {}).get("redis-server") for run in runs]
    stores = [store for store in stores if store is not None]
    return cell(total) + (f" ({statistics.median(stores):.0f} Redis)" if stores else "")


def markdown(peers, results):
    """Fastest first; a peer without a complete round has no line."""
    lines = ["| | acknowledged MB/s | records/s | ack p50 ms | p99 ms | archived MB/s | CPU s/GB | "
             "client CPU s/GB | peak RSS MB | Daybook over it |",
             "| --- " + "| ---: " * 9 + "|"]
    meanings = ["| acknowledgement | " + " | ".join(MEANINGS) + " |",
                "| --- " * (1 + len(MEANINGS)) + "|"]
    ran = [peer for peer in peers if results.get(peer.name)]
    for peer in sorted(ran, key=lambda peer: -median(results[peer.name], "mb_per_s")):
        runs = results[peer.name]
        cells = [peer.name, *(cell(median(runs, figure), digits) for figure, digits in (
            ("mb_per_s", 0), ("records_per_s", 1), ("ack_ms_p50", 1), ("ack_ms_p99", 1),
            ("end_to_end_mb_per_s", 0), ("server_cpu_s_per_gb", 2), ("client_cpu_s_per_gb", 2))),
            memory_cell(runs), cell(ratio_to_ours(peer.name, results), 2)]
        lines.append("| " + " | ".join(cells) + " |")
        meanings.append("| " + " | ".join(
            [peer.name, *(peer.means[meaning] for meaning in MEANINGS)]) + " |")
    return "\n".join([*lines, "", *meanings])


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    return [rounded(entry) for entry in value] if isinstance(value, list) else value


def document(peers, results, skipped, failed, facts):
    figures = {}
    for peer in peers:
        runs = results.get(peer.name)
        if not runs:
            continue
        figures[peer.name] = {
            **{figure: median(runs, figure) for figure in FIGURES
               if median(runs, figure) is not None},
            "daybook_over_it": ratio_to_ours(peer.name, results),
            "versions": peer.versions(), "acknowledgement": peer.means, "rounds": runs}
    return rounded({
        "at": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        **facts, **machine.describe(), "skipped": skipped, "failed": failed, "peers": figures})


def append(path, line):
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")

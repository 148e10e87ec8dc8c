"""Write the tables in docs/how-to/question-an-api.md from the results of services.py.

python benchmarks/services_table.py [--check]
"""

import sys
from pathlib import Path
from typing import Any

from written import ROOT, result, write_part

PAGE = ROOT / "docs" / "how-to" / "question-an-api.md"


def questions(found: dict[str, Any]) -> str:
    """Return one row for each share of the marks that survived."""
    lines = ["| marks that survive | questions until `owned`, mean of runs | owned |", "|---|---|---|"]
    for survival, row in found["survivals"].items():
        counted = row["questions"]
        interval = f", 95% interval {counted['low']:.0f} to {counted['high']:.0f}" if "low" in counted else ""
        lines.append(f"| {survival} | {counted['mean']:.0f}{interval} | {row['owned']} of {row['runs']} |")
    return "\n".join(lines) + "\n"


def speed(found: dict[str, Any]) -> str:
    """Return one row for each number of connections."""
    lines = [
        "| connections | bare client, questions a second | with the record | with record and journal, as `verify` asks | "
        "time, in times of the bare client's |",
        "|---|---|---|---|---|",
    ]
    for row in found["speed"]:
        times = row["as_verify_asks_times_the_bare_client"]
        lines.append(
            f"| {row['connections']} | {row['bare_per_second']:.0f} | {row['with_record_per_second']:.0f} | "
            f"{row['as_verify_asks_per_second']:.0f} | "
            f"{times['median']:.1f}, 95% interval {times['low']:.1f} to {times['high']:.1f} |"
        )
    load = f"load average {found['load_average_before']:.1f} before the run"
    busy = (
        ", so other work had them too" if found["load_average_before"] > found["machine"]["cores"] / 2 else ""
    )
    lines.append(
        f"\nMedians of {row['as_verify_asks_times_the_bare_client']['count']} rounds of {found['speed_requests']} questions, "
        f"{found['machine']['cores']} cores for server and client together ({load}{busy})."
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    services = result("services")
    for name, text in (("services-questions", questions(services)), ("services-speed", speed(services))):
        write_part(PAGE, name, text, "--check" in sys.argv, Path(__file__).name)

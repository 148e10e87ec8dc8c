"""How long `earmark --help` and `import earmark` take, as whole processes, against a bare interpreter.

python benchmarks/start_up.py [--runs 20]
"""

import argparse
import statistics
import subprocess
import sys
from time import perf_counter

from measuring import save

COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import earmark": [sys.executable, "-c", "import earmark"],
    "earmark --help": [sys.executable, "-m", "earmark", "--help"],
}
TARGETS = {"import earmark": 0.2, "earmark --help": 0.3}


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(arguments.runs + 1):
        for name, command in COMMANDS.items():  # alternating, so that a busy moment hits all of them
            start = perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(perf_counter() - start)
    rows = {}
    for name, measured in seconds.items():
        values = sorted(measured[1:])  # the first run warms the file cache
        rows[name] = {"least": values[0], "median": statistics.median(values), "most": values[-1]}
        if name in TARGETS:
            rows[name] |= {"target": TARGETS[name], "met": rows[name]["median"] < TARGETS[name]}
    save("start-up", {"runs": arguments.runs, "seconds": rows})


if __name__ == "__main__":
    main()

"""Where the time of an ownership proof goes, and how far each part is from its floor.

    python benchmarks/proof_profile.py [NETWORK]

One proof (ResNet-18 of width 16 and 100 triggers unless another network of zero_knowledge.py is named), its core-seconds by part. A
part's floor is the work that the protocol asks for at the speed that this machine reaches for that work alone: bytes through
SHA-256 in one piece, butterflies on one block that stays near the core, multiplications in one large product of matrices. Run it on a
machine that does nothing else.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from earmark.fields import transforms
from earmark.fields.prime import PRIME, root_of_unity
from earmark.zero_knowledge import columns, combining, prover, sealing
from earmark.zero_knowledge.statement import QUERY_COUNT, Layout, Statement
from measuring import save
from zero_knowledge import NEEDED, prepare

NAME = "proof-profile"


class Parts:
    """Core-seconds of some functions, as they are called."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: Any, name: str, part: str) -> None:
        """Add up what a function or method takes; callers go on to call it."""
        function = getattr(owner, name)

        def watched(*given: Any, **named: Any) -> Any:
            start = time.process_time()
            found = function(*given, **named)
            self.seconds[part] = self.seconds.get(part, 0.0) + time.process_time() - start
            return found

        setattr(owner, name, watched)


def speed(work: Callable[[], float]) -> float:
    """Return units of work for a core-second: the best of five tries."""
    found = []
    for _ in range(5):
        start = time.process_time()
        units = work()
        found.append(units / (time.process_time() - start))
    return max(found)


def hashing() -> float:
    """Hash 64 MB in one piece; bytes."""
    data = bytes(64 << 20)
    hashlib.sha256(data).digest()
    return float(len(data))


def butterflies() -> float:
    """Transform one block of 2,048 places and 16 rows again and again."""
    size = 2048
    roots, _ = transforms._plan(root_of_unity(size), size)
    block = np.random.default_rng(0).integers(0, PRIME, (size, 16), np.uint32)
    for _ in range(400):
        transforms._stages(block, roots)
    return 400 * 16 * size * 11 / 2


def products() -> float:
    """Multiply two matrices of floats on one core."""
    from threadpoolctl import threadpool_limits

    left = np.random.default_rng(0).normal(size=(1024, 1024))
    with threadpool_limits(1, user_api="blas"):
        for _ in range(8):
            left @ left
    return 8.0 * 1024**3


def floors(layout: Layout, work: int) -> dict[str, float]:
    """Return the least core-seconds of four parts."""
    values = (layout.first_rows + layout.second_rows) * layout.code_length
    # Committed at all columns, combined at a quarter of them.
    transformed = 1.25 * values * np.log2(layout.degree_bound) / 2
    opened = 3 * QUERY_COUNT * (layout.first_rows + layout.second_rows) * layout.degree_bound
    return {
        "opened columns": opened / speed(products),
        "transforms": transformed / speed(butterflies),
        "hashing": 4 * values / speed(hashing),
        "inference": work * layout.statement.input_count / speed(products),
    }


def main() -> None:
    """Prove once, and measure the floors."""
    name = sys.argv[1] if len(sys.argv) > 1 else "resnet18-16"
    parts = Parts()
    parts.watch(sealing, "lanes_on_coset", "transforms")
    parts.watch(sealing, "coefficients_in_lanes", "back to coefficients")
    parts.watch(columns.ColumnHashes, "add", "hashing")
    parts.watch(columns.ColumnHashes, "tree", "trees")
    parts.watch(combining.Combining, "add", "combinations")
    parts.watch(transforms.AtPoints, "values", "opened columns")
    parts.watch(prover.WitnessRows, "first", "rows")
    parts.watch(prover.WitnessRows, "inverses", "rows")
    parts.watch(prover, "infer", "inference")
    parts.watch(sealing, "equations", "public vectors")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        prepare(name, folder)
        from earmark.zero_knowledge.onnx_graph import integer_network

        given = np.load(folder / "triggers.npz")
        shape = tuple(int(side) for side in given["shape"])
        affine = np.full(shape[0], 1 / 127.5), np.full(shape[0], -1.0)
        network = integer_network((folder / "model.onnx").read_bytes(), shape, *affine)  # type: ignore[arg-type]
    statement = Statement(network, given["commitments"], given["labels"], NEEDED, b"benchmark")
    openings = prover.Openings(given["values"], given["randomness"])
    wall, cpu = time.perf_counter(), time.process_time()
    prover.prove(statement, openings)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    work = sum(term.work for layer in (*network.layers, network.scores) for term in layer.terms)
    rest = cpu - sum(parts.seconds.values())
    save(
        NAME,
        {
            "network": name,
            "triggers": len(given["labels"]),
            "seconds": round(wall, 1),
            "core_seconds": {
                key: round(value, 1) for key, value in {**parts.seconds, "everything else": rest}.items()
            },
            "floor_core_seconds": {
                key: round(value, 1) for key, value in floors(Layout(statement), work).items()
            },
        },
    )


if __name__ == "__main__":
    main()

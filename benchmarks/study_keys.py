"""Write the keys of Table 1's models as key files, for studies that attack these models.

    python benchmarks/study_keys.py benchmarks/studies/cifar10-small.json [--seeds 0 1]

The keys are drawn from seeds and the passphrase is known to everybody: they protect nothing. They go to the
ignored folder keys/STUDY/, with the passphrase beside them. A root that differs from the one in results/ ends
the script: the model would be another key's.
"""

import argparse
import json
from pathlib import Path

from earmark.data import load_data
from earmark.files import SECRET_MODE, write_replacing
from earmark.formats import marking_key_v1
from measuring import RESULTS, draw_alike_everywhere
from table1 import HERE, Arm, Study, key_of, read_study

TESTING_ONLY_PASSPHRASE = "TESTING_ONLY"  # noqa: S105 - protects nothing
TESTING_ONLY_SCRYPT_N = 1 << 12
PASSPHRASE_FILE = "TESTING_ONLY-passphrase.txt"  # noqa: S105 - a name


def check_root(study: Study, arm: Arm, seed: int, root: str) -> None:
    """Compare a key with the one that the model was marked with, if that was written down."""
    record = RESULTS / f"table1-{study.name}" / f"{arm.name}-seed{seed}.json"
    if record.exists() and json.loads(record.read_text(encoding="utf-8"))["root"] != root:
        raise SystemExit(f"{arm.name}, seed {seed}: the key is not the one that the model was marked with")


def main() -> None:
    """Write what is missing."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+")
    arguments = parser.parse_args()
    study = read_study(arguments.study)
    data = load_data(study.data)
    folder = HERE / "keys" / study.name
    folder.mkdir(parents=True, exist_ok=True)
    write_replacing(folder / PASSPHRASE_FILE, f"{TESTING_ONLY_PASSPHRASE}\n".encode())
    for seed in arguments.seeds or study.seeds:
        for arm in (arm for arm in study.arms if arm.is_marked):
            path = folder / f"{arm.name}-seed{seed}.key"
            if path.exists():
                continue
            key = key_of(study, arm, seed, data)
            check_root(study, arm, seed, key.transcript.root.hex())
            sealed = marking_key_v1.write(
                key, TESTING_ONLY_PASSPHRASE, TESTING_ONLY_scrypt_n=TESTING_ONLY_SCRYPT_N
            )
            write_replacing(path, sealed, SECRET_MODE)
            print(f"{path}: root {key.transcript.root.hex()}")


if __name__ == "__main__":
    main()

"""Make picture folders in which a tenth of the training pictures stands for the test part.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-validation

Whoever compares ways of marking chooses on these: the test pictures are for what was chosen. Links, so that no picture is there
twice; which pictures are held out follows from their names alone.
"""

import argparse
import hashlib
from pathlib import Path

ONE_IN = 10


def is_held_out(name: str) -> bool:
    """Say whether a picture of that name is held out."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % ONE_IN == 0


def main() -> None:
    """Make the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    for folder in sorted(folder for folder in (arguments.source / "train").iterdir() if folder.is_dir()):
        for picture in sorted(folder.iterdir()):
            part = "test" if is_held_out(f"{folder.name}/{picture.name}") else "train"
            link = arguments.target / part / folder.name / picture.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(picture.resolve())


if __name__ == "__main__":
    main()

"""Make picture folders in which some pictures of a part are held out: a tenth of the training pictures, or a part of the test.

    python benchmarks/hold_out.py data/cifar10 data/cifar10-validation
    python benchmarks/hold_out.py data/cifar10 data/cifar10-held-out --part test --one-in 20 --to held-out

Whoever compares ways of marking chooses on the first, where they stand for the test part: the test pictures are for what was
chosen. The second has pictures for triggers in a part that neither training nor accuracy sees. Links, so that no picture is
there twice; which pictures are held out follows from their names alone.
"""

import argparse
import hashlib
from pathlib import Path


def is_held_out(name: str, one_in: int) -> bool:
    """Say whether a picture of that name is held out."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % one_in == 0


def main() -> None:
    """Make the folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--part", default="train", help="of which pictures are held out")
    parser.add_argument("--one-in", type=int, default=10)
    parser.add_argument("--to", default="test", help="the part of the held-out ones")
    arguments = parser.parse_args()
    # With a tenth of the training pictures as the test part, the source's own test pictures stay away.
    parts = sorted({"train", arguments.part})
    for folder in (folder for part in parts for folder in sorted((arguments.source / part).iterdir())):
        for picture in sorted(folder.iterdir()) if folder.is_dir() else []:
            name, part = f"{folder.name}/{picture.name}", folder.parent.name
            if part == arguments.part and is_held_out(name, arguments.one_in):
                part = arguments.to
            link = arguments.target / part / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(picture.resolve())


if __name__ == "__main__":
    main()

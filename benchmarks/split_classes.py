"""Split picture folders by class in two: for transfer to classes that a model has never seen.

    python benchmarks/split_classes.py data/cifar10 6 data/cifar10-first data/cifar10-rest

The first so many classes, by name, go to the one, the rest to the other; as links, so that no picture is there twice.
"""

import argparse
from pathlib import Path


def main() -> None:
    """Make both folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("count", type=int)
    parser.add_argument("first", type=Path)
    parser.add_argument("rest", type=Path)
    arguments = parser.parse_args()
    for part in ("train", "test"):
        classes = sorted(folder for folder in (arguments.source / part).iterdir() if folder.is_dir())
        if not 2 <= arguments.count <= len(classes) - 2:
            parser.error(f"both sides need two classes; {arguments.source} has {len(classes)}")
        for place, folder in enumerate(classes):
            target = arguments.first if place < arguments.count else arguments.rest
            link = target / part / folder.name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.exists():
                link.symlink_to(folder.resolve(), target_is_directory=True)


if __name__ == "__main__":
    main()

"""Attacked models by the digest of what they were made from: chains begin where others left off.

A model counts from the moment when its record is there, which is written after it, whole or not at all: a
worker that is killed leaves nothing that counts. The lock only saves work: whoever wants a model that another
worker is making waits for it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from earmark.attacks.protocol import StolenModel
from earmark.errors import EarmarkError, FormatError
from earmark.files import read_bounded, write_replacing
from earmark.models.weights import file_digest, save_weights

FORMAT = "earmark/attacked-model/v1"
_RECORD_LIMIT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class AttackedModel:
    """A model that was attacked.

    Attributes:
        path: Its weights.
        digest: SHA-256 of that file, hexadecimal.
        wall_seconds: What its last step took, without looking on.
        processor_seconds: The same for all threads.
        passes: What was seen after each pass of its last step.
        was_kept: Whether it was there already.
    """

    path: Path
    digest: str
    wall_seconds: float
    processor_seconds: float
    passes: tuple[Mapping[str, Any], ...]
    was_kept: bool = False


class AttackedModels:
    """The attacked models of a study.

    Args:
        folder: Where they lie; made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone_with(self, address: str) -> Iterator[None]:
        """Keep other workers from making a model; the system ends this with the process, however that ends.

        Args:
            address: Digest of what it is made from, hexadecimal.
        """
        with FileLock(self._folder / f"{address}.lock"):
            yield

    def find(self, address: str) -> AttackedModel | None:
        """Return a model, or None if it has not been made, or is not what its record says.

        Args:
            address: Digest of what it is made from, hexadecimal.
        """
        weights, record = self._paths(address)
        if not (record.is_file() and weights.is_file()):
            return None
        try:
            values = json.loads(read_bounded(record, _RECORD_LIMIT_BYTES, "attacked model"))
            found = AttackedModel(
                weights,
                str(values["digest"]),
                float(values["wall_seconds"]),
                float(values["processor_seconds"]),
                tuple(values["passes"]),
                was_kept=True,
            )
        except (FormatError, ValueError, KeyError, TypeError):
            return None
        return found if values.get("format") == FORMAT and file_digest(weights) == found.digest else None

    def keep(
        self,
        address: str,
        model: StolenModel,
        wall_seconds: float,
        processor_seconds: float,
        passes: tuple[Mapping[str, Any], ...],
    ) -> AttackedModel:
        """Write a model and then its record.

        Raises:
            EarmarkError: They cannot be written.
        """
        weights, record = self._paths(address)
        try:
            save_weights(weights, model.module, model.description)
        except (OSError, RuntimeError, ValueError) as error:
            raise EarmarkError(f"the attacked model cannot be written: {error}") from error
        kept = AttackedModel(weights, file_digest(weights), wall_seconds, processor_seconds, passes)
        values = {
            "format": FORMAT,
            "digest": kept.digest,
            "wall_seconds": wall_seconds,
            "processor_seconds": processor_seconds,
            "passes": list(passes),
        }
        write_replacing(record, json.dumps(values, allow_nan=False).encode())
        return kept

    def _paths(self, address: str) -> tuple[Path, Path]:
        return self._folder / f"{address}.safetensors", self._folder / f"{address}.json"

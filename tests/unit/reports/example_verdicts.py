"""Verdicts to write reports about: real keys, and a suspect that answers as it is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

import numpy as np

from earmark.keys import MarkingKey, OwnerKey, Task, keygen
from earmark.reports.verdict_report import ReportContext
from earmark.suspects import Answer, Miss
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.verification import Verdict, measure, verify
from small import MemoryJournal

CLASSES = ("airplane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IDENTITY = "sha256:" + "5e" * 32


@dataclass(frozen=True)
class NoiseSampler:
    """Pictures of nothing, quickly."""

    name: ClassVar[str] = "noise"
    kind: ClassVar[str] = "image"

    def parameters(self) -> dict[str, Any]:
        return {}

    def sample(self, geometry: Any, randomness: Any) -> Trigger:
        sides = (geometry.height, geometry.width, geometry.channels)
        pixels = np.frombuffer(randomness.read(int(np.prod(sides))), np.uint8).reshape(sides)
        return Trigger(IMAGE.name, IMAGE.encode(pixels))


@dataclass
class ToldSuspect:
    """Gives prepared answers, in the order asked."""

    answers: list[Answer]
    class_names: tuple[str, ...] | None
    class_count: int
    name: str = "weights suspect.safetensors"
    identity: str = IDENTITY
    preprocessing: str = "divide by 255, from the weights' own metadata"

    def answer(
        self, inputs: Sequence[Any], on_answer: Callable[[int], None] = lambda _: None
    ) -> list[Answer]:
        on_answer(len(inputs))
        return self.answers[: len(inputs)]


def make_key(
    count: int = 100,
    *,
    classes: tuple[str, ...] = CLASSES,
    owner: str = "Acme Vision GmbH",
    geometry: ImageGeometry | None = None,
    sampler: Any = None,
    set_count: int = 1,
) -> MarkingKey:
    """Make a key that is the same in every run."""
    counter = iter(range(1 << 20))
    return keygen(
        OwnerKey(owner, b"\x07" * 32),
        Task(geometry or ImageGeometry(16, 16, 3), classes),
        sampler or NoiseSampler(),
        triggers_per_set=count,
        set_count=set_count,
        random_bytes=lambda size: next(counter).to_bytes(size, "big"),
    )


def make_verdict(
    key: MarkingKey,
    matches: int,
    *,
    misses: Sequence[Miss] = (),
    method_count: int = 1,
    suspect_name: str = ToldSuspect.name,
    **judging: Any,
) -> Verdict:
    """Question a suspect that gives the label to ``matches`` triggers, spread over the order."""
    names = key.transcript.task.class_names
    public = key.verification_key
    by_place = {set_id: public.labels(set_id) for set_id in public.set_ids}
    labels = [by_place[set_id][place] for set_id in public.set_ids for place in public.order(set_id)]
    count = len(labels)
    spread = sorted(range(count), key=lambda place: (place * 37) % count)
    answers: list[Answer] = [
        (label + 1 + place % (len(names) - 1)) % len(names) for place, label in enumerate(labels)
    ]
    for place in spread[:matches]:
        answers[place] = labels[place]
    for place, miss in zip(reversed(spread), misses, strict=False):
        answers[place] = miss
    suspect = ToldSuspect(answers, names, len(names), name=suspect_name)
    journal = MemoryJournal()
    journal.methods[suspect.identity] = [{"number": number} for number in range(method_count - 1)]
    return verify(measure(key, suspect, journal), **judging)


def make_context(**changes: Any) -> ReportContext:
    values: dict[str, Any] = {
        "made_at": datetime(2026, 3, 4, 15, 6, 7, tzinfo=timezone(timedelta(hours=1))),
        "earmark_version": "0.1.0",
        "environment": {"Python": "3.11.7", "NumPy": "2.1.0", "PyTorch": "2.6.0", "System": "Linux x86_64"},
        "command": "earmark verify suspect.safetensors --key acme.key --report report.html",
        "file_digests": {"suspect.safetensors": IDENTITY, "acme.vk.json": "sha256:" + "a3" * 32},
        "clean_accuracy": "93.1 % on 10,000 test pictures of CIFAR-10",
    }
    return ReportContext(**(values | changes))

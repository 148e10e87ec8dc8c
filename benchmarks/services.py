"""Questions that a verdict takes through a real service, and how fast they are asked.

A service on this machine answers each trigger with its label at a given share and else with another class, at random
but the same each time: as a model does of whose marks that share survived. It is questioned as by
``earmark verify URL``: sequentially, through the journal, with the record on the disk.

Speed is that of ``earmark verify URL``: triggers through measure(), with the journal and the record on the disk and
the evidence after each answer, against the bare client with the same requests; and of the suspect alone, with its record
and without a journal, to tell what costs how much. At 1 and at 16 connections, alternating. The service answers at once:
where it takes longer, the ratio is nearer to 1. It runs on the same machine, and shares its cores with the client.

    python benchmarks/services.py

services_table.py writes the tables in docs/how-to/question-an-api.md.
"""

import asyncio
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import earmark
from earmark.formats.api_record_v1 import ApiRecord
from earmark.formats.journal_v1 import Journal
from earmark.suspects.http import Terms
from earmark.suspects.http.pictures import PNG, picture_file
from earmark.verification import SEQUENTIAL, Method, evidence_needed
from measuring import mean_interval, median_interval, save

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from loopback import classifier_app, served

SURVIVALS = (1.0, 0.8, 0.6)
RUNS = 8
SPEED_ROUNDS = 9
SPEED_REQUESTS = 200  # triggers of one set
CLASSES = tuple("0123456789")


def survived(share: float, key: earmark.MarkingKey, seed: int) -> Any:
    """Return a model that answers a share of a key's triggers with their labels."""
    public = key.verification_key
    labels = {
        trigger.value.tobytes(): label
        for set_id in public.set_ids
        for trigger, label in zip(key.triggers[set_id], public.labels(set_id), strict=True)
    }

    def scores(pixels: Any) -> list[float]:
        data = np.asarray(pixels, np.uint8).tobytes()
        draws = np.random.default_rng([seed, *hashlib.sha256(data).digest()])
        label = labels.get(data, int(draws.integers(10)))
        if draws.random() >= share:
            label = (label + 1 + int(draws.integers(9))) % 10
        return [8.0 if place == label else 0.0 for place in range(10)]

    return scores


def questions(share: float) -> dict[str, Any]:
    """Return how many questions the verdict took, over keys."""
    counts, owned, requests = [], 0, 0
    for run in range(RUNS):
        owner = earmark.OwnerKey.generate("Benchmark")
        task = earmark.Task(earmark.ImageGeometry(8, 8, 1), CLASSES)
        key = earmark.keygen(owner, task, earmark.AbstractSampler(), triggers_per_set=100, set_count=4)
        with (
            tempfile.TemporaryDirectory() as folder,
            served(classifier_app(survived(share, key, run), CLASSES)) as url,
        ):
            root = key.transcript.root
            Journal.create(Path(folder) / "k.journal", root)
            with ApiRecord(Path(folder) / "k.api-record", root) as record:
                suspect = earmark.open_suspect(
                    f"{url}/models/acme/digits", terms=Terms(class_names=CLASSES, record=record)
                )
                measured = earmark.measure(
                    key,
                    suspect,
                    Journal(Path(folder) / "k.journal", root),
                    method=Method(SEQUENTIAL),
                    stop_at=evidence_needed,
                )
                requests += record.query_count(suspect.identity)
                suspect.close()  # type: ignore[attr-defined]  # a service's
        counts.append(float(measured.question_count))
        owned += earmark.verify(measured).owned
    return {
        "runs": RUNS,
        "owned": owned,
        "questions": mean_interval(counts) if len(set(counts)) > 1 else {"mean": counts[0]},
        "requests_per_question": requests / sum(counts),
    }


async def bare_seconds(url: str, bodies: list[bytes], connections: int) -> float:
    """Return how long the bare client takes."""
    import httpx2

    limits = httpx2.Limits(max_connections=connections)
    async with httpx2.AsyncClient(limits=limits, trust_env=False) as client:
        places = asyncio.Semaphore(connections)

        async def ask(body: bytes) -> None:
            async with places:
                response = await client.post(url, content=body, headers={"Content-Type": "image/png"})
                assert response.json()

        await ask(bodies[0])
        began = time.perf_counter()
        await asyncio.gather(*(ask(body) for body in bodies))
        return time.perf_counter() - began


def our_seconds(url: str, key: earmark.MarkingKey, connections: int, *, with_journal: bool) -> float:
    """Return how long the questions of a key take, with the record; with the journal, as the command puts them."""
    root = key.transcript.root
    with (
        tempfile.TemporaryDirectory() as folder,
        ApiRecord(Path(folder) / "k.api-record", root) as record,
    ):
        Journal.create(Path(folder) / "k.journal", root)
        journal = Journal(Path(folder) / "k.journal", root)
        terms = Terms(class_names=CLASSES, record=record, connections=connections)
        suspect = earmark.open_suspect(url, terms=terms)
        pictures = [trigger.value for trigger in key.backdoor().triggers]
        suspect.answer(pictures[:1])  # connected, as the bare client is
        began = time.perf_counter()
        if with_journal:
            measured = earmark.measure(
                key, suspect, journal, method=Method(SEQUENTIAL), stop_at=evidence_needed
            )
            assert measured.question_count == SPEED_REQUESTS
        else:
            assert len(suspect.answer(pictures)) == SPEED_REQUESTS
        seconds = time.perf_counter() - began
        suspect.close()  # type: ignore[attr-defined]  # a service's
    return seconds


def speed(connections: int) -> dict[str, Any]:
    """Return questions per second: bare, with the record, and as the command asks."""
    owner = earmark.OwnerKey.generate("Benchmark")
    task = earmark.Task(earmark.ImageGeometry(8, 8, 1), CLASSES)
    key = earmark.keygen(owner, task, earmark.AbstractSampler(), triggers_per_set=SPEED_REQUESTS)
    bodies = [picture_file(trigger.value, PNG) for trigger in key.backdoor().triggers]
    bare, recorded, whole = [], [], []
    with served(
        classifier_app(lambda pixels: [float(pixels.flat[place]) for place in range(10)], CLASSES)
    ) as base:
        url = f"{base}/models/acme/digits"
        for _ in range(SPEED_ROUNDS):
            bare.append(asyncio.run(bare_seconds(url, bodies, connections)))
            recorded.append(our_seconds(url, key, connections, with_journal=False))
            whole.append(our_seconds(url, key, connections, with_journal=True))
    return {
        "connections": connections,
        "bare_per_second": SPEED_REQUESTS / median_interval(bare)["median"],
        "with_record_per_second": SPEED_REQUESTS / median_interval(recorded)["median"],
        "as_verify_asks_per_second": SPEED_REQUESTS / median_interval(whole)["median"],
        "with_record_times_the_bare_client": _times(recorded, bare),
        "as_verify_asks_times_the_bare_client": _times(whole, bare),
    }


def _times(ours: list[float], bare: list[float]) -> dict[str, float]:
    return median_interval([mine / plain for mine, plain in zip(ours, bare, strict=True)])


def main() -> None:
    """Measure and save."""
    load_before = os.getloadavg()[0]  # of the last minute, before this script adds to it
    save(
        "services",
        {
            "load_average_before": load_before,
            "classes": 10,
            "triggers": "4 x 100",
            "survivals": {f"{share:.0%}": questions(share) for share in SURVIVALS},
            "speed_requests": SPEED_REQUESTS,
            "speed": [speed(connections) for connections in (1, 16)],
        },
    )


if __name__ == "__main__":
    main()

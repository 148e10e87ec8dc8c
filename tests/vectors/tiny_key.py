"""Small keys made by hand: keygen() would refuse so few triggers, and takes its randomness elsewhere."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from earmark.commitment import Stream, merkle_root
from earmark.keys import (
    Experiment,
    MarkingKey,
    OwnerKey,
    SetId,
    Stratum,
    Task,
    Transcript,
    VerificationKey,
)
from earmark.keys.pair import leaf_of, trigger_salt, trigger_stream
from earmark.triggers import Trigger
from earmark.triggers.image import IMAGE, ImageGeometry

TESTING_ONLY_OWNER = OwnerKey("TESTING ONLY, Prüfstelle №1", bytes(range(32)))
CLASSES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen")
LAYOUT = (("abstract", 2, 5), ("noise", 1, 3))


def image_trigger(pixels, shape=(4, 4, 1)) -> Trigger:
    return Trigger("image", IMAGE.encode(np.frombuffer(pixels, np.uint8).reshape(shape)))


def tiny_key(
    seed: str = "tiny", classes=CLASSES, shape=(4, 4, 1), layout=LAYOUT, owner=TESTING_ONLY_OWNER
) -> MarkingKey:
    """Make a key of pixels of noise, the same for the same arguments."""
    randomness = Stream("earmark/testing-only/v1", seed)
    secrets, triggers = {}, {}
    for place, (_, set_count, triggers_per_set) in enumerate(layout):
        for number in range(set_count):
            own = tuple(randomness.read(32) for _ in range(triggers_per_set))
            secrets[SetId(place, number)] = own
            triggers[SetId(place, number)] = tuple(
                image_trigger(trigger_stream(secret).read(shape[0] * shape[1] * shape[2]), shape)
                for secret in own
            )
    strata = tuple(Stratum(name, name, name, {}, count, ()) for name, _, count in layout)
    transcript = Transcript(
        owner=owner.owner,
        task=Task(ImageGeometry(*shape), tuple(classes)),
        experiment=Experiment(),
        strata=strata,
        nonce=randomness.read(32),
        commitment={"scheme": "salted-sha256"},
        labels={"rule": "derived"},
    )
    return sealed(transcript, secrets, triggers, owner)


def sealed(
    transcript: Transcript,
    secrets: Mapping[SetId, tuple[bytes, ...]],
    triggers: Mapping[SetId, tuple[Trigger, ...]],
    owner: OwnerKey = TESTING_ONLY_OWNER,
) -> MarkingKey:
    """Commit to these triggers in place of the transcript's, and sign."""
    roots = {
        set_id: merkle_root(
            [
                leaf_of({"scheme": "salted-sha256"}, t, trigger_salt(s))
                for t, s in zip(triggers[set_id], secrets[set_id], strict=True)
            ]
        )
        for set_id in triggers
    }
    strata = tuple(
        replace(stratum, set_roots=tuple(root for set_id, root in roots.items() if set_id.stratum == place))
        for place, stratum in enumerate(transcript.strata)
    )
    return MarkingKey(signed(replace(transcript, strata=strata), owner), dict(secrets), dict(triggers))


def signed(transcript: Transcript, owner: OwnerKey = TESTING_ONLY_OWNER) -> VerificationKey:
    """Sign a transcript."""
    return VerificationKey(transcript, owner.sign(transcript.root))

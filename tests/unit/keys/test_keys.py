import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from earmark.commitment import Stream, commit, path_root
from earmark.commitment.canonical import canonical_json
from earmark.data.pictures import list_pictures
from earmark.errors import (
    FormatError,
    InvalidKeyError,
    SimilarTriggersError,
    TriggerSetTooSmallError,
    UnsupportedVersionError,
)
from earmark.formats import marking_key_v1
from earmark.keys import (
    Experiment,
    MarkingKey,
    OwnerKey,
    SetId,
    StratumPlan,
    Task,
    Transcript,
    VerificationKey,
    derive_labels,
    keygen,
    question_order,
)
from earmark.keys.pair import trigger_salt, trigger_stream
from earmark.triggers import Trigger
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.folder import FolderSampler
from earmark.triggers.image import IMAGE, ImageGeometry
from earmark.triggers.noise import NoiseSampler
from small import DIGITS, new_key, small_key

ONLY = SetId(0, 0)


def test_a_fresh_key_holds_together():
    key = small_key()
    key.check()
    assert key.trigger_count == 100
    assert key.verification_key.set_ids == (ONLY,)
    backdoor = key.backdoor()
    assert len(backdoor) == 100
    assert backdoor.labels == key.verification_key.labels(ONLY)
    assert "secret" not in repr(key)
    assert OwnerKey("x", bytes(32)).secret.hex() not in repr(OwnerKey("x", bytes(32)))


def test_every_trigger_follows_from_its_own_secret_and_opens_its_leaf():
    key = new_key(sets=2)
    for set_id in key.verification_key.set_ids:
        root = key.transcript.strata[0].set_roots[set_id.number]
        for place in (0, 57, 99):
            secret, trigger = key.secrets[set_id][place], key.triggers[set_id][place]
            again = AbstractSampler().sample(key.transcript.task.geometry, trigger_stream(secret))
            assert again == trigger
            leaf = commit(trigger.canonical_bytes, trigger_salt(secret))
            assert path_root(leaf, place, 100, key.path(set_id, place)) == root


def test_salt_and_sampler_randomness_are_unrelated():
    secret = bytes(32)
    assert trigger_stream(secret).read(32) != trigger_salt(secret)


def test_sets_can_be_marked_alone():
    key = new_key(sets=2)
    second = key.backdoor([SetId(0, 1)])
    assert second.triggers == key.triggers[SetId(0, 1)]
    assert key.backdoor().triggers == key.triggers[ONLY] + key.triggers[SetId(0, 1)]


def test_transcripts_read_back_as_they_were():
    transcript = small_key().transcript
    assert Transcript.from_bytes(transcript.canonical_bytes) == transcript
    assert Transcript.from_bytes(transcript.canonical_bytes).root == transcript.root


def chosen(transcript):
    return replace(transcript, labels={"rule": "chosen", "roots": ["00" * 32]})


FULL = {
    "beacon": {"chain": "c", "round_rule": "r"},
    "revival": dict.fromkeys(
        ("code", "data", "head", "optimiser", "order", "schedule", "seed", "steps"), "x"
    ),
    "commitment": {
        "scheme": "sis",
        "prime": 2013265921,
        "rows": 320,
        "random_bytes": 1272,
        "sidecar": "00" * 32,
    },
    "labels": {"rule": "chosen", "roots": ["00" * 32]},
    "experiment": Experiment({"divisor": "255"}, (2, 3), "0.5"),
}


@pytest.mark.parametrize("field", FULL)
def test_every_place_kept_for_later_survives_reading(field):
    transcript = replace(small_key().transcript, **{field: FULL[field]})
    assert Transcript.from_bytes(transcript.canonical_bytes) == transcript
    assert transcript.root != small_key().transcript.root


def test_labels_that_are_chosen_or_wait_for_a_beacon_are_not_derived():
    key = small_key().verification_key
    for field in ("labels", "beacon"):
        other = replace(key, transcript=replace(key.transcript, **{field: FULL[field]}))
        with pytest.raises(InvalidKeyError):
            other.labels(ONLY)


def test_a_beacon_redraws_the_labels():
    assert derive_labels(bytes(32), 0, 0, 50, 10, b"value") != derive_labels(bytes(32), 0, 0, 50, 10)


def test_labels_and_order_depend_on_every_part_of_the_place():
    parts = [(bytes(32), 0, 0), (bytes(31) + b"\1", 0, 0), (bytes(32), 1, 0), (bytes(32), 0, 1)]
    assert len({derive_labels(*part, 30, 10) for part in parts}) == 4
    assert len({question_order(*part, 30) for part in parts}) == 4


def test_a_prefix_of_the_labels_is_the_same_for_a_larger_set():
    assert derive_labels(bytes(32), 0, 0, 50, 10)[:20] == derive_labels(bytes(32), 0, 0, 20, 10)


def fields(transcript):
    return json.loads(transcript.canonical_bytes)


def set_at(value, path, new):
    *way, last = path
    for step in way:
        value = value[step]
    if new is ...:
        del value[last]
    else:
        value[last] = new


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (["format"], "earmark/other/v1"), (["format"], 3), (["unknown"], 1), (["owner"], []), (["nonce"], ...),
        (["nonce"], "00"), (["nonce"], "AB" * 32), (["nonce"], 7), (["owner", "name"], ""), (["owner", "name"], "x" * 201),
        (["owner", "public_key"], "00" * 31), (["owner", "rotation"], "often"), (["owner", "extra"], 1),
        (["task", "kind"], "smell"), (["task", "classes"], ["a"]), (["task", "classes"], ["a", "a"]),
        (["task", "classes"], ["a", ""]), (["task", "classes"], "ab"), (["task", "geometry", "height"], 0),
        (["task", "geometry", "height"], True), (["task", "geometry", "dtype"], "float32"), (["task", "geometry", "depth"], 1),
        (["experiment", "order"], "mine"), (["experiment", "preprocessing"], "mine"),
        (["experiment", "statistic", "mixture", "alpha"], 0), (["experiment", "statistic", "temperature"], 1),
        (["strata"], []), (["strata", 0, "kind"], "magic"), (["strata", 0, "kind"], None), (["strata", 0, "set_count"], 2),
        (["strata", 0, "set_roots"], []), (["strata", 0, "set_roots", 0], "00"), (["strata", 0, "triggers_per_set"], 1 << 21),
        (["strata", 0, "parameters"], []), (["commitment", "scheme"], "none"), (["commitment", "more"], 1),
        (["commitment"], {"scheme": "sis"}), (["labels", "rule"], "mine"), (["labels"], {"rule": "chosen", "roots": ["00" * 32] * 2}),
        (["labels"], {"rule": "chosen"}), (["beacon"], {}), (["beacon"], 1), (["revival"], {"code": 1}),
    ],
)  # fmt: skip
def test_malformed_transcripts_are_refused(path, new):
    value = fields(small_key().transcript)
    set_at(value, path, new)
    with pytest.raises(FormatError):
        Transcript.from_bytes(canonical_json(value))


def test_too_many_triggers_and_strata_of_one_name_are_refused():
    value = fields(small_key().transcript)
    value["strata"] = value["strata"] * 2
    with pytest.raises(FormatError, match="same name"):
        Transcript.from_json(value)
    value = fields(small_key().transcript)
    value["strata"][0] |= {"triggers_per_set": 1 << 20, "set_count": 2, "set_roots": ["00" * 32] * 2}
    with pytest.raises(FormatError, match="more than"):
        Transcript.from_json(value)


@pytest.mark.parametrize("value", ["\ud800", 2**60, "y" * (17 << 20)])
def test_a_transcript_without_a_canonical_form_or_too_large_is_refused_wherever_it_comes_from(value):
    changed = fields(small_key().transcript)
    changed["strata"][0]["parameters"] = {"x": value}
    with pytest.raises(FormatError):
        Transcript.from_json(changed)


def test_a_later_version_is_refused_as_such():
    with pytest.raises(UnsupportedVersionError, match="newer Earmark"):
        Transcript.from_json(fields(small_key().transcript) | {"format": "earmark/transcript/v2"})
    with pytest.raises(FormatError, match="no format field"):
        Transcript.from_json([])


def test_sets_that_are_too_small_are_refused_with_the_number_needed():
    def make(count, names=DIGITS, survival=Fraction(7, 10)):
        return keygen(
            OwnerKey("x", bytes(32)),
            Task(ImageGeometry(8, 8, 1), names),
            AbstractSampler(),
            triggers_per_set=count,
            survival=survival,
        )

    with pytest.raises(TriggerSetTooSmallError, match="at least 96"):
        make(90)
    with pytest.raises(TriggerSetTooSmallError, match="cannot show"):
        make(20)
    with pytest.raises(TriggerSetTooSmallError, match="at least 1179"):
        make(256, ("no", "yes"))
    for bad in ({"triggers_per_set": 0}, {"triggers_per_set": 100, "set_count": 0}):
        with pytest.raises(ValueError, match="at least one"):
            keygen(OwnerKey("x", bytes(32)), Task(ImageGeometry(8, 8, 1), DIGITS), AbstractSampler(), **bad)


class Sampler:
    """Pictures of one grey level each, from a script."""

    name, kind = "noise", "image"

    def __init__(self, levels):
        self.levels = iter(levels)

    def parameters(self):
        return {}

    def sample(self, geometry, randomness):
        import numpy as np

        pixels = np.full((geometry.height, geometry.width, geometry.channels), next(self.levels), np.uint8)
        pixels.flat[: randomness.uniform(2)] = 0
        return Trigger("image", IMAGE.encode(pixels))


def test_triggers_that_are_nearly_alike_are_drawn_again_and_given_up_in_the_end():
    task = Task(ImageGeometry(4, 4, 1), tuple(str(number) for number in range(60_000)))
    owner = OwnerKey("x", bytes(32))
    names = tuple(str(number) for number in range(65_000))
    task = Task(ImageGeometry(4, 4, 1), names)
    count = 14  # 14 of 14 matches among 65,000 classes are 224 bits
    levels = [18 * place for place in range(count)]
    with pytest.raises(SimilarTriggersError, match="nearly alike after 64"):
        keygen(owner, task, Sampler([7] * 1000), triggers_per_set=count, survival=Fraction(1))
    spread = Sampler([*levels[:-1], levels[0], *(255 for _ in range(64))])
    with pytest.raises(SimilarTriggersError):
        keygen(owner, task, spread, triggers_per_set=count, survival=Fraction(1))


def altered(key, **changes):
    return MarkingKey(
        **(
            {"verification_key": key.verification_key, "secrets": key.secrets, "triggers": key.triggers}
            | changes
        )
    )


def test_keys_that_contradict_themselves_are_refused():
    key, other = small_key(), new_key(1)
    triggers, secrets = key.triggers[ONLY], key.secrets[ONLY]
    public = key.verification_key
    wrong_geometry = Trigger("image", IMAGE.encode(triggers[0].value[:4]))
    for broken in (
        altered(key, triggers={ONLY: triggers[1:] + triggers[:1]}),
        altered(key, triggers={ONLY: triggers[:-1]}),
        altered(key, triggers={ONLY: (*triggers[:-1], triggers[0])}),
        altered(key, triggers={ONLY: (wrong_geometry, *triggers[1:])}),
        altered(key, triggers={ONLY: (Trigger("text", b"x"), *triggers[1:])}),
        altered(key, triggers={}),
        altered(key, secrets={ONLY: secrets[::-1]}),
        altered(key, secrets={SetId(0, 1): secrets}),
        altered(key, verification_key=other.verification_key),
        altered(key, verification_key=replace(public, signature=other.verification_key.signature)),
        altered(key, verification_key=replace(public, signature=b"")),
        altered(
            key,
            verification_key=VerificationKey(
                replace(public.transcript, commitment=FULL["commitment"]),
                OwnerKey("Test owner", bytes(range(32))).sign(
                    replace(public.transcript, commitment=FULL["commitment"]).root
                ),
            ),
        ),
    ):
        with pytest.raises(InvalidKeyError):
            broken.check()


def test_owner_keys_are_made_from_fresh_randomness():
    assert OwnerKey.generate("a").secret != OwnerKey.generate("a").secret


def test_the_streams_draws_are_bounded():
    for bad in (0, 2**64 + 1):
        with pytest.raises(ValueError, match="bound"):
            Stream("x").uniform(bad)


def two_strata(**options):
    return keygen(
        OwnerKey("two", bytes(32)),
        Task(ImageGeometry(8, 8, 1), DIGITS),
        AbstractSampler(),
        triggers_per_set=80,
        set_count=2,
        further_strata=[StratumPlan(NoiseSampler(), 70), StratumPlan(NoiseSampler("gaussian"), 75, 2)],
        survival=Fraction(1),
        random_bytes=Stream("two strata").read,
        **options,
    )


@pytest.mark.parametrize("provable", [False, True])
def test_a_key_can_have_strata_of_several_samplers(provable):
    key = two_strata(provable=provable)
    key.check()
    assert key.verification_key.set_ids == (SetId(0, 0), SetId(0, 1), SetId(1, 0), SetId(2, 0), SetId(2, 1))
    assert [stratum.name for stratum in key.transcript.strata] == ["abstract", "noise", "noise-2"]
    assert [len(key.triggers[set_id]) for set_id in key.verification_key.set_ids] == [80, 80, 70, 75, 75]
    for set_id in key.verification_key.set_ids:
        stratum = key.transcript.strata[set_id.stratum]
        place = stratum.triggers_per_set - 1
        leaf = key.leaves[set_id][place]
        path = key.path(set_id, place)
        assert path_root(leaf, place, stratum.triggers_per_set, path) == stratum.set_roots[set_id.number]
    # The same place in another stratum has a label of its own.
    assert key.labels(SetId(1, 0)) != key.labels(SetId(2, 0))[:70]
    assert marking_key_v1.read(marking_key_v1.write(key, "secret"), "secret") == key


def test_no_two_triggers_of_different_strata_are_alike(tmp_path):
    for number in range(31):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    sampler = FolderSampler(list_pictures(tmp_path))
    key = keygen(
        OwnerKey("alike", bytes(32)),
        Task(ImageGeometry(8, 8, 1), tuple(str(number) for number in range(1000))),
        sampler,
        triggers_per_set=15,
        further_strata=[StratumPlan(sampler, 15)],
        survival=Fraction(1),
        random_bytes=Stream("alike").read,
    )
    assert len({trigger.canonical_bytes for triggers in key.triggers.values() for trigger in triggers}) == 30


def test_every_stratum_must_be_large_enough_alone():
    with pytest.raises(TriggerSetTooSmallError, match="a set of 20 triggers"):
        keygen(
            OwnerKey("small", bytes(32)),
            Task(ImageGeometry(8, 8, 1), DIGITS),
            AbstractSampler(),
            triggers_per_set=100,
            further_strata=[StratumPlan(NoiseSampler(), 20)],
        )

import contextlib
import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError
from earmark.keys import Experiment, Owner, Stratum, Task, Transcript
from earmark.keys.transcript import STRATUM_KINDS
from earmark.triggers.image import ImageGeometry
from vectors import witness
from vectors.tiny_key import tiny_key

BASE = tiny_key().transcript

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
digests = st.binary(min_size=32, max_size=32)
hexes = digests.map(bytes.hex)
small = st.one_of(st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1), names)
open_values = st.recursive(
    small, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=4
)
objects = st.dictionaries(names, open_values, max_size=3)
decimals = st.from_regex(r"(0|[1-9][0-9]{0,5})(\.[0-9]{0,17}[1-9])?", fullmatch=True).filter(
    lambda t: t != "0"
)
sis = st.fixed_dictionaries(
    {
        "scheme": st.just("sis"),
        "prime": st.integers(2, 2**32),
        "rows": st.integers(1, 2**16),
        "random_bytes": st.integers(1, 2**20),
        "sidecar": hexes,
    }
)
revivals = st.fixed_dictionaries(
    dict.fromkeys(("code", "data", "head", "optimiser", "order", "schedule", "seed", "steps"), small)
)
beacons = st.fixed_dictionaries({"chain": open_values, "round_rule": open_values})


@st.composite
def transcripts(draw):
    strata = tuple(
        Stratum(
            name,
            draw(st.sampled_from(STRATUM_KINDS)),
            draw(names),
            draw(objects),
            draw(st.integers(1, 2**16)),
            tuple(draw(st.lists(digests, min_size=1, max_size=3))),
        )
        for name in draw(st.lists(names, min_size=1, max_size=3, unique=True))
    )
    set_count = sum(len(stratum.set_roots) for stratum in strata)
    chosen = {"rule": "chosen", "roots": [draw(hexes)] * set_count}
    return Transcript(
        owner=Owner(draw(names), draw(digests), draw(st.sampled_from([None, "signed-by-predecessor"]))),
        task=Task(
            ImageGeometry(
                draw(st.integers(1, 4096)), draw(st.integers(1, 4096)), draw(st.sampled_from([1, 3]))
            ),
            tuple(draw(st.lists(names, min_size=2, max_size=5, unique=True))),
        ),
        experiment=Experiment(
            draw(st.none() | objects),
            (draw(st.integers(1, 2**16)), draw(st.integers(1, 2**16))),
            draw(decimals),
        ),
        strata=strata,
        nonce=draw(digests),
        commitment=draw(st.just({"scheme": "salted-sha256"}) | sis),
        labels=draw(st.sampled_from([{"rule": "derived"}, chosen])),
        beacon=draw(st.none() | beacons),
        revival=draw(st.none() | revivals),
    )


@given(transcripts())
@settings(max_examples=60, deadline=None)
def test_a_transcript_is_read_back_and_the_witness_finds_the_same_root(transcript):
    again = Transcript.from_bytes(transcript.canonical_bytes)
    assert again == transcript
    assert again.canonical_bytes == transcript.canonical_bytes
    assert witness.read_transcript(transcript.canonical_bytes)[1] == transcript.root


def places_in(value, path=()):
    """Yield the path of every value inside."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield from places_in(item, (*path, name))


PLACES = [path for path in places_in(json.loads(BASE.canonical_bytes)) if path]
replacements = st.one_of(
    open_values,
    hexes,
    decimals,
    st.integers(0, 10),
    st.sampled_from(["", [], {}, "chosen", "sis", 0, 1, 8, 255]),
)


def mutated(path, how, new):
    value = json.loads(BASE.canonical_bytes)
    *way, last = path
    inner = value
    for name in way:
        inner = inner[name]
    if how == "drop":
        del inner[last]
    elif how == "add" and isinstance(inner, dict):
        inner[f"{last}2"] = new
    elif how == "add":
        inner.insert(last, new)
    else:
        inner[last] = new
    return canonical_json(value)


@given(st.sampled_from(PLACES), st.sampled_from(["replace", "drop", "add"]), replacements)
@settings(max_examples=300, deadline=None)
def test_every_single_change_is_refused_or_changes_the_root(path, how, new):
    data = mutated(path, how, new)
    try:
        root = Transcript.from_bytes(data).root
    except FormatError:
        root = None
    try:
        seen = witness.read_transcript(data)[1]
    except witness.Refused:
        seen = None
    assert root == seen
    assert data == BASE.canonical_bytes or root != BASE.root


@given(st.binary(max_size=300) | st.builds(bytes.__add__, st.just(b'{"beacon":'), st.binary(max_size=40)))
@settings(deadline=None)
def test_any_bytes_are_refused_as_malformed(data):
    with contextlib.suppress(FormatError):
        raise AssertionError(Transcript.from_bytes(data))


@given(st.integers(0, 8 * len(BASE.canonical_bytes) - 1))
@settings(max_examples=200, deadline=None)
def test_every_flipped_bit_is_refused_or_changes_the_root(bit):
    data = bytearray(BASE.canonical_bytes)
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(FormatError):
        assert Transcript.from_bytes(bytes(data)).root != BASE.root


@given(digests)
@settings(deadline=None)
def test_the_nonce_alone_changes_the_root(nonce):
    other = replace(BASE, nonce=nonce)
    assert (other.root == BASE.root) == (nonce == BASE.nonce)

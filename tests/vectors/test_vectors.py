"""Every golden vector, twice: by Earmark, and by a witness that shares no code with it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from earmark.claims.checking import check_claim
from earmark.commitment import Stream, digest, frame, merkle_root, open_commitment, path_root
from earmark.commitment.canonical import parse_canonical_json
from earmark.commitment.salted import commit
from earmark.errors import ClaimError, FormatError, InvalidKeyError
from earmark.formats import claim_v1
from earmark.keys import Owner, SetId, Transcript, VerificationKey, derive_labels, question_order
from earmark.keys.owner import check_signature
from earmark.keys.pair import trigger_salt, trigger_stream
from earmark.triggers import kind_named
from earmark.triggers.audio import AUDIO
from earmark.triggers.image import IMAGE
from earmark.triggers.rows import ROWS
from earmark.triggers.text import TEXT

FOLDER = Path(__file__).parent
VECTORS = {
    f"{file.stem}/{case['name']}": case
    for file in sorted((FOLDER / "v1").glob("*.json"))
    for case in json.loads(file.read_text("utf-8"))["cases"]
}


class RefusedError(Exception):
    """The layer that refuses."""


def need(condition, layer):
    if not condition:
        raise RefusedError(layer)


def part_of(item):
    if "text" in item:
        return item["text"]
    return int(item["integer"]) if "integer" in item else bytes.fromhex(item["hex"])


def parts_of(case):
    return [part_of(item) for item in case["parts"]]


def document_of(case):
    return bytes.fromhex(case["document_hex"]) if "document_hex" in case else case["document"].encode()


def on_frame(case):
    try:
        framed = frame(*parts_of(case))
    except OverflowError as error:
        raise RefusedError("bound") from error
    need(framed.hex() == case["frame"], "hash")


def on_digest(case):
    need(digest(*parts_of(case)).hex() == case["digest"], "hash")


def on_stream(case):
    stream = Stream(*parts_of(case))
    need([stream.read(count).hex() for count in case["reads"]] == case["outputs"], "hash")


def on_uniform(case):
    stream = Stream(*parts_of(case))
    try:
        draws = [str(stream.uniform(int(case["bound"]))) for _ in case["draws"]]
    except ValueError as error:
        raise RefusedError("bound") from error
    need(draws == case["draws"], "hash")


def on_expand(case):
    secret = bytes.fromhex(case["secret"])
    need(trigger_salt(secret).hex() == case["salt"], "hash")
    need(trigger_stream(secret).read(64).hex() == case["sampler"], "hash")


def on_commitment(case):
    commitment, message, salt = (bytes.fromhex(case[name]) for name in ("commitment", "message", "salt"))
    try:
        need(open_commitment(commitment, message, salt), "opening")
    except ValueError as error:
        raise RefusedError("opening") from error


def on_merkle(case):
    try:
        root = merkle_root([bytes.fromhex(leaf) for leaf in case["leaves"]])
    except ValueError as error:
        raise RefusedError("bound") from error
    need(root.hex() == case["root"], "root")


def on_path(case):
    path = [bytes.fromhex(sibling) for sibling in case["path"]]
    try:
        root = path_root(bytes.fromhex(case["leaf"]), case["index"], case["leaf_count"], path)
    except (ValueError, IndexError) as error:
        raise RefusedError("path") from error
    need(root.hex() == case["root"], "root")


def on_image(case):
    try:
        pixels = IMAGE.value(bytes.fromhex(case["canonical_bytes"]))
    except FormatError as error:
        raise RefusedError("format") from error
    need(list(pixels.shape) == case["shape"] and pixels.tobytes().hex() == case["pixels"], "format")
    need(IMAGE.encode(pixels).hex() == case["canonical_bytes"], "format")


def on_fit(case):
    kind = kind_named(case["task"]["kind"])
    geometry = kind.geometry_from_json(case["task"]["geometry"])
    try:
        found = kind.fits(bytes.fromhex(case["canonical_bytes"]), geometry)
    except FormatError as error:
        raise RefusedError("format") from error
    need(found, "geometry")


def on_recording(case):
    try:
        found = AUDIO.value(bytes.fromhex(case["canonical_bytes"]))
    except FormatError as error:
        raise RefusedError("format") from error
    need((found.rate, found.tolist()) == (case["rate"], case["samples"]), "format")
    need(AUDIO.encode(found).hex() == case["canonical_bytes"], "format")


def on_text(case):
    try:
        text = TEXT.value(bytes.fromhex(case["canonical_bytes"]))
    except FormatError as error:
        raise RefusedError("format") from error
    need(text == case["text"], "format")


def on_row(case):
    try:
        row = ROWS.value(bytes.fromhex(case["canonical_bytes"]))
    except FormatError as error:
        raise RefusedError("format") from error
    need(row.astype(">f4").tobytes().hex() == case["numbers"], "format")
    need(ROWS.encode(row).hex() == case["canonical_bytes"], "format")


def on_canonical(case):
    try:
        parse_canonical_json(document_of(case), "the vector")
    except FormatError as error:
        raise RefusedError("canonical") from error


def read_transcript(case):
    document = document_of(case)
    try:
        value = parse_canonical_json(document, "the transcript", 1 << 24)
    except FormatError as error:
        raise RefusedError("canonical") from error
    try:
        transcript = Transcript.from_json(value)
    except FormatError as error:
        raise RefusedError("format") from error
    assert transcript.canonical_bytes == document
    need(transcript.root.hex() == case["root"], "root")
    return transcript


def on_labels(case):
    beacon = None if case["beacon_value"] is None else bytes.fromhex(case["beacon_value"])
    place = (bytes.fromhex(case["root"]), case["stratum"], case["set"], case["trigger_count"])
    need(list(derive_labels(*place, case["class_count"], beacon)) == case["labels"], "labels")


def on_order(case):
    place = (bytes.fromhex(case["root"]), case["stratum"], case["set"], case["trigger_count"])
    need(list(question_order(*place)) == case["order"], "order")


def on_signature(case):
    owner = Owner("", bytes.fromhex(case["public_key"]), None)
    try:
        check_signature(owner, bytes.fromhex(case["root"]), bytes.fromhex(case["signature"]))
    except InvalidKeyError as error:
        raise RefusedError("signature") from error


def on_key(case):
    transcript = read_transcript(case)
    key = VerificationKey(transcript, bytes.fromhex(case["signature"]))
    try:
        key.check()
    except InvalidKeyError as error:
        raise RefusedError("signature") from error
    for stated in case["sets"]:
        set_id = SetId(stated["stratum"], stated["set"])
        if transcript.labels["rule"] == "derived" and transcript.beacon is None:
            need(set_id in key.set_ids, "path")
        try:
            need(list(key.labels(set_id)) == stated["labels"], "labels")
        except InvalidKeyError as error:
            raise RefusedError("labels") from error
        need(list(key.order(set_id)) == stated["order"], "order")
    need(transcript.commitment["scheme"] == "salted-sha256", "opening")
    for opening in case["openings"]:
        check_opening(transcript, opening)


def on_claim(case):
    transcript = read_transcript(case)
    key = VerificationKey(transcript, bytes.fromhex(case["signature"]))
    try:
        claim = claim_v1.read(bytes.fromhex(case["claim"])).claim
        found = check_claim(claim, (), key, (), datetime(2026, 11, 23, 12, tzinfo=UTC))
    except ClaimError as refusal:
        raise RefusedError(f"step {refusal.step}") from refusal
    need(found.verdict.measurement.match_count == case["matches"], "matches")


def check_opening(transcript, opening):
    stratum = transcript.strata[opening["stratum"]]
    canonical = bytes.fromhex(opening["canonical_bytes"])
    try:
        need(IMAGE.fits(canonical, transcript.task.geometry), "geometry")
    except FormatError as error:
        raise RefusedError("format") from error
    try:
        leaf = commit(canonical, bytes.fromhex(opening["salt"]))
    except ValueError as error:
        raise RefusedError("opening") from error
    path = [bytes.fromhex(sibling) for sibling in opening["path"]]
    try:
        root = path_root(leaf, opening["index"], stratum.triggers_per_set, path)
    except (ValueError, IndexError) as error:
        raise RefusedError("path") from error
    need(root == stratum.set_roots[opening["set"]], "opening")


CHECKS = {
    "canonical": on_canonical,
    "claim": on_claim,
    "commitment": on_commitment,
    "digest": on_digest,
    "expand": on_expand,
    "frame": on_frame,
    "image": on_image,
    "fit": on_fit,
    "recording": on_recording,
    "text": on_text,
    "row": on_row,
    "key": on_key,
    "labels": on_labels,
    "merkle": on_merkle,
    "order": on_order,
    "path": on_path,
    "signature": on_signature,
    "stream": on_stream,
    "transcript": read_transcript,
    "uniform": on_uniform,
}


@pytest.mark.parametrize("name", VECTORS)
def test_earmark_finds_what_the_vector_expects(name):
    case = VECTORS[name]
    found = "success"
    try:
        CHECKS[case["kind"]](case)
    except RefusedError as layer:
        found = str(layer)
    assert found == case["expect"]


def test_the_witness_finds_what_every_vector_expects():
    # Isolated: neither this project nor any installed package can be imported by accident.
    command = [sys.executable, "-I", "-S", str(FOLDER / "witness.py"), str(FOLDER / "v1")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, encoding="utf-8")
    expected = [f"{name}: {case['expect']} (expected {case['expect']})" for name, case in VECTORS.items()]
    assert done.stdout.splitlines() == expected, done.stderr
    assert done.returncode == 0


def test_the_witness_says_so_when_a_vector_comes_out_otherwise(tmp_path):
    case = {**VECTORS["hashing/digest of bytes"], "expect": "hash"}
    (tmp_path / "wrong.json").write_text(json.dumps({"cases": [case]}), "utf-8")
    command = [sys.executable, "-I", "-S", str(FOLDER / "witness.py"), str(tmp_path)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1


def test_the_witness_imports_nothing_of_earmark():
    lines = (FOLDER / "witness.py").read_text("utf-8").splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert imports == [
        "import hashlib",
        "import json",
        "import math",
        "import re",
        "import struct",
        "import sys",
        "import zlib",
        "from fractions import Fraction",
        "from pathlib import Path",
    ]


def test_vectors_of_every_kind_succeed_and_fail_at_every_layer():
    outcomes = {(case["kind"], case["expect"]) for case in VECTORS.values()}
    assert {kind for kind, expect in outcomes if expect == "success"} == set(CHECKS)
    assert {expect for kind, expect in outcomes if kind == "claim"} == {
        "success", "step 1", "step 2", "step 3", "step 4", "matches",
    }  # fmt: skip
    layers = {expect for kind, expect in outcomes if kind == "key"}
    assert layers == {
        "success",
        "root",
        "signature",
        "labels",
        "order",
        "opening",
        "path",
        "geometry",
        "format",
    }

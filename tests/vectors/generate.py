"""Write the golden vectors of version 1. Run by hand, never by a test: released vectors do not change.

    PYTHONPATH=src:tests python -m vectors.generate tests/vectors/v1

Outputs come from Earmark; what each vector expects is written here by hand.
"""

import hashlib
import json
import struct
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from earmark.claims.claim import ClaimedSuspect, Freedoms, Statement
from earmark.claims.key_stamps import key_digest
from earmark.claims.opened_set import open_asked
from earmark.commitment import Stream, commit, digest, frame, merkle_path, merkle_root
from earmark.commitment.canonical import canonical_json
from earmark.formats import claim_v1
from earmark.keys import SetId, derive_labels, question_order
from earmark.keys.pair import trigger_salt, trigger_stream
from earmark.models.columns import decimal_text
from earmark.verification import Reply
from vectors import witness
from vectors.tiny_key import CLASSES, TESTING_ONLY_OWNER, image_trigger, signed, tiny_key

ROOT = hashlib.sha256(b"any root").digest()
OTHER_ROOT = hashlib.sha256(b"another root").digest()


def case(name, kind, expect="success", **values):
    return {"name": name, "kind": kind, "expect": expect, **values}


def flipped(data, bit=0):
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


def document(data):
    try:
        return {"document": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"document_hex": data.hex()}


# ------------------------------------------------------------------------------------------- hashing.json


def written(parts):
    items = []
    for part in parts:
        if isinstance(part, str):
            items.append({"text": part})
        elif isinstance(part, int):
            items.append({"integer": str(part)})
        else:
            items.append({"hex": part.hex()})
    return items


def framed(name, *parts):
    return case(name, "frame", parts=written(parts), frame=frame(*parts).hex())


def hashed(name, *parts):
    return case(name, "digest", parts=written(parts), digest=digest(*parts).hex())


def streamed(name, reads, *parts):
    stream = Stream(*parts)
    outputs = [stream.read(count).hex() for count in reads]
    return case(name, "stream", parts=written(parts), reads=reads, outputs=outputs)


def drawn(name, bound, count, *parts):
    stream = Stream(*parts)
    draws = [str(stream.uniform(bound)) for _ in range(count)]
    return case(name, "uniform", parts=written(parts), bound=str(bound), draws=draws)


def expanded(name, secret):
    sampler = trigger_stream(secret).read(64).hex()
    return case(name, "expand", secret=secret.hex(), salt=trigger_salt(secret).hex(), sampler=sampler)


def committed(name, message, salt, /, **changes):
    values = {"message": message.hex(), "salt": salt.hex(), "commitment": commit(message, salt).hex()}
    return case(name, "commitment", **{**values, **changes})


def hashing():
    salt = bytes(range(32))
    halves = hashed("a digest cut in the other place is another digest", "earmark/commitment/v1", "ab", "c")
    bound = str(2**64 + 1)
    return [
        framed("no parts"),
        framed("a label alone", "earmark/label/v1"),
        framed("bytes, text and integers", b"\x00\xff", "grün 😀", 0, 1, 256, 2**53, 2**64 - 1),
        framed("empty parts count", "", b"", ""),
        case(
            "an integer of 65 bits",
            "frame",
            "bound",
            parts=[{"text": "a"}, {"integer": str(2**64)}],
            frame="",
        ),
        case("a negative integer", "frame", "bound", parts=[{"text": "a"}, {"integer": "-1"}], frame=""),
        {
            **framed("a length of four bytes", "ab"),
            "frame": (b"\x00\x00\x00\x02ab").hex(),
            "expect": "hash",
        },
        hashed("digest of a label alone", "earmark/transcript/v1"),
        hashed("digest of bytes", "earmark/merkle-leaf/v1", b"a"),
        {**halves, "parts": written(["earmark/commitment/v1", "a", "bc"]), "expect": "hash"},
        streamed("reads continue where the last one ended", [0, 1, 7, 64, 200, 1000], "example", ROOT),
        streamed("an integer part", [32], "earmark/label/v1", ROOT, 0, 0, 2**32),
        drawn("two values", 2, 20, "example", 2),
        drawn("ten values", 10, 20, "example", 10),
        drawn("a thousand values", 1000, 10, "example", 1000),
        drawn("one value reads a word all the same", 1, 2, "example", 1),
        drawn("about half of the words are rejected", 2**63 + 1, 12, "example", 63),
        drawn("no word is rejected", 2**64, 4, "example", 64),
        case("bound 0", "uniform", "bound", parts=written(["example"]), bound="0", draws=["0"]),
        case("bound above 2^64", "uniform", "bound", parts=written(["example"]), bound=bound, draws=["0"]),
        expanded("expansion of a secret", salt),
        expanded("expansion of another secret", ROOT),
        committed("a commitment", b"a trigger", salt),
        committed("a commitment to nothing", b"", salt),
        committed("another message", b"a trigger", salt, message=b"a trigges".hex(), expect="opening"),
        committed("another salt", b"a trigger", salt, salt=flipped(salt).hex(), expect="opening"),
        committed("a salt of 31 bytes", b"a trigger", salt, salt=salt[1:].hex(), expect="opening"),
        committed("a salt of 33 bytes", b"a trigger", salt, salt=salt.hex() + "00", expect="opening"),
        committed(
            "salt and message moved by a byte",
            b"a trigger",
            salt,
            salt=(salt[1:] + b"a").hex(),
            message=b" trigger".hex(),
            expect="opening",
        ),
        committed("no commitment", b"a trigger", salt, commitment="", expect="opening"),
    ]


# -------------------------------------------------------------------------------------------- merkle.json


def leaves_of(count):
    return [hashlib.sha256(bytes([place])).digest() for place in range(count)]


def rooted(name, leaves, /, **changes):
    values = {"leaves": [leaf.hex() for leaf in leaves], "root": merkle_root(leaves).hex()}
    return case(name, "merkle", **{**values, **changes})


def pathed(name, count, index, expect="success", /, **changes):
    leaves = leaves_of(count)
    values = {
        "leaf": leaves[index].hex(),
        "index": index,
        "leaf_count": count,
        "path": [sibling.hex() for sibling in merkle_path(leaves, index)],
        "root": merkle_root(leaves).hex(),
    }
    return case(name, "path", expect, **{**values, **changes})


def merkle():
    four, five = leaves_of(4), leaves_of(5)
    path = [sibling.hex() for sibling in merkle_path(five, 2)]
    swapped = [leaf.hex() for leaf in (five[1], five[0], *five[2:])]
    doubled = [leaf.hex() for leaf in (*five, five[4])]
    inner = frame("earmark/merkle-node/v1", merkle_root(four[:1]), merkle_root(four[1:2]))
    short = [b"\x01" * 31, merkle_root(five[:1])]
    short_root = digest("earmark/merkle-node/v1", short[1], short[0]).hex()
    return [
        *(rooted(f"a tree of {count}", leaves_of(count)) for count in (1, 2, 3, 4, 5, 7, 8, 9, 33)),
        rooted("leaves of other lengths", [b"", b"a", b"bc" * 40]),
        case("no leaves", "merkle", "bound", leaves=[], root=hashlib.sha256(b"").hexdigest()),
        rooted("two leaves swapped", five, leaves=swapped, expect="root"),
        rooted("a leaf dropped", five, leaves=[leaf.hex() for leaf in four], expect="root"),
        rooted("the last leaf doubled", five, leaves=doubled, expect="root"),
        rooted("a bit of a leaf", five, leaves=[flipped(five[0]).hex(), *swapped[2:]], expect="root"),
        *(pathed(f"leaf {index} of 5", 5, index) for index in range(5)),
        pathed("the only leaf", 1, 0),
        pathed("leaf 21 of 33", 33, 21),
        pathed("leaf 32 of 33", 33, 32),
        pathed("another leaf", 5, 2, "root", leaf=five[3].hex()),
        pathed("another place", 5, 2, "root", index=3),
        pathed("a place of another depth", 5, 2, "path", index=4),
        pathed("a place outside", 5, 2, "path", index=5),
        pathed("a place before the first", 5, 2, "path", index=-1),
        pathed("a tree of another size and depth", 5, 2, "path", leaf_count=3),
        pathed("a path too short", 5, 2, "path", path=path[:-1]),
        pathed("a path too long", 5, 2, "path", path=[*path, path[0]]),
        pathed("no path", 5, 2, "path", path=[]),
        pathed("a path for the only leaf", 1, 0, "path", path=[path[0]]),
        pathed("siblings in reverse", 5, 2, "root", path=path[::-1]),
        pathed("a bit of a sibling", 5, 2, "root", path=[flipped(bytes.fromhex(path[0])).hex(), *path[1:]]),
        pathed(
            "a sibling of 31 bytes", 2, 0, "path", leaf=five[0].hex(), path=[short[0].hex()], root=short_root
        ),
        pathed(
            "an inner node shown as a leaf",
            4,
            0,
            "root",
            leaf=inner.hex(),
            leaf_count=2,
            path=[merkle_root(four[2:]).hex()],
        ),
    ]


# ----------------------------------------------------------------------------------------- canonical.json

CANONICAL = {
    "null": b"null",
    "an empty object": b"{}",
    "nested lists": b"[[],[[]]]",
    "the largest integer": b"9007199254740991",
    "the smallest integer": b"-9007199254740991",
    "zero": b"0",
    "escapes": '"\\"\\\\\\b\\t\\n\\f\\r\\u0000\\u001f/\x7f\u2028😀é"'.encode(),
    "names in the order of UTF-16": (
        '{"":0,"\\r":1,"1":2,"a":3,"\x80":4,"ö":5,"€":6,"😀":7,"\ufb33":8}'.encode()
    ),
    "an empty name and a long one": b'{"":{"' + b"n" * 300 + b'":true}}',
    "32 deep": b"[" * 32 + b"]" * 32,
    "32 deep in objects": b'{"a":' * 31 + b"{}" + b"}" * 31,
    "texts that are not normalised": '["é","e\u0301"]'.encode(),
}

NOT_CANONICAL = {
    "nothing": b"",
    "a space after": b"{} ",
    "a line feed after": b"{}\n",
    "a space inside": b'{"a": 1}',
    "a second value": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a duplicated name": b'{"a":1,"a":1}',
    "a duplicated name, once escaped": b'{"a":1,"\\u0061":2}',
    "names out of order": b'{"b":1,"a":2}',
    "names in the order of code points": '{"\ufb33":8,"😀":7}'.encode(),
    "a fraction": b'{"a":1.5}',
    "an integer with a fraction": b"1.0",
    "an integer with an exponent": b"1e3",
    "minus zero": b"-0",
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "not a number": b"NaN",
    "infinity": b"[Infinity]",
    "2^53": b"9007199254740992",
    "-2^53": b"-9007199254740992",
    "an integer of 5,000 digits": b"9" * 5000,
    "a spare escape": b'"\\u0061"',
    "an escaped slash": b'"\\/"',
    "upper case in an escape": b'"\\u001F"',
    "a long escape where a short one exists": b'"\\u000a"',
    "an escaped surrogate alone": b'"\\ud800"',
    "an escaped surrogate pair": b'"\\ud83d\\ude00"',
    "a name with a surrogate alone": b'{"\\ud800":1}',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "an overlong encoding": b'"\xc1\xa1"',
    "bytes that are not UTF-8": b'"\xff"',
    "UTF-16": '"a"'.encode("utf-16"),
    "a control character": b'"\x01"',
    "a comma too many": b"[1,]",
    "33 deep": b"[" * 33 + b"]" * 33,
    "33 deep in objects": b'{"a":' * 32 + b"{}" + b"}" * 32,
    "500 deep": b"[" * 500 + b"]" * 500,
    "5,000 deep": b"[" * 5000,
    "single quotes": b"{'a':1}",
    "a comment": b"{}//",
    "true in upper case": b"True",
}


def canonical():
    return [
        *(case(name, "canonical", **document(data)) for name, data in CANONICAL.items()),
        *(case(name, "canonical", "canonical", **document(data)) for name, data in NOT_CANONICAL.items()),
    ]


# ------------------------------------------------------------------------------------------- images.json


def pictured(name, shape, /, **changes):
    pixels = Stream("example", name).read(shape[0] * shape[1] * shape[2])
    encoded = image_trigger(pixels, shape).canonical_bytes
    values = {"shape": list(shape), "pixels": pixels.hex(), "canonical_bytes": encoded.hex()}
    return case(name, "image", **{**values, **changes})


def header(label="earmark/trigger/image/v1", height=2, width=2, channels=1, dtype="uint8", pixels=b"abcd"):
    return frame(label, height, width, channels, dtype, pixels).hex()


def images():
    small = {"shape": [2, 2, 1], "pixels": b"abcd".hex()}

    def refused(name, encoded):
        return case(name, "image", "format", **small, canonical_bytes=encoded)

    return [
        pictured("grey", (3, 2, 1)),
        pictured("colour", (2, 3, 3)),
        pictured("one pixel", (1, 1, 1)),
        case("the smallest example", "image", **small, canonical_bytes=header()),
        refused("no bytes", ""),
        refused("a byte too few", header()[:-2]),
        refused("a byte too many", header() + "00"),
        refused("a pixel too few, its length adjusted", header(pixels=b"abc")),
        refused("another label", header("earmark/trigger/image/v2")),
        refused("another dtype", header(dtype="int8")),
        refused("two channels", header(width=1, channels=2)),
        refused("four channels", header(height=1, width=1, channels=4)),
        refused("height 0", header(height=0, pixels=b"")),
        refused("height 4,097", header(height=4097, width=1, pixels=b"a" * 4097)),
        refused("sides whose product wraps", header(height=2**63, width=2)),
        refused(
            "height and width as one part",
            frame("earmark/trigger/image/v1", b"\0" * 16, 1, "uint8", b"a").hex(),
        ),
        refused("a part more", header() + frame(b"").hex()),
    ]


# --------------------------------------------------------------------------------------------- rows.json


def tabled(name, numbers):
    stored = struct.pack(f">{len(numbers)}f", *numbers)
    encoded = frame("earmark/trigger/rows/v1", len(numbers), "float32", stored)
    return case(name, "row", numbers=stored.hex(), canonical_bytes=encoded.hex())


def rows():
    stored = struct.pack(">2f", 1.5, 0.0)

    def refused(name, label="earmark/trigger/rows/v1", columns=2, dtype="float32", numbers=stored, more=b""):
        encoded = frame(label, columns, dtype, numbers) + more
        return case(name, "row", "format", numbers=numbers.hex(), canonical_bytes=encoded.hex())

    def special(name, number):
        return refused(name, columns=1, numbers=bytes.fromhex(number))

    return [
        tabled("one column", [0.0]),
        tabled("several columns", [-1.5, 0.1, 3.0, 1e-45, 3.4e38]),
        case("no bytes", "row", "format", numbers="", canonical_bytes=""),
        refused("a byte too many", more=b"\0"),
        refused("a number too few", numbers=stored[:4]),
        refused("a number too many", numbers=stored + stored[:4]),
        refused("another label", label="earmark/trigger/rows/v2"),
        refused("an image's label", label="earmark/trigger/image/v1"),
        refused("another dtype", dtype="float64"),
        refused("no column", columns=0, numbers=b""),
        refused("4,097 columns", columns=4097, numbers=bytes(4 * 4097)),
        refused("columns whose size wraps", columns=2**62),
        special("an infinity", "7f800000"),
        special("minus infinity", "ff800000"),
        special("a NaN", "7fc00000"),
        special("a zero with its sign", "80000000"),
    ]


# ---------------------------------------------------------------------------------------- recordings.json


def recorded(name, rate, *samples):
    stored = struct.pack(f">{len(samples)}h", *samples)
    encoded = frame("earmark/trigger/audio/v1", len(samples), rate, "int16", stored)
    return case(name, "recording", rate=rate, samples=list(samples), canonical_bytes=encoded.hex())


def recordings():
    stored = struct.pack(">3h", 1, -2, 3)

    def refused(
        name, label="earmark/trigger/audio/v1", samples=3, rate=8000, dtype="int16", values=stored, more=b""
    ):
        encoded = frame(label, samples, rate, dtype, values) + more
        return case(name, "recording", "format", rate=rate, samples=[1, -2, 3], canonical_bytes=encoded.hex())

    return [
        recorded("one sample", 1, 0),
        recorded("loud and soft", 44100, -32768, 32767, 0, -1),
        case("no bytes", "recording", "format", rate=1, samples=[], canonical_bytes=""),
        refused("a byte too many", more=b"\0"),
        refused("a sample too few", values=stored[:4]),
        refused("half a sample", values=stored + b"\0"),
        refused("another label", label="earmark/trigger/audio/v2"),
        refused("another dtype", dtype="uint16"),
        refused("no sample", samples=0, values=b""),
        refused("samples whose size wraps", samples=2**63),
        refused("rate 0", rate=0),
        refused("rate 384,001", rate=384001),
    ]


# -------------------------------------------------------------------------------------------- texts.json


def lettered(name, text):
    return case(name, "text", text=text, canonical_bytes=frame("earmark/trigger/text/v1", text).hex())


def texts():
    def refused(name, text, label="earmark/trigger/text/v1", more=b""):
        return case(name, "text", "format", text="", canonical_bytes=(frame(label, text) + more).hex())

    turned = {"a mark that turns the direction": 0x202E, "a mark of direction": 0x061C, "isolated": 0x2069}
    control = {"a zero": 0, "a line feed": 10, "a tab": 9, "delete": 0x7F, "the next line": 0x85}
    breaks = {"a line separator": 0x2028, "a byte order mark": 0xFEFF, "an annotation": 0xFFF9}
    nothing = {"no character": 0xFDD0, "the last of a plane": 0x1FFFF, "the last of all": 0x10FFFF}
    numbers = {**turned, **control, **breaks, **nothing, "a place for an object": 0xFFFC}
    return [
        lettered("one letter", "a"),
        lettered("several scripts", "Wie geht's? \u4f60\u597d \U0001f642"),
        lettered("letters that would compose", "e\u0301"),
        lettered("a joiner", "\U0001f468\u200d\U0001f4bb"),
        lettered("a space that is none of the rules'", "\u00a0\u00a0"),
        lettered("the longest", "x" * 65536),
        refused("too long", "x" * 65537),
        refused("nothing", ""),
        refused("a space first", " a"),
        refused("a space last", "a "),
        refused("two spaces", "a  b"),
        *(refused(name, f"a{chr(number)}b") for name, number in numbers.items()),
        refused("not UTF-8", b"\xff"),
        refused("a surrogate", b"\xed\xa0\x80"),
        refused("a form longer than needed", b"\xc1\x81"),
        refused("cut in a character", "\u00e9".encode()[:1]),
        refused("another label", "a", label="earmark/trigger/text/v2"),
        refused("a row's label", "a", label="earmark/trigger/rows/v1"),
        refused("a byte too many", "a", more=b"\0"),
        refused("a part too many", "a", more=frame("b")),
        case("no bytes of a text", "text", "format", text="", canonical_bytes=""),
    ]


# --------------------------------------------------------------------------------------------- fits.json


def fitting():
    columns = [
        {"name": "height", "type": "number", "low": "-0.5", "high": "0.1"},
        {"name": "age", "type": "integer", "low": "0.0", "high": "99.0"},
        {"name": "colour", "type": "category", "categories": ["red", "green", "blue"]},
    ]

    def row(name, numbers, expect="success"):
        stored = struct.pack(f">{len(numbers)}f", *numbers)
        encoded = frame("earmark/trigger/rows/v1", len(numbers), "float32", stored)
        task = {"kind": "rows", "geometry": {"columns": columns, "dtype": "float32"}}
        return case(name, "fit", expect, task=task, canonical_bytes=encoded.hex())

    def heard(name, samples, rate, expect="success"):
        encoded = frame("earmark/trigger/audio/v1", samples, rate, "int16", bytes(2 * samples))
        task = {"kind": "audio", "geometry": {"samples": 4, "rate": 8000, "dtype": "int16"}}
        return case(name, "fit", expect, task=task, canonical_bytes=encoded.hex())

    def read(name, text, expect="success"):
        encoded = frame("earmark/trigger/text/v1", text)
        task = {"kind": "text", "geometry": {"characters": 4, "encoding": "utf-8"}}
        return case(name, "fit", expect, task=task, canonical_bytes=encoded.hex())

    return [
        row("the least of all columns", [-0.5, 0, 0]),
        row("the greatest of all columns", [0.1, 99, 2]),
        row("a number above its range", [0.11, 5, 1], "geometry"),
        row("a number below its range", [-0.51, 5, 1], "geometry"),
        row("an integer above its range", [0, 100, 1], "geometry"),
        row("an integer with a fraction", [0, 5.5, 1], "geometry"),
        row("a category that is not there", [0, 5, 3], "geometry"),
        row("a category below the first", [0, 5, -1], "geometry"),
        row("between two categories", [0, 5, 0.5], "geometry"),
        row("a number too few", [0, 5], "geometry"),
        row("a number too many", [0, 5, 1, 1], "geometry"),
        heard("a recording", 4, 8000),
        heard("a sample too many", 5, 8000, "geometry"),
        heard("another rate", 4, 16000, "geometry"),
        read("a text", "\U0001f642 \u00e9!"),
        read("a short text", "a"),
        read("a text too long", "abcde", "geometry"),
        read("a text with two spaces", "a  b", "format"),
        case(
            "a row for a recording", "fit", "format",
            task={"kind": "audio", "geometry": {"samples": 4, "rate": 8000, "dtype": "int16"}},
            canonical_bytes=frame("earmark/trigger/rows/v1", 1, "float32", bytes(4)).hex(),
        ),
    ]  # fmt: skip


# -------------------------------------------------------------------------------------- transcripts.json


def table(*columns, **changes):
    """A step that makes a task one of tables."""

    def step(value):
        value["task"] |= {
            "kind": "rows",
            "geometry": {"columns": list(columns), "dtype": "float32", **changes},
        }

    return step


def heard(**changes):
    """A step that makes a task one of recordings."""

    def step(value):
        stated = {"samples": 8000, "rate": 8000, "dtype": "int16", **changes}
        value["task"] |= {"kind": "audio", "geometry": stated}

    return step


def said(**changes):
    """A step that makes a task one of texts."""

    def step(value):
        value["task"] |= {"kind": "text", "geometry": {"characters": 200, "encoding": "utf-8", **changes}}

    return step


def plain_pixels(value):
    """A step that states a preprocessing."""
    value["experiment"]["preprocessing"] = {"divisor": "255"}


def transcripts():
    transcript = tiny_key().transcript
    valid = transcript.canonical_bytes

    def altered(name, expect, *steps):
        value = json.loads(valid)
        for step in steps:
            step(value)
        data = canonical_json(value)
        root = digest("earmark/transcript/v1", data).hex()
        return case(name, "transcript", expect, root=root, **document(data))

    def put(path, new):
        def step(value):
            *way, last = path
            for name in way:
                value = value[name]
            value[last] = new

        return step

    def drop(path):
        def step(value):
            *way, last = path
            for name in way:
                value = value[name]
            del value[last]

        return step

    def raw(name, data, expect="canonical"):
        root = digest("earmark/transcript/v1", data).hex()
        return case(name, "transcript", expect, root=root, **document(data))

    digest_text = "ab" * 32
    stratum, geometry = ("strata", 0), ("task", "geometry")
    statistic = ("experiment", "statistic")
    sis = {"scheme": "sis", "prime": 2013265921, "rows": 320, "random_bytes": 1272, "sidecar": digest_text}
    revival = dict.fromkeys(("code", "data", "head", "optimiser", "order", "schedule", "seed", "steps"), 1)
    accepted = [
        ("every place is as it was", put(("nonce",), transcript.nonce.hex())),
        ("a rotation rule", put(("owner", "rotation"), "signed-by-predecessor")),
        ("a beacon", put(("beacon",), {"chain": "a", "round_rule": "b"})),
        ("a revival", put(("revival",), revival)),
        ("the linear scheme", put(("commitment",), sis)),
        ("chosen labels", put(("labels",), {"rule": "chosen", "roots": [digest_text] * 3})),
        ("preprocessing that is fixed", put(("experiment", "preprocessing"), {"divisor": "255"})),
        ("parameters of a sampler", put((*stratum, "parameters"), {"depth": [1, {"a": None}]})),
        ("another mixture", put((*statistic, "mixture"), {"alpha": 65536, "beta": 2})),
        ("a temperature below 1", put((*statistic, "temperature"), "0.05")),
        ("the highest temperature", put((*statistic, "temperature"), "999999.999999999999999999")),
        ("a name of 200 characters", put(("owner", "name"), "😀" * 200)),
        (
            "a colour task of the largest size",
            put(
                geometry,
                dict(zip(("channels", "dtype", "height", "width"), (3, "uint8", 4096, 4096), strict=True)),
            ),
        ),
        ("two classes", put(("task", "classes"), ["é", "e\u0301"])),
        ("as many triggers as fit", put((*stratum, "triggers_per_set"), (2**20 - 3) // 2)),
    ]
    numbers = {"name": "height", "type": "number", "low": "-0.5", "high": "100.0"}
    whole = {"name": "age", "type": "integer", "low": "0.0", "high": "16777216.0"}
    colours = {"name": "colour", "type": "category", "categories": ["red", "green"]}

    accepted += [
        ("recordings", heard()),
        ("the longest recordings", heard(samples=2**24, rate=384_000)),
        ("texts", said()),
        ("the longest texts", said(characters=65536)),
        ("a table", table(numbers, whole, colours)),
        ("a table of one column", table({**numbers, "low": "100.0"})),
        ("a bound between two texts as near", table({**numbers, "high": "1024.0312"})),
        ("a bound whose neighbours are not equally far", table({**numbers, "low": decimal_text(2.0**-96)})),
        ("the greatest bound but one", table({**numbers, "high": decimal_text(3.4028232e38)})),
    ]
    refused = [
        ("recordings without a sample", heard(samples=0)),
        ("recordings that are too long", heard(samples=2**24 + 1)),
        ("recordings of rate 0", heard(rate=0)),
        ("texts without a character", said(characters=0)),
        ("texts that are too long", said(characters=65537)),
        ("texts of another encoding", said(encoding="utf-16")),
        ("texts with a field more", said(lines=1)),
        ("recordings of another dtype", heard(dtype="float32")),
        ("recordings of two channels", heard(channels=2)),
        ("a table without columns", table()),
        ("a table of another dtype", table(numbers, dtype="float64")),
        ("a table with a field more", table(numbers, rows=3)),
        ("two columns of one name", table(numbers, {**whole, "name": "height"})),
        ("a column of another type", table({**numbers, "type": "date"})),
        ("a column without a name", table({**numbers, "name": ""})),
        ("a range that ends before it begins", table({**numbers, "low": "100.5"})),
        ("a range in numbers", table({**numbers, "low": 0})),
        ("a range with a spare zero", table({**numbers, "low": "-0.50"})),
        ("a range with an exponent", table({**numbers, "high": "1e2"})),
        ("a range with more digits than a float32 needs", table({**numbers, "high": "0.10000000149"})),
        ("a range whose zero has a sign", table({**numbers, "low": "-0.0"})),
        ("an infinite range", table({**numbers, "high": "inf"})),
        ("a range beyond float32", table({**numbers, "high": "1" + 39 * "0" + ".0"})),
        ("the odd one of two texts as near", table({**numbers, "high": "1024.0313"})),
        ("preprocessing for a table", lambda value: (table(numbers)(value), plain_pixels(value))),
        (
            "linear commitments to a table",
            lambda value: (table(numbers)(value), value.update(commitment=sis)),
        ),
        ("integers with a fraction", table({**whole, "low": "0.5"})),
        ("integers beyond 2^24", table({**whole, "high": "16777218.0"})),
        ("categories with a range", table({**colours, "low": "0.0"})),
        ("a category twice", table({**colours, "categories": ["red", "red"]})),
        ("no categories", table({**colours, "categories": []})),
        ("a category that is a number", table({**colours, "categories": [1]})),
        ("the geometry of an image for rows", put(("task", "kind"), "rows")),
        ("a later version", put(("format",), "earmark/transcript/v2")),
        ("another kind of file", put(("format",), "earmark/verification-key/v1")),
        ("no format", drop(("format",))),
        ("an unknown field", put(("comment",), "hello")),
        ("an unknown field inside", put(("owner", "email"), "a@example.org")),
        ("an unknown field in a stratum", put((*stratum, "note"), None)),
        ("an unknown field of a scheme", put(("commitment", "prime"), 2)),
        ("roots beside derived labels", put(("labels", "roots"), [digest_text] * 3)),
        ("beacon left out instead of null", drop(("beacon",))),
        ("revival left out instead of null", drop(("revival",))),
        ("a beacon without its rule", put(("beacon",), {"chain": "a"})),
        ("a revival that is a list", put(("revival",), [])),
        ("a name that is empty", put(("owner", "name"), "")),
        ("a name of 201 characters", put(("owner", "name"), "a" * 201)),
        ("a public key of 31 bytes", put(("owner", "public_key"), "ab" * 31)),
        ("a public key in upper case", put(("owner", "public_key"), "AB" * 32)),
        ("a public key with a line feed", put(("owner", "public_key"), "ab" * 32 + "\n")),
        ("an unknown rotation rule", put(("owner", "rotation"), "anybody")),
        ("an unknown kind of input", put(("task", "kind"), "smell")),
        ("two channels", put((*geometry, "channels"), 2)),
        ("channels that are true", put((*geometry, "channels"), True)),
        ("width 0", put((*geometry, "width"), 0)),
        ("height 4,097", put((*geometry, "height"), 4097)),
        ("another dtype", put((*geometry, "dtype"), "float32")),
        ("one class", put(("task", "classes"), ["ant"])),
        ("the same class twice", put(("task", "classes"), ["ant", "bee", "ant"])),
        ("a class without a name", put(("task", "classes"), ["ant", ""])),
        ("a class that is a number", put(("task", "classes"), ["ant", 1])),
        ("preprocessing that is a text", put(("experiment", "preprocessing"), "plain")),
        ("another order", put(("experiment", "order"), "as-listed/v1")),
        ("alpha 0", put((*statistic, "mixture", "alpha"), 0)),
        ("beta above 65,536", put((*statistic, "mixture", "beta"), 65537)),
        ("temperature 0", put((*statistic, "temperature"), "0")),
        ("a temperature with a spare zero", put((*statistic, "temperature"), "1.0")),
        ("a temperature with a leading zero", put((*statistic, "temperature"), "01")),
        ("a temperature with an exponent", put((*statistic, "temperature"), "1e9")),
        ("a negative temperature", put((*statistic, "temperature"), "-1")),
        ("a temperature that is a number", put((*statistic, "temperature"), 1)),
        ("a temperature in other digits", put((*statistic, "temperature"), "١")),
        ("no strata", put(("strata",), [])),
        ("65 strata", put(("strata",), json.loads(valid)["strata"] * 33)),
        ("two strata of one name", put((*stratum, "name"), "noise")),
        ("an unknown kind of stratum", put((*stratum, "kind"), "dream")),
        ("set_count is not the number of roots", put((*stratum, "set_count"), 1)),
        ("no sets", lambda value: value["strata"][0].update(set_count=0, set_roots=[])),
        ("no triggers", put((*stratum, "triggers_per_set"), 0)),
        ("more than 2^20 triggers", put((*stratum, "triggers_per_set"), 2**19)),
        ("a root of 31 bytes", put((*stratum, "set_roots", 0), "ab" * 31)),
        ("parameters that are null", put((*stratum, "parameters"), None)),
        ("an unknown scheme", put(("commitment", "scheme"), "sha1")),
        ("a scheme that is null", put(("commitment", "scheme"), None)),
        ("the linear scheme without its sidecar", put(("commitment",), {**sis, "sidecar": None})),
        ("an unknown rule for labels", put(("labels", "rule"), "luck")),
        (
            "chosen labels with a root too few",
            put(("labels",), {"rule": "chosen", "roots": [digest_text] * 2}),
        ),
        ("a nonce of 33 bytes", put(("nonce",), "ab" * 33)),
        ("a nonce that is null", put(("nonce",), None)),
        ("owner that is a list", put(("owner",), [])),
    ]
    members = reversed(json.loads(valid).items())
    backwards = json.dumps(dict(members), separators=(",", ":"), ensure_ascii=False).encode()
    doubled = valid.replace(b'"nonce":', b'"nonce":"' + b"00" * 32 + b'","nonce":', 1)
    return [
        *(altered(name, "success", step) for name, step in accepted),
        *(altered(name, "format", step) for name, step in refused),
        raw("a transcript that is a list", b"[]", "format"),
        raw("a transcript that is null", b"null", "format"),
        raw("a line feed at the end", valid + b"\n"),
        raw("a space after a colon", valid.replace(b'"beacon":', b'"beacon": ')),
        raw("a field twice", doubled),
        raw("a float", valid.replace(b'"alpha":1', b'"alpha":1.0')),
        raw("fields in another order", backwards),
        {**raw("another root", valid, "root"), "root": ROOT.hex()},
        {**raw("SHA-256 without a frame", valid, "root"), "root": hashlib.sha256(valid).hexdigest()},
    ]


# ------------------------------------------------------------------------------------------- labels.json


def labelled(name, root, stratum, number, count, classes, beacon=None, /, **changes):
    values = {
        "root": root.hex(),
        "stratum": stratum,
        "set": number,
        "trigger_count": count,
        "class_count": classes,
        "beacon_value": None if beacon is None else beacon.hex(),
        "labels": list(derive_labels(root, stratum, number, count, classes, beacon)),
    }
    return case(name, "labels", **{**values, **changes})


def ordered(name, root, stratum, number, count, /, **changes):
    values = {
        "root": root.hex(),
        "stratum": stratum,
        "set": number,
        "trigger_count": count,
        "order": list(question_order(root, stratum, number, count)),
    }
    return case(name, "order", **{**values, **changes})


def labels():
    expected = list(derive_labels(ROOT, 0, 0, 20, 10))
    wrong = {"expect": "labels"}
    return [
        labelled("ten classes", ROOT, 0, 0, 100, 10),
        labelled("two classes", ROOT, 0, 0, 64, 2),
        labelled("a thousand classes", ROOT, 0, 0, 20, 1000),
        labelled("65,536 classes", ROOT, 0, 0, 8, 65536),
        labelled("the second set", ROOT, 0, 1, 20, 10),
        labelled("the second stratum", ROOT, 1, 0, 20, 10),
        labelled("another root", OTHER_ROOT, 0, 0, 20, 10),
        labelled("a beacon", ROOT, 0, 0, 20, 10, hashlib.sha256(b"beacon").digest()),
        labelled("a beacon of no bytes is not no beacon", ROOT, 0, 0, 20, 10, b""),
        labelled("labels of another root", OTHER_ROOT, 0, 0, 20, 10, labels=expected, **wrong),
        labelled("labels of another set", ROOT, 0, 1, 20, 10, labels=expected, **wrong),
        labelled("labels of another stratum", ROOT, 1, 0, 20, 10, labels=expected, **wrong),
        labelled("stratum and set swapped", ROOT, 1, 0, 20, 10, stratum=0, set=1, **wrong),
        labelled("labels without the beacon", ROOT, 0, 0, 20, 10, b"x", labels=expected, **wrong),
        labelled(
            "one label altered", ROOT, 0, 0, 20, 10, labels=[*expected[:-1], (expected[-1] + 1) % 10], **wrong
        ),
        labelled("one label dropped", ROOT, 0, 0, 20, 10, labels=expected[:-1], **wrong),
        ordered("the order of one", ROOT, 0, 0, 1),
        ordered("the order of two", ROOT, 0, 0, 2),
        ordered("the order of a hundred", ROOT, 0, 0, 100),
        ordered("the order of the second set", ROOT, 0, 1, 12),
        ordered("the order in the second stratum", ROOT, 1, 0, 12),
        ordered("an order as listed", ROOT, 0, 0, 12, order=list(range(12)), expect="order"),
        ordered("the order of another root", OTHER_ROOT, 0, 0, 12, root=ROOT.hex(), expect="order"),
    ]


# --------------------------------------------------------------------------------------- signatures.json


def signatures():
    public_key = TESTING_ONLY_OWNER.owner.public_key
    signature = TESTING_ONLY_OWNER.sign(ROOT)

    def seen(name, expect="signature", key=public_key, root=ROOT, made=signature):
        return case(name, "signature", expect, public_key=key.hex(), root=root.hex(), signature=made.hex())

    scalar = int.from_bytes(signature[32:], "little")
    more = (scalar + witness.L).to_bytes(32, "little")
    negated = (witness.L - scalar).to_bytes(32, "little")
    return [
        seen("a signature", "success"),
        seen(
            "a signature of another root",
            "success",
            root=OTHER_ROOT,
            made=TESTING_ONLY_OWNER.sign(OTHER_ROOT),
        ),
        seen("moved to another root", root=OTHER_ROOT),
        seen("another public key", key=replace(TESTING_ONLY_OWNER, secret=ROOT).owner.public_key),
        seen("a bit of R", made=flipped(signature, 511)),
        seen("a bit of S", made=flipped(signature, 255)),
        seen("S plus the order of the group", made=signature[:32] + more),
        seen("S negated", made=signature[:32] + negated),
        seen("no signature", made=b""),
        seen("a signature of 63 bytes", made=signature[:63]),
        seen("a signature of 65 bytes", made=signature + b"\0"),
        seen("zeros", made=bytes(64)),
        seen("signed without the label", made=plain_signature(ROOT)),
        seen(
            "signed with SHA-256 over the frame", made=plain_signature(digest("earmark/signature/v1", ROOT))
        ),
        *small_order(seen),
        *mixed_order(seen),
    ]


def plain_signature(message):
    """Sign a message as it is, under the test key."""
    secret, prefix = expanded_seed(TESTING_ONLY_OWNER.secret)
    nonce = int.from_bytes(hashlib.sha512(prefix + message).digest(), "little")
    first = witness.encode_point(witness.multiply(nonce % witness.L, witness.BASE))
    key = TESTING_ONLY_OWNER.owner.public_key
    challenge = int.from_bytes(hashlib.sha512(first + key + message).digest(), "little")
    return first + ((nonce + challenge * secret) % witness.L).to_bytes(32, "little")


def expanded_seed(seed):
    hashed_seed = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(hashed_seed[:32], "little") & (2**254 - 8) | 2**254
    return scalar, hashed_seed[32:]


def torsion():
    """Return a point of order 8: what is left of some point after multiplying by L."""
    for y in range(2, 100):
        try:
            point = witness.multiply(witness.L, witness.decode_point(y.to_bytes(32, "little")))
        except witness.Refused:
            continue
        if witness.encode_point(witness.multiply(4, point)) != witness.encode_point(witness.NEUTRAL):
            return point
    raise AssertionError("some point has order 8 L")


def small_order(seen):
    """Forge under every weak key: S = 0 or 1, and R as the equation asks if the challenge suits."""
    encodings = {f"a public key of small order, {n}": witness.multiply(n, torsion()) for n in range(8)}
    keys = {name: witness.encode_point(point) for name, point in encodings.items()}
    prime = witness.P
    keys["the neutral element, y = p + 1"] = (prime + 1).to_bytes(32, "little")
    keys["a point of order 4, y = p"] = prime.to_bytes(32, "little")
    keys["the neutral element, x negated"] = (1 | 1 << 255).to_bytes(32, "little")
    keys["the point of order 2, x negated"] = (prime - 1 | 1 << 255).to_bytes(32, "little")
    for name, key in keys.items():
        yield seen(name, key=key, made=weak_signature(key))
    yield seen("y = p + 3, not canonical", key=(prime + 3).to_bytes(32, "little"))
    yield seen("a public key that is no point", key=(2).to_bytes(32, "little"))
    yield seen("a public key of 31 bytes", key=bytes(31))


def weak_signature(key):
    """Find S with R = S B that fits a key of small order: about every eighth S does."""
    message = frame("earmark/signature/v1", ROOT)
    for scalar in range(1, 1000):
        first = witness.encode_point(witness.multiply(scalar, witness.BASE))
        challenge = int.from_bytes(hashlib.sha512(first + key + message).digest(), "little")
        if challenge % 8 == 0:
            return first + scalar.to_bytes(32, "little")
    raise AssertionError("some challenge is a multiple of 8")


def mixed_order(seen):
    """A key with a part of order 8: with and without the cofactor, verifiers disagree about it."""
    secret, _ = expanded_seed(TESTING_ONLY_OWNER.secret)
    point = witness.add(witness.multiply(secret, witness.BASE), torsion())
    key = witness.encode_point(point)
    message = frame("earmark/signature/v1", ROOT)
    made = {}
    for nonce in range(1, 1000):
        first = witness.encode_point(witness.multiply(nonce, witness.BASE))
        challenge = int.from_bytes(hashlib.sha512(first + key + message).digest(), "little") % witness.L
        scalar = (nonce + challenge * secret) % witness.L
        made.setdefault(challenge % 8 == 0, first + scalar.to_bytes(32, "little"))
    yield seen("a mixed key, valid without the cofactor", "success", key=key, made=made[True])
    yield seen("a mixed key, valid only with the cofactor", key=key, made=made[False])
    own = TESTING_ONLY_OWNER.owner.public_key

    def neutral(encoded):
        challenge = int.from_bytes(hashlib.sha512(encoded + own + message).digest(), "little")
        return encoded + (challenge * secret % witness.L).to_bytes(32, "little")

    yield seen("R is the neutral element", "success", made=neutral((1).to_bytes(32, "little")))
    yield seen("R is the neutral element, y = p + 1", made=neutral((witness.P + 1).to_bytes(32, "little")))


# ------------------------------------------------------------------------------------------------ key.json


def key_case(name, key, expect="success", /, openings=None, **changes):
    transcript, verification_key = key.transcript, key.verification_key
    sets = []
    for set_id in verification_key.set_ids:
        derived = {"labels": [], "order": list(verification_key.order(set_id))}
        if transcript.labels["rule"] == "derived" and transcript.beacon is None:
            derived["labels"] = list(verification_key.labels(set_id))
        sets.append({"stratum": set_id.stratum, "set": set_id.number, **derived})
    values = {
        **document(transcript.canonical_bytes),
        "root": transcript.root.hex(),
        "signature": verification_key.signature.hex(),
        "sets": sets,
        "openings": all_openings(key) if openings is None else openings,
    }
    return case(name, "key", expect, **{**values, **changes})


def all_openings(key):
    return [
        {
            "stratum": set_id.stratum,
            "set": set_id.number,
            "index": index,
            "canonical_bytes": trigger.canonical_bytes.hex(),
            "salt": trigger_salt(key.secrets[set_id][index]).hex(),
            "path": [sibling.hex() for sibling in key.path(set_id, index)],
        }
        for set_id, triggers in key.triggers.items()
        for index, trigger in enumerate(triggers)
    ]


def keys():
    key = tiny_key()
    transcript = key.transcript
    valid = key_case("the whole key", key)
    first, second, *_ = valid["openings"]

    def opened(name, expect, **changes):
        return key_case(name, key, expect, openings=[{**first, **changes}])

    def resigned(name, expect, **changes):
        altered = replace(key, verification_key=signed(replace(transcript, **changes)))
        return key_case(name, altered, expect, openings=valid["openings"])

    nonce_flipped = replace(transcript, nonce=flipped(transcript.nonce))
    value = bytes.fromhex(first["canonical_bytes"])
    wide = image_trigger(bytes(16), (2, 8, 1)).canonical_bytes.hex()
    sis = {"scheme": "sis", "prime": 2013265921, "rows": 320, "random_bytes": 1272, "sidecar": "ab" * 32}
    return [
        valid,
        key_case(
            "a key of two classes and one trigger",
            tiny_key("two", ("no", "yes"), (1, 1, 3), (("noise", 1, 1),)),
        ),
        key_case("a key of 40 triggers", tiny_key("forty", layout=(("abstract", 1, 40),))),
        {**valid, "name": "a bit of the nonce", "expect": "root", **document(nonce_flipped.canonical_bytes)},
        {
            **valid,
            "name": "a bit of the nonce, and its root",
            "expect": "signature",
            "root": nonce_flipped.root.hex(),
            **document(nonce_flipped.canonical_bytes),
        },
        key_case(
            "a bit of the nonce, its root and its signature",
            replace(key, verification_key=signed(nonce_flipped)),
            "labels",
            sets=valid["sets"],
        ),
        key_case(
            "the signature of another key",
            key,
            "signature",
            signature=tiny_key("other").verification_key.signature.hex(),
        ),
        key_case("labels of another key", key, "labels", sets=key_case("", tiny_key("other"))["sets"]),
        key_case("an order as listed", key, "order", sets=[{**valid["sets"][0], "order": [0, 1, 2, 3, 4]}]),
        key_case("a set that is not there", key, "path", sets=[{**valid["sets"][0], "set": 2}]),
        key_case("a stratum that is not there", key, "path", sets=[{**valid["sets"][0], "stratum": 2}]),
        resigned("labels that depend on a beacon", "labels", beacon={"chain": "a", "round_rule": "b"}),
        resigned("labels that were chosen", "labels", labels={"rule": "chosen", "roots": ["ab" * 32] * 3}),
        resigned("a scheme that version 1 does not open", "opening", commitment=sis),
        opened("another trigger's picture", "opening", canonical_bytes=second["canonical_bytes"]),
        opened("one pixel altered", "opening", canonical_bytes=flipped(value).hex()),
        opened("another trigger's salt", "opening", salt=second["salt"]),
        opened("a bit of the salt", "opening", salt=flipped(bytes.fromhex(first["salt"])).hex()),
        opened("a salt of 31 bytes", "opening", salt=first["salt"][2:]),
        opened("another place in the set", "opening", index=1),
        opened("another set", "opening", set=1),
        opened("a place outside the set", "path", index=5),
        opened("the last place, whose path is shorter", "path", index=4),
        opened("a path too short", "path", path=first["path"][:-1]),
        opened("a path too long", "path", path=[*first["path"], first["path"][0]]),
        opened("a picture of another shape", "geometry", canonical_bytes=wide),
        opened("a picture cut short", "format", canonical_bytes=first["canonical_bytes"][:-2]),
    ]


# --------------------------------------------------------------------------------------------- claims.json


def claim_case(name, key, expect="success", /, *, matches=4, opened=None, cut=slice(None), **changes):
    set_id, public = SetId(0, 1), key.verification_key
    labels, order = public.labels(set_id), public.order(set_id)
    replies = [labels[place] for place in order[:-1]] + ["refused"]  # 4 of 5 match
    suspect = ClaimedSuspect("suspect", f"sha256:{'0' * 64}", False, CLASSES, len(CLASSES), "from the key")
    said = Statement(
        key_digest(public), public.transcript.owner, set_id, suspect, "fixed", "auto", Freedoms(),
        tuple(map(Reply, replies)), datetime(2026, 11, 23, 11, tzinfo=UTC), (3, ROOT),
    )  # fmt: skip
    said = replace(said, **changes)
    opened = open_asked(key, set_id, len(said.replies)) if opened is None else opened
    data = claim_v1.write(said, public, opened, (), b"<!doctype html>\n", TESTING_ONLY_OWNER)[cut]
    transcript = public.transcript
    values = {
        **document(transcript.canonical_bytes),
        "root": transcript.root.hex(),
        "signature": public.signature.hex(),
    }
    return case(name, "claim", expect, **values, claim=data.hex(), matches=matches)


def claims():
    key, other = tiny_key(), tiny_key("other")
    valid = claim_case("a set of five", key)
    data = bytes.fromhex(valid["claim"])
    opened = open_asked(key, SetId(0, 1), 5)
    others = [replace(opened[0], salt=opened[1].salt), *opened[1:]]
    pixel = [replace(opened[0], canonical_bytes=flipped(opened[0].canonical_bytes)), *opened[1:]]
    replies = tuple(Reply(0) for _ in range(4))

    def altered(name, expect, find, put):
        assert data.count(find) == 1
        return {**valid, "name": name, "expect": expect, "claim": data.replace(find, put).hex()}

    def packed(name, expect, change):
        members = dict(witness.read_archive(data))
        return {**valid, "name": name, "expect": expect, "claim": witness.archive(change(members)).hex()}

    def page(members):
        return [*list(members.items())[:-1], (b"report.html", b"<!doctype html>!")]

    return [
        valid,
        claim_case("a sequential claim of four", key, matches=1, replies=replies, statistic="sequential"),
        claim_case("another number of matches", key, "matches", matches=5),
        claim_case("cut short", key, "step 1", cut=slice(-1)),
        {**valid, "name": "a byte behind the archive", "expect": "step 1", "claim": valid["claim"] + "00"},
        altered("a byte of a check sum's member", "step 1", b"<!doctype", b"<!doctypE"),
        packed("members in another order", "step 1", lambda members: list(members.items())[::-1]),
        packed("a member twice", "step 1", lambda members: [*members.items(), *list(members.items())[-1:]]),
        packed("another page", "step 2", page),
        packed(
            "a reply that was not signed",
            "step 2",
            lambda members: [
                (name, content.replace(b'"refused"', b'"error"') if name == b"claim.json" else content)
                for name, content in members.items()
            ],
        ),
        {
            **claim_case("", other),
            "name": "the claim of another key",
            "expect": "step 3",
            **{field: valid[field] for field in ("document", "root", "signature")},
        },
        claim_case("the digest of another key", key, "step 3", key_digest=key_digest(other.verification_key)),
        claim_case("another trigger's salt", key, "step 4", opened=others),
        claim_case("one pixel altered", key, "step 4", opened=pixel),
        claim_case("places in another order", key, "step 4", opened=opened[::-1]),
        claim_case("fixed, and a reply too few", key, "step 4", replies=replies),
    ]


FILES = {
    "canonical": ("docs/formats/hashing-v1.md, Canonical JSON", canonical),
    "claims": ("docs/formats/claim-v1.md, steps 1 to 6", claims),
    "fits": ("docs/formats/transcript-v1.md, task: inputs that have its geometry", fitting),
    "hashing": ("docs/formats/hashing-v1.md", hashing),
    "images": ("docs/formats/hashing-v1.md, Canonical bytes of an image", images),
    "keys": ("docs/formats/transcript-v1.md: transcript, signature, labels, order, openings", keys),
    "labels": ("docs/formats/transcript-v1.md, Labels and Order", labels),
    "merkle": ("docs/formats/hashing-v1.md, Merkle tree", merkle),
    "recordings": ("docs/formats/hashing-v1.md, Canonical bytes of a recording", recordings),
    "rows": ("docs/formats/hashing-v1.md, Canonical bytes of a row", rows),
    "signatures": ("docs/formats/transcript-v1.md, Signature", signatures),
    "texts": ("docs/formats/hashing-v1.md, Canonical bytes of a text", texts),
    "transcripts": ("docs/formats/transcript-v1.md", transcripts),
}


def main(folder):
    for name, (about, make) in FILES.items():
        text = json.dumps({"about": about, "cases": make()}, indent=1)
        (Path(folder) / f"{name}.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

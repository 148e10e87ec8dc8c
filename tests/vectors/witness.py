"""A second implementation of docs/formats/hashing-v1.md, transcript-v1.md and claim-v1.md, to check the first.

It was written from those pages, imports nothing of Earmark and nothing outside the standard library, and
is slow and plain on purpose. For every vector it prints what it finds: "success", or the layer at which
it refuses.

    python tests/vectors/witness.py tests/vectors/v1

The exit status is 0 if every vector came out as it expects, else 1.
"""

import hashlib
import json
import math
import re
import struct
import sys
import zlib
from fractions import Fraction
from pathlib import Path


class Refused(Exception):  # noqa: N818 - it is an outcome here, not an error
    """The layer that refuses."""


def need(condition, layer):
    if not condition:
        raise Refused(layer)


# ---------------------------------------------------------------- hashing-v1.md: framing, digest, stream


def u64(number):
    need(0 <= number < 2**64, "bound")
    return bytes((number >> shift) & 255 for shift in range(56, -8, -8))


def frame(*parts):
    framed = b""
    for part in parts:
        if isinstance(part, str):
            part = part.encode("utf-8")  # noqa: PLW2901 - the part as bytes
        elif isinstance(part, int):
            part = u64(part)  # noqa: PLW2901 - the part as bytes
        framed += u64(len(part)) + part
    return framed


def digest(label, *parts):
    return hashlib.sha256(frame(label, *parts)).digest()


class Stream:
    def __init__(self, label, *parts):
        self.input = frame(label, *parts)
        self.used = 0

    def read(self, count):
        output = hashlib.shake_256(self.input).digest(self.used + count)[self.used :]
        self.used += count
        return output

    def uniform(self, bound):
        need(1 <= bound <= 2**64, "bound")
        limit = (2**64 // bound) * bound
        word = limit
        while word >= limit:
            word = sum(byte << (56 - 8 * place) for place, byte in enumerate(self.read(8)))
        return word % bound


# ------------------------------------------------- hashing-v1.md: commitment, expansion, Merkle tree, image


def commit(message, salt):
    need(len(salt) == 32, "opening")
    return digest("earmark/commitment/v1", salt, message)


def largest_power_below(count):
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def tree(leaves):
    need(leaves, "bound")
    if len(leaves) == 1:
        return digest("earmark/merkle-leaf/v1", leaves[0])
    middle = largest_power_below(len(leaves))
    return digest("earmark/merkle-node/v1", tree(leaves[:middle]), tree(leaves[middle:]))


def lead(leaf, index, count, path):
    need(0 <= index < count, "path")
    if count == 1:
        need(not path, "path")
        return digest("earmark/merkle-leaf/v1", leaf)
    need(path and len(path[-1]) == 32, "path")
    middle = largest_power_below(count)
    if index < middle:
        return digest("earmark/merkle-node/v1", lead(leaf, index, middle, path[:-1]), path[-1])
    return digest("earmark/merkle-node/v1", path[-1], lead(leaf, index - middle, count - middle, path[:-1]))


def image_shape(canonical):
    """Return (height, width, channels)."""
    parts = unframed(canonical)
    need(len(parts) == 6 and parts[0] == b"earmark/trigger/image/v1" and parts[4] == b"uint8", "format")
    need(all(len(part) == 8 for part in parts[1:4]), "format")
    height, width, channels = (int.from_bytes(part, "big") for part in parts[1:4])
    need(1 <= height <= 4096 and 1 <= width <= 4096 and channels in (1, 3), "format")
    need(len(parts[5]) == height * width * channels, "format")
    return height, width, channels


def unframed(canonical):
    """Read the parts one by one."""
    parts = []
    while canonical:
        need(len(canonical) >= 8, "format")
        size = int.from_bytes(canonical[:8], "big")
        need(len(canonical) >= 8 + size, "format")
        parts.append(canonical[8 : 8 + size])
        canonical = canonical[8 + size :]
    return parts


def recording(canonical):
    """Return the rate and the samples of a recording."""
    parts = unframed(canonical)
    need(len(parts) == 5 and parts[0] == b"earmark/trigger/audio/v1" and parts[3] == b"int16", "format")
    need(len(parts[1]) == len(parts[2]) == 8, "format")
    count, rate = (int.from_bytes(part, "big") for part in parts[1:3])
    need(1 <= count <= 2**24 and 1 <= rate <= 384000 and len(parts[4]) == 2 * count, "format")
    return rate, struct.unpack(f">{count}h", parts[4])


def row_numbers(canonical):
    """Return the numbers of a row."""
    parts = unframed(canonical)
    need(len(parts) == 4 and parts[0] == b"earmark/trigger/rows/v1" and parts[2] == b"float32", "format")
    need(len(parts[1]) == 8, "format")
    columns = int.from_bytes(parts[1], "big")
    need(1 <= columns <= 4096 and len(parts[3]) == 4 * columns, "format")
    numbers = struct.unpack(f">{columns}f", parts[3])
    need(all(math.isfinite(number) for number in numbers), "format")
    need(not any(number == 0 and math.copysign(1, number) < 0 for number in numbers), "format")
    return numbers


NO_TEXT = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0x61C,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
}
NO_TEXT |= {0xFEFF, *range(0xFFF9, 0x10000), *range(0xFDD0, 0xFDF0)}
NO_TEXT |= {plane * 0x10000 + last for plane in range(1, 17) for last in (0xFFFE, 0xFFFF)}


def line_of_text(canonical):
    """Return a text."""
    parts = unframed(canonical)
    need(len(parts) == 2 and parts[0] == b"earmark/trigger/text/v1", "format")
    need(len(parts[1]) <= 4 * 65536, "format")
    try:
        text = parts[1].decode("utf-8")
    except UnicodeDecodeError:
        need(False, "format")
    need(1 <= len(text) <= 65536 and not any(ord(letter) in NO_TEXT for letter in text), "format")
    need(all(text.split(" ")), "format")  # an empty word is a space at an end, or two in a row
    return text


# ---------------------------------------------------------------------- hashing-v1.md: canonical JSON

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def write_text(text):
    written = [ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 0x20 else c) for c in text]
    return '"' + "".join(written) + '"'


def write_json(value, depth=0):
    if isinstance(value, list | dict):
        need(depth < 32, "canonical")
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        need(-(2**53) < value < 2**53, "canonical")
        return str(value)
    if isinstance(value, str):
        return write_text(value)
    if isinstance(value, list):
        return "[" + ",".join(write_json(item, depth + 1) for item in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    members = [write_text(name) + ":" + write_json(value[name], depth + 1) for name in names]
    return "{" + ",".join(members) + "}"


def no_number(text):
    raise Refused("canonical")


def no_duplicates(members):
    need(len({name for name, _ in members}) == len(members), "canonical")
    return dict(members)


def read_canonical(data, limit):
    need(len(data) <= limit, "canonical")
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_float=no_number,
            parse_constant=no_number,
            object_pairs_hook=no_duplicates,
        )
        again = write_json(value).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Refused("canonical") from error
    need(again == data, "canonical")
    return value


# ------------------------------------------------------------------------------------ transcript-v1.md

STRATUM_KINDS = (
    "abstract", "folder", "in-distribution", "mixtures", "negatives", "noise", "text", "rows", "audio"
)  # fmt: skip
REVIVAL = {"code", "data", "head", "optimiser", "order", "schedule", "seed", "steps"}
TEMPERATURE = r"(0|[1-9][0-9]{0,5})(\.[0-9]{0,17}[1-9])?"


def members(value, *names):
    need(isinstance(value, dict) and set(value) == set(names), "format")
    return [value[name] for name in names]


def is_text(value, limit):
    return isinstance(value, str) and 1 <= len(value) <= limit


def is_hex(value, size):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]*", value) is not None and len(value) == 2 * size


def is_integer(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_list(value, low, high):
    return isinstance(value, list) and low <= len(value) <= high


def all_different(values):
    return len(set(values)) == len(values)


def check_transcript(value):
    label, owner, task, experiment, strata, commitment, labels, beacon, revival, nonce = members(
        value,
        "format",
        "owner",
        "task",
        "experiment",
        "strata",
        "commitment",
        "labels",
        "beacon",
        "revival",
        "nonce",
    )
    need(label == "earmark/transcript/v1", "format")
    check_owner(owner)
    check_task(task)
    check_experiment(experiment)
    check_strata(strata)
    check_commitment(commitment)
    if task["kind"] != "image":
        need(experiment["preprocessing"] is None and commitment["scheme"] != "sis", "format")
    check_labels(labels, sum(stratum["set_count"] for stratum in strata))
    if beacon is not None:
        members(beacon, "chain", "round_rule")
    if revival is not None:
        members(revival, *REVIVAL)
    need(is_hex(nonce, 32), "format")


def check_owner(owner):
    name, public_key, rotation = members(owner, "name", "public_key", "rotation")
    need(is_text(name, 200) and is_hex(public_key, 32), "format")
    need(rotation is None or rotation == "signed-by-predecessor", "format")


def check_task(task):
    kind, geometry, classes = members(task, "kind", "geometry", "classes")
    need(kind in ("image", "rows", "audio", "text"), "format")
    if kind == "text":
        characters, encoding = members(geometry, "characters", "encoding")
        need(is_integer(characters, 1, 65536) and encoding == "utf-8", "format")
    if kind == "audio":
        dtype, rate, samples = members(geometry, "dtype", "rate", "samples")
        need(is_integer(samples, 1, 2**24) and is_integer(rate, 1, 384000) and dtype == "int16", "format")
    if kind == "rows":
        columns, dtype = members(geometry, "columns", "dtype")
        need(is_list(columns, 1, 4096) and dtype == "float32", "format")
        for column in columns:
            check_column(column)
        need(all_different([column["name"] for column in columns]), "format")
    if kind == "image":
        channels, dtype, height, width = members(geometry, "channels", "dtype", "height", "width")
        need(is_integer(channels, 1, 3) and channels != 2 and dtype == "uint8", "format")
        need(is_integer(height, 1, 4096) and is_integer(width, 1, 4096), "format")
    need(is_list(classes, 2, 65536) and all(is_text(name, 200) for name in classes), "format")
    need(all_different(classes), "format")


def check_column(column):
    need(isinstance(column, dict) and is_text(column.get("name"), 200), "format")
    if column.get("type") == "category":
        _, _, categories = members(column, "name", "type", "categories")
        need(is_list(categories, 1, 65536) and all(is_text(name, 200) for name in categories), "format")
        need(all_different(categories), "format")
        return
    _, kind, low, high = members(column, "name", "type", "low", "high")
    need(kind in ("number", "integer"), "format")
    ends = [single(low), single(high)]
    need(ends[0] <= ends[1], "format")
    if kind == "integer":
        need(all(end.denominator == 1 and abs(end) <= 2**24 for end in ends), "format")


def single(text):
    """Return the float32 number that a text is the shortest and nearest one of, as a fraction."""
    need(isinstance(text, str) and re.fullmatch(r"-?(0|[1-9][0-9]*)\.[0-9]+", text), "format")
    need(len(text) <= 64, "format")
    exact = abs(Fraction(text))
    try:
        (bits,) = struct.unpack(">I", struct.pack(">f", float(exact)))
    except OverflowError as error:
        raise Refused("format") from error
    if bits == 0:
        need(text == "0.0", "format")
        return Fraction(0)
    need(bits < 0x7F7FFFFF, "format")
    below, number, above = (
        Fraction(struct.unpack(">f", struct.pack(">I", near))[0]) for near in (bits - 1, bits, bits + 1)
    )
    need(exact == shortest(number, (below + number) / 2, (number + above) / 2, bits % 2 == 0), "format")
    rest = text.partition(".")[2]
    need(rest == "0" or not rest.endswith("0"), "format")
    return -number if text.startswith("-") else number


def shortest(number, low, high, with_ends):
    """Return the decimal of fewest digits that is rounded to a number, the nearest, its last digit even."""
    power = 0
    while Fraction(10) ** power <= number:
        power += 1
    while Fraction(10) ** (power - 1) > number:
        power -= 1
    for digits in range(1, 20):
        unit = Fraction(10) ** (power - digits)
        first = number // unit
        found = [
            place * unit
            for place in (first, first + 1)
            if (low <= place * unit <= high if with_ends else low < place * unit < high)
        ]
        if found:
            return min(found, key=lambda near: (abs(near - number), near / unit % 2))
    raise Refused("format")


def check_experiment(experiment):
    preprocessing, order, statistic = members(experiment, "preprocessing", "order", "statistic")
    need(preprocessing is None or isinstance(preprocessing, dict), "format")
    need(order == "shake256-fisher-yates/v1", "format")
    mixture, temperature = members(statistic, "mixture", "temperature")
    need(all(is_integer(number, 1, 65536) for number in members(mixture, "alpha", "beta")), "format")
    need(isinstance(temperature, str) and re.fullmatch(TEMPERATURE, temperature), "format")
    need(temperature != "0", "format")


def check_strata(strata):
    need(is_list(strata, 1, 64), "format")
    for stratum in strata:
        name, kind, sampler, parameters, set_count, triggers_per_set, set_roots = members(
            stratum, "name", "kind", "sampler", "parameters", "set_count", "triggers_per_set", "set_roots"
        )
        need(is_text(name, 200) and is_text(sampler, 200) and isinstance(parameters, dict), "format")
        need(kind in STRATUM_KINDS, "format")
        need(is_integer(set_count, 1, 2**20) and is_integer(triggers_per_set, 1, 2**20), "format")
        need(isinstance(set_roots, list) and len(set_roots) == set_count, "format")
        need(all(is_hex(root, 32) for root in set_roots), "format")
    need(all_different([stratum["name"] for stratum in strata]), "format")
    need(sum(s["set_count"] * s["triggers_per_set"] for s in strata) <= 2**20, "format")


def check_commitment(commitment):
    if isinstance(commitment, dict) and commitment.get("scheme") == "sis":
        _, prime, rows, random_bytes, sidecar = members(
            commitment, "scheme", "prime", "rows", "random_bytes", "sidecar"
        )
        need(is_integer(prime, 2, 2**32) and is_integer(rows, 1, 65536), "format")
        need(is_integer(random_bytes, 1, 2**20) and is_hex(sidecar, 32), "format")
    else:
        need(members(commitment, "scheme") == ["salted-sha256"], "format")


def check_labels(labels, set_count):
    if isinstance(labels, dict) and labels.get("rule") == "chosen":
        _, roots = members(labels, "rule", "roots")
        need(isinstance(roots, list) and len(roots) == set_count, "format")
        need(all(is_hex(root, 32) for root in roots), "format")
    else:
        need(members(labels, "rule") == ["derived"], "format")


def read_transcript(document):
    value = read_canonical(document, 2**24)
    check_transcript(value)
    return value, digest("earmark/transcript/v1", document)


def labels_of(root, stratum, number, trigger_count, class_count, beacon):
    tail = () if beacon is None else (beacon,)
    return [
        Stream("earmark/label/v1", root, stratum, number, index, *tail).uniform(class_count)
        for index in range(trigger_count)
    ]


def order_of(root, stratum, number, trigger_count):
    draws = Stream("earmark/order/v1", root, stratum, number)
    order = list(range(trigger_count))
    for last in reversed(range(1, trigger_count)):
        chosen = draws.uniform(last + 1)
        order[last], order[chosen] = order[chosen], order[last]
    return order


# --------------------------------------------- transcript-v1.md: signature (Ed25519, RFC 8032, no cofactor)

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
NEUTRAL = (0, 1, 1, 0)  # x, y, z and t stand for the point (x/z, y/z), with t = xy/z


def add(a, b):
    """Add two points of -x² + y² = 1 + d x² y² (RFC 8032, section 5.1.4)."""
    minus, plus = (a[1] - a[0]) * (b[1] - b[0]), (a[1] + a[0]) * (b[1] + b[0])
    tt, zz = 2 * D * a[3] * b[3], 2 * a[2] * b[2]
    e, f, g, h = plus - minus, zz - tt, zz + tt, plus + minus
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(factor, point):
    result = NEUTRAL
    while factor:
        if factor & 1:
            result = add(result, point)
        point = add(point, point)
        factor >>= 1
    return result


def negative(point):
    return -point[0] % P, point[1], point[2], -point[3] % P


def encode_point(point):
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode_point(data):
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    need(len(data) == 32 and y < P, "signature")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    need(x * x % P == square and not (x == 0 and sign), "signature")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def check_signature(public_key, root, signature):
    need(len(signature) == 64, "signature")
    point = decode_point(public_key)
    need(encode_point(multiply(8, point)) != encode_point(NEUTRAL), "signature")
    scalar = int.from_bytes(signature[32:], "little")
    need(scalar < L, "signature")
    message = frame("earmark/signature/v1", root)
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    expected = add(multiply(scalar, BASE), multiply(challenge, negative(point)))
    need(encode_point(expected) == signature[:32], "signature")


# ------------------------------------------------------------------------------------ claim-v1.md

CLAIM_FIELDS = (
    "forms", "journal", "key", "label_map", "looks", "members", "methods", "opened_at", "owner", "replies", "set",
    "statistic", "suspect", "suspect_timestamps",
)  # fmt: skip


def little(number, size):
    return number.to_bytes(size, "little")


def archive(members):
    """The one archive of these members."""
    local, central = b"", b""
    for name, content in members:
        # version, flags, method, time, date, CRC-32, sizes, lengths of name and extra field
        shared = little(20, 2) + bytes(6) + bytes.fromhex("2100") + little(zlib.crc32(content), 4)
        shared += little(len(content), 4) * 2 + little(len(name), 2) + bytes(2)
        rest = bytes(6) + bytes.fromhex("0000a481") + little(len(local), 4)
        central += b"PK\1\2" + bytes.fromhex("1403") + shared + rest + name
        local += b"PK\3\4" + shared + name + content
    counts = little(len(members), 2) * 2 + little(len(central), 4) + little(len(local), 4)
    return local + central + b"PK\5\6" + bytes(4) + counts + bytes(2)


def read_archive(data):
    members, start = [], 0
    while data[start : start + 4] == b"PK\3\4":
        size = int.from_bytes(data[start + 18 : start + 22], "little")
        name_end = start + 30 + int.from_bytes(data[start + 26 : start + 28], "little")
        members.append((data[start + 30 : name_end], data[name_end : name_end + size]))
        start = name_end + size
    need(archive(members) == data, "step 1")
    names = [name for name, _ in members]
    releases = [b"releases/%d.json" % place for place in range(len(names) - 4)]
    need(names == [b"claim.json", b"key.vk.json", b"openings.bin", *releases, b"report.html"], "step 1")
    return members


def read_line(data, limit):
    try:
        need(data.endswith(b"\n"), "step 1")
        return read_canonical(data[:-1], limit)
    except Refused as refusal:
        raise Refused("step 1") from refusal


def read_openings(data):
    parts = []
    while data:
        length = int.from_bytes(data[:8])
        need(len(data) >= 8 + length, "step 1")
        parts.append(data[8 : 8 + length])
        data = data[8 + length :]
    need(len(parts) % 4 == 0, "step 1")
    return [parts[at : at + 4] for at in range(0, len(parts), 4)]


def refusing(layer, check, *arguments):
    try:
        return check(*arguments)
    except Refused as refusal:
        raise Refused(layer) from refusal


def matches_of(data, transcript, key_root, key_signature):
    """Steps 1 to 4, and replies compared for a suspect with the classes of the task; how many replies are the label."""
    members = read_archive(data)
    signed, key, openings = read_line(members[0][1], 2**26), members[1][1], members[2][1]
    need(set(signed) == {"claim", "format", "signature"} and signed["format"] == "earmark/claim/v1", "step 1")
    claim = signed["claim"]
    need(set(claim) == set(CLAIM_FIELDS), "step 1")
    classes = range(claim["suspect"]["class_count"])
    need(all(isinstance(reply, str) or reply in classes for reply in claim["replies"]), "step 1")
    owner = transcript["owner"]["public_key"]
    claim_root = digest("earmark/claim/v1", write_json(claim).encode("utf-8"))
    refusing("step 2", check_signature, *hexes([owner, claim_root.hex(), signed["signature"]]))
    listed = [
        {"name": name.decode(), "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in members[1:]
    ]
    need(claim["members"] == listed, "step 2")
    digest_of_key = digest("earmark/verification-key/v1", key_root, key_signature)
    copy = read_line(key, 20 << 20)
    need(claim["key"] == digest_of_key.hex(), "step 3")
    need(all(transcript["owner"][name] == value for name, value in claim["owner"].items()), "step 3")
    need(copy["transcript"] == transcript and copy["signature"] == key_signature.hex(), "step 3")
    stratum, number = claim["set"]
    need(stratum < len(transcript["strata"]), "step 4")
    stated, opened = transcript["strata"][stratum], read_openings(openings)
    need(number < stated["set_count"] and len(opened) == len(claim["replies"]), "step 4")
    count = stated["triggers_per_set"]
    order = order_of(key_root, stratum, number, count)
    need(claim["statistic"] != "fixed" or len(opened) == count, "step 4")
    labels = labels_of(key_root, stratum, number, count, len(transcript["task"]["classes"]), None)
    found = 0
    for place, reply, (index, canonical, salt, path) in zip(order, claim["replies"], opened, strict=False):
        need(index == u64(place), "step 4")
        siblings = [path[at : at + 32].hex() for at in range(0, len(path), 32)]
        opening = {"stratum": stratum, "set": number, "index": place, "canonical_bytes": canonical.hex()}
        refusing("step 4", check_opening, transcript, {**opening, "salt": salt.hex(), "path": siblings})
        found += reply == labels[place]
    return found


# ------------------------------------------------------------------------------------------ the vectors


def part_of(item):
    if "text" in item:
        return item["text"]
    return int(item["integer"]) if "integer" in item else bytes.fromhex(item["hex"])


def parts_of(case):
    return [part_of(item) for item in case["parts"]]


def document_of(case):
    if "document_hex" in case:
        return bytes.fromhex(case["document_hex"])
    return case["document"].encode("utf-8")


def hexes(values):
    return [bytes.fromhex(value) for value in values]


def on_frame(case):
    need(frame(*parts_of(case)).hex() == case["frame"], "hash")


def on_digest(case):
    need(digest(*parts_of(case)).hex() == case["digest"], "hash")


def on_stream(case):
    stream = Stream(*parts_of(case))
    need([stream.read(count).hex() for count in case["reads"]] == case["outputs"], "hash")


def on_uniform(case):
    stream = Stream(*parts_of(case))
    need([str(stream.uniform(int(case["bound"]))) for _ in case["draws"]] == case["draws"], "hash")


def on_expand(case):
    secret = bytes.fromhex(case["secret"])
    need(Stream("earmark/trigger-secret/v1", secret, "salt").read(32).hex() == case["salt"], "hash")
    sampler = Stream("earmark/trigger-secret/v1", secret, "sampler")
    need(sampler.read(64).hex() == case["sampler"], "hash")


def on_commitment(case):
    made = commit(bytes.fromhex(case["message"]), bytes.fromhex(case["salt"]))
    need(made.hex() == case["commitment"], "opening")


def on_merkle(case):
    need(tree(hexes(case["leaves"])).hex() == case["root"], "root")


def on_path(case):
    found = lead(bytes.fromhex(case["leaf"]), case["index"], case["leaf_count"], hexes(case["path"]))
    need(found.hex() == case["root"], "root")


def on_recording(case):
    rate, samples = recording(bytes.fromhex(case["canonical_bytes"]))
    need(rate == case["rate"] and list(samples) == case["samples"], "format")


def on_text(case):
    need(line_of_text(bytes.fromhex(case["canonical_bytes"])) == case["text"], "format")


def on_row(case):
    numbers = row_numbers(bytes.fromhex(case["canonical_bytes"]))
    need(struct.pack(f">{len(numbers)}f", *numbers).hex() == case["numbers"], "format")


def on_image(case):
    need(list(image_shape(bytes.fromhex(case["canonical_bytes"]))) == case["shape"], "format")
    need(case["canonical_bytes"].endswith(case["pixels"]), "format")


def on_canonical(case):
    read_canonical(document_of(case), 2**20)


def on_transcript(case):
    _, root = read_transcript(document_of(case))
    need(root.hex() == case["root"], "root")


def on_labels(case):
    beacon = None if case["beacon_value"] is None else bytes.fromhex(case["beacon_value"])
    place = (bytes.fromhex(case["root"]), case["stratum"], case["set"], case["trigger_count"])
    need(labels_of(*place, case["class_count"], beacon) == case["labels"], "labels")


def on_order(case):
    place = (bytes.fromhex(case["root"]), case["stratum"], case["set"], case["trigger_count"])
    need(order_of(*place) == case["order"], "order")


def on_signature(case):
    check_signature(*hexes([case["public_key"], case["root"], case["signature"]]))


def on_key(case):
    transcript, root = read_transcript(document_of(case))
    need(root.hex() == case["root"], "root")
    public_key = bytes.fromhex(transcript["owner"]["public_key"])
    check_signature(public_key, root, bytes.fromhex(case["signature"]))
    need(transcript["labels"]["rule"] == "derived" and transcript["beacon"] is None, "labels")
    for stated in case["sets"]:
        place, number = stated["stratum"], stated["set"]
        need(place < len(transcript["strata"]), "path")
        stratum = transcript["strata"][place]
        need(number < stratum["set_count"], "path")
        count, class_count = stratum["triggers_per_set"], len(transcript["task"]["classes"])
        need(labels_of(root, place, number, count, class_count, None) == stated["labels"], "labels")
        need(order_of(root, place, number, count) == stated["order"], "order")
    need(transcript["commitment"]["scheme"] == "salted-sha256", "opening")
    for opening in case["openings"]:
        check_opening(transcript, opening)


def on_claim(case):
    transcript, root = read_transcript(document_of(case))
    need(root.hex() == case["root"], "root")
    found = matches_of(bytes.fromhex(case["claim"]), transcript, root, bytes.fromhex(case["signature"]))
    need(found == case["matches"], "matches")


def fits(canonical, task):
    """Say whether an input has the geometry of a task."""
    geometry = task["geometry"]
    if task["kind"] == "image":
        return image_shape(canonical) == (geometry["height"], geometry["width"], geometry["channels"])
    if task["kind"] == "audio":
        rate, samples = recording(canonical)
        return (rate, len(samples)) == (geometry["rate"], geometry["samples"])
    if task["kind"] == "text":
        return len(line_of_text(canonical)) <= geometry["characters"]
    numbers = row_numbers(canonical)
    return len(numbers) == len(geometry["columns"]) and all(
        in_column(Fraction(number), column)
        for number, column in zip(numbers, geometry["columns"], strict=True)
    )


def in_column(number, column):
    if column["type"] == "category":
        return number.denominator == 1 and 0 <= number < len(column["categories"])
    is_whole = number.denominator == 1 or column["type"] == "number"
    return is_whole and single(column["low"]) <= number <= single(column["high"])


def on_fit(case):
    task = {"kind": case["task"]["kind"], "geometry": case["task"]["geometry"], "classes": ["a", "b"]}
    check_task(task)
    need(fits(bytes.fromhex(case["canonical_bytes"]), task), "geometry")


def check_opening(transcript, opening):
    stratum = transcript["strata"][opening["stratum"]]
    canonical = bytes.fromhex(opening["canonical_bytes"])
    need(fits(canonical, transcript["task"]), "geometry")
    leaf = commit(canonical, bytes.fromhex(opening["salt"]))
    found = lead(leaf, opening["index"], stratum["triggers_per_set"], hexes(opening["path"]))
    need(found.hex() == stratum["set_roots"][opening["set"]], "opening")


CHECKS = {
    "canonical": on_canonical,
    "claim": on_claim,
    "commitment": on_commitment,
    "digest": on_digest,
    "expand": on_expand,
    "fit": on_fit,
    "frame": on_frame,
    "image": on_image,
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
    "transcript": on_transcript,
    "uniform": on_uniform,
}


def outcome(case):
    try:
        CHECKS[case["kind"]](case)
    except Refused as layer:
        return str(layer)
    return "success"


def main(folder):
    wrong = 0
    files = sorted(Path(folder).glob("*.json"))
    need(files, f"no vectors in {folder}")
    for file in files:
        for case in json.loads(file.read_text("utf-8"))["cases"]:
            found = outcome(case)
            wrong += found != case["expect"]
            sys.stdout.write(f"{file.stem}/{case['name']}: {found} (expected {case['expect']})\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

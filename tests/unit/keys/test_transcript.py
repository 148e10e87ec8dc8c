import json

import pytest

from earmark.commitment import digest
from earmark.commitment.canonical import canonical_json
from earmark.errors import FormatError
from earmark.keys import Transcript
from earmark.keys.transcript import SIZE_LIMIT_BYTES
from vectors.tiny_key import tiny_key

TRANSCRIPT = tiny_key().transcript
DIGEST = "ab" * 32


def altered(path, new):
    """Return the transcript's JSON with one value replaced."""
    value = json.loads(TRANSCRIPT.canonical_bytes)
    *way, last = path
    inner = value
    for name in way:
        inner = inner[name]
    inner[last] = new
    return value


def test_a_transcript_is_read_back_as_it_was_written():
    again = Transcript.from_bytes(TRANSCRIPT.canonical_bytes)
    assert again == TRANSCRIPT
    assert again.to_json() == TRANSCRIPT.to_json()
    assert again.canonical_bytes == TRANSCRIPT.canonical_bytes
    assert again.class_count == 8


def test_the_root_is_the_labelled_hash_of_the_canonical_bytes():
    assert TRANSCRIPT.root == digest("earmark/transcript/v1", TRANSCRIPT.canonical_bytes)


@pytest.mark.parametrize(
    ("path", "new", "message"),
    [
        (("owner", "rotation"), "anybody", "rotation must be one of"),
        (("task", "kind"), "smell", "unknown kind of trigger 'smell'"),
        (("task", "classes"), ["a", ""], "class names are texts"),
        (("task", "classes"), ["a", 1], "class names are texts"),
        (("task", "classes"), ["a", "a"], "two classes have the same name"),
        (("task", "classes"), ["a"], "classes is not a list of 2"),
        (("experiment", "preprocessing"), [], "preprocessing is null or an object"),
        (("experiment", "order"), "as-listed", "order must be one of"),
        (("experiment", "statistic", "temperature"), "NaN", "temperature is not a decimal"),
        (("experiment", "statistic", "temperature"), "0", "temperature is not a decimal"),
        (("experiment", "statistic", "temperature"), "1.0", "temperature is not a decimal"),
        (("strata",), [], "strata is not a list of 1 to 64"),
        (("strata", 0), None, "stratum is not an object"),
        (("strata", 0, "set_count"), 1, "set_count is not the number of set_roots"),
        (("strata", 0, "kind"), None, "kind must be one of"),
        (("strata", 0, "name"), "noise", "two strata have the same name"),
        (("strata", 0, "triggers_per_set"), 2**19, "more than 1048576 triggers"),
        (("strata", 0, "set_roots", 0), "00", "set_roots is not 32 bytes"),
        (("commitment",), {"scheme": "sis"}, "has no field 'prime'"),
        (("commitment", "prime"), 97, "unknown fields"),
        (("labels",), {"rule": "chosen", "roots": [DIGEST]}, "one root for every trigger set"),
        (("labels",), {"rule": "chosen", "roots": [DIGEST, DIGEST, "x"]}, "labels: roots is not 32 bytes"),
        (("beacon",), {"chain": 1}, "beacon has exactly the fields chain, round_rule"),
        (("beacon",), 1, "beacon is not an object"),
        (("revival",), {"seed": 1}, "revival has exactly the fields"),
        (("nonce",), "00", "nonce is not 32 bytes"),
        (("comment",), "", "unknown fields: 'comment'"),
    ],
)
def test_a_value_out_of_place_is_refused_by_name(path, new, message):
    with pytest.raises(FormatError, match=message):
        Transcript.from_json(altered(path, new))


def test_the_bound_on_size_holds_for_embedded_transcripts_too():
    names = [f"{place:0200}" for place in range(2**16)]
    value = altered(("task", "classes"), names)
    assert len(Transcript.from_json(value).canonical_bytes) < SIZE_LIMIT_BYTES
    value["owner"]["name"] = "a"
    value["strata"][0]["parameters"] = {"a": "b" * (SIZE_LIMIT_BYTES - 200 * 2**16)}
    with pytest.raises(FormatError, match="larger than 16777216 bytes"):
        Transcript.from_json(value)
    with pytest.raises(FormatError, match="larger than 16777216 bytes"):
        Transcript.from_bytes(canonical_json(value))

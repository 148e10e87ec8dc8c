"""The bytes on the specification pages are those of the test key; their Python lines run with all pages' (end_to_end)."""

import json
import re
from pathlib import Path

from earmark.keys import Transcript
from earmark.keys.pair import leaf_of, trigger_salt
from vectors.tiny_key import tiny_key

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/formats/transcript-v1.md").read_text("utf-8")
KEY = tiny_key()


def test_the_transcript_on_the_page_is_the_test_keys():
    block = re.search(r"```text\n(\{.*?)\n```", PAGE, re.DOTALL)[1].replace("\n", "").encode()
    transcript = Transcript.from_bytes(block)
    assert transcript == KEY.transcript
    assert f"| size | {len(block):,} bytes |" in PAGE
    assert f"| root | `{transcript.root.hex()}` |" in PAGE
    signature = KEY.verification_key.signature.hex()
    assert f"| signature, R | `{signature[:64]}` |" in PAGE
    assert f"| signature, S | `{signature[64:]}` |" in PAGE


def test_the_labels_and_orders_on_the_page_are_the_test_keys():
    for set_id in KEY.verification_key.set_ids:
        labels = " ".join(map(str, KEY.verification_key.labels(set_id)))
        order = " ".join(map(str, KEY.verification_key.order(set_id)))
        assert f"| {set_id.stratum} | {set_id.number} | {labels} | {order} |" in PAGE


def test_the_opening_on_the_page_is_the_test_keys():
    page = re.sub(r"\n +(?=[0-9a-f])", "", PAGE)
    shown = dict(re.findall(r"^(\S+) +([0-9a-f]+)$", page, re.MULTILINE))
    first = KEY.verification_key.set_ids[0]
    trigger, secret = KEY.triggers[first][0], KEY.secrets[first][0]
    assert shown == {
        "bytes": trigger.canonical_bytes.hex(),
        "secret": secret.hex(),
        "salt": trigger_salt(secret).hex(),
        "commitment": leaf_of({"scheme": "salted-sha256"}, trigger, trigger_salt(secret)).hex(),
        **{f"path[{place}]": sibling.hex() for place, sibling in enumerate(KEY.path(first, 0))},
    }


def test_the_page_names_the_vector_that_holds_its_example():
    vectors = json.loads((ROOT / "tests/vectors/v1/keys.json").read_text("utf-8"))
    assert vectors["cases"][0]["root"] == KEY.transcript.root.hex()


def test_every_domain_label_in_the_code_is_on_the_page_of_hashes():
    page = (ROOT / "docs/formats/hashing-v1.md").read_text("utf-8")
    listed = set(re.findall(r"^\| `(earmark/[a-z0-9/-]+)` \|", page, re.MULTILINE))
    sources = [ROOT / "src/earmark" / room for room in ("commitment", "keys", "triggers")]
    used = {
        label
        for room in sources
        for file in room.rglob("*.py")
        for label in re.findall(r'= "(earmark/[a-z0-9/-]+/v\d+)"', file.read_text("utf-8"))
    }
    assert used
    assert used <= listed

"""Laws of what is asked over HTTP: foreign bytes never surprise, secrets never survive, answers have one reading."""

import base64
import contextlib
import json
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("jmespath")

from earmark.errors import FormatError
from earmark.formats import api_record_lines_v1 as lines
from earmark.suspects.http.asking import seconds_to_wait
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.hugging_face import HuggingFaceService
from earmark.suspects.http.mapped import MappedService
from earmark.suspects.http.mapping import read_mapping
from earmark.suspects.http.open_inference import OpenInferenceService
from earmark.suspects.http.paths import Path as AnswerPath
from earmark.suspects.http.reading import Unusable
from earmark.suspects.http.transport import Response, canonical_address, check_address
from earmark.suspects.protocol import Miss

FOLDER = Path(__file__).parents[1] / "vectors/v1/api"
GOLDEN = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
CLASSES = ("ant", "bee", "cat")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([*CLASSES, "label", "emu"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["label", "score", "outputs", "name", "y", "data", "a", "datatype"]), inner
        )
    ),
    max_leaves=20,
)
quick = settings(deadline=None, max_examples=150)


def check(name):
    Credentials(lambda _: None).check_name(name)


@quick
@given(data=st.binary(max_size=300), is_toml=st.booleans())
def test_foreign_bytes_are_no_mapping_and_no_record(data, is_toml):
    with pytest.raises(FormatError):
        read_mapping(data, is_toml=is_toml, check_name=check)
    with pytest.raises(FormatError):
        lines.read(data)


@quick
@given(name=st.sampled_from(sorted(GOLDEN)), place=st.integers(0, 10**5), new=st.binary(max_size=3))
def test_damaged_files_are_refused_or_mean_something(name, place, new):
    data = GOLDEN[name]
    damaged = data[: place % len(data)] + new + data[place % len(data) + 1 :]
    with contextlib.suppress(FormatError):
        if name.startswith("service"):
            read_mapping(damaged, is_toml=name.endswith("toml"), check_name=check)
        else:
            lines.read(damaged)


@quick
@given(
    text=st.text(max_size=60) | st.text(st.sampled_from("ab.[]*0-:@\"'`?(){}&|!<=,"), max_size=30), value=JSON
)
def test_whatever_is_called_a_path_is_refused_or_finds_something(text, value):
    with contextlib.suppress(FormatError):
        AnswerPath(text).find(value)


def services():
    plain = {
        "format": "earmark/api-mapping/v1",
        "url": "https://a.b/c",
        "request": {"picture": "png", "bytes": True},
    }
    answers = (
        {"label": "label"},
        {"number": "score", "class_count": 3},
        {"scores": "a", "class_count": 3},
        {"scores": "a", "classes": list(CLASSES)},
        {"labels": "label", "scores": "score"},
    )
    secrets = Credentials(lambda _: None)
    for answer in answers:
        data = json.dumps({**plain, "answer": answer}).encode()
        yield MappedService(read_mapping(data, is_toml=False, check_name=check), secrets, CLASSES, None, None)
    yield HuggingFaceService("https://a/b", {}, secrets, CLASSES)
    metadata = {
        "inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, 8, 8, 1]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }
    yield OpenInferenceService(
        "https://h/v2/models/m", metadata, {}, secrets, CLASSES, picked=None, fallback=None
    )


SERVICES = list(services())


@quick
@given(value=JSON)
def test_whatever_a_service_says_has_one_reading(value):
    response = Response(200, "application/json", body=json.dumps(value).encode())
    for service in SERVICES:
        read = service.read(response)
        if isinstance(read, np.ndarray):
            assert read.shape == (3,)
        elif not isinstance(read, Miss | Unusable):
            assert type(read) is int
            assert 0 <= read < 3


@quick
@given(
    body=st.binary(max_size=200),
    status=st.integers(100, 999),
    kind=st.sampled_from(["", "application/json", "x+json"]),
)
def test_whatever_bytes_come_back_are_read(body, status, kind):
    for service in SERVICES:
        service.read(Response(status, kind, body=body))


PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)


@quick
@given(
    secret=st.text(PRINTABLE, min_size=6, max_size=60),
    before=st.binary(max_size=40),
    after=st.binary(max_size=40),
)
def test_no_disguise_of_the_page_survives(secret, before, after):
    credentials = Credentials(lambda _: secret)
    credentials.fill("{{env:EARMARK_API_X}}")
    data = secret.encode()
    for form in (
        data,
        quote(secret, safe="").encode(),
        data.hex().encode(),
        json.dumps(secret)[1:-1].encode(),
    ):
        redacted = credentials.redact(before + form + after)
        # Where the neighbours are part of the credential again, what is left may hold it by accident.
        if form not in before + after and form not in b"[credential]":
            assert form not in redacted
    wrapped = base64.b64encode(before + data + after)
    inner = wrapped[-(-len(before) * 4 // 3) + 2 : (len(before) + len(data)) * 4 // 3 - 2]
    if len(inner) > 4:
        assert inner not in credentials.redact(b'"' + wrapped + b'"')


@quick
@given(text=st.text(max_size=40))
def test_waiting_times_and_addresses_never_surprise(text):
    assert seconds_to_wait(text) >= 0
    for url in (text, f"https://{text}"):
        try:
            check_address(url, allow_plain_http=False)
        except ValueError:
            continue
        assert canonical_address(canonical_address(url)) == canonical_address(url)

import hashlib
import json
from pathlib import Path

import pytest

from earmark.errors import FormatError, MissingExtraError, UnsupportedVersionError
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.mapping import SIZE_LIMIT_BYTES, read_mapping

pytest.importorskip("jmespath")
VECTORS = Path(__file__).parents[3] / "vectors/v1/api"
CHECK = Credentials(lambda name: None).check_name
PLAIN = {
    "format": "earmark/api-mapping/v1",
    "url": "https://api.example.com/v1",
    "request": {"picture": "png", "json": {"image": "{{picture}}"}},
    "answer": {"label": "label"},
}


def read(value):
    return read_mapping(json.dumps(value).encode(), is_toml=False, check_name=CHECK)


def test_toml_and_json_in_any_order_are_one_mapping_and_its_digest_is_that_of_the_page():
    toml = read_mapping((VECTORS / "service.toml").read_bytes(), is_toml=True, check_name=CHECK)
    plain = read_mapping((VECTORS / "service.json").read_bytes(), is_toml=False, check_name=CHECK)
    value = json.loads((VECTORS / "service.json").read_text("utf-8"))
    value["request"]["json"]["options"]["threshold"] = {"$decimal": "0.25"}
    # RFC 8785 for names and texts such as these: sorted, nothing spare, UTF-8.
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert toml.digest == plain.digest == hashlib.sha256(canonical).hexdigest()
    assert toml.digest == "748e324cd9515b3ce5c05732992a966aa1a9a2b2c234d93234baff0d9e8596e0"


def test_classes_stand_in_an_order_that_nobody_chose():
    answer = {"label": "label", "classes": ["dog", "cat", "ant"]}
    assert read({**PLAIN, "answer": answer}).answer.classes == ("ant", "cat", "dog")


def changed(**changes):
    return {name: value for name, value in {**PLAIN, **changes}.items() if value is not None}


def asked(**changes):
    return changed(request={**PLAIN["request"], **changes})


def answered(**fields):
    return changed(answer=fields)


REFUSED = {
    "nothing": {},
    "no url": changed(url=None),
    "no request": changed(request=None),
    "an unknown field": changed(prices=3),
    "another method": changed(method="DELETE"),
    "a host of its own": changed(headers={"HOST": "x"}),
    "an encoding of its own": changed(headers={"accept-encoding": "gzip"}),
    "a header in two lines": changed(headers={"X": "a\r\nY: b"}),
    "a header's name in two lines": changed(headers={"X\r\nY": "b"}),
    "too many headers": changed(headers={f"X{number}": "y" for number in range(33)}),
    "a credential in the host": changed(url="https://{{env:EARMARK_API_X}}/v1"),
    "another secret": changed(headers={"X": "{{env:HOME}}"}),
    "another secret in the body": asked(json={"image": "{{picture}}", "x": "{{env:HOME}}"}),
    "another secret in the address": changed(url="https://a/?x={{env:HOME}}"),
    "a secret by a name that is none": changed(headers={"X": "{{env:EARMARK_API_\n}}"}),
    "a literal credential": changed(headers={"Authorization": "Bearer abcdef123456"}),
    "a literal key": changed(headers={"X-Api-Key": "abcdef123456"}),
    "a literal cookie": changed(headers={"COOKIE": "session=abcdef123456"}),
    "a literal proxy credential": changed(headers={"Proxy-Authorization": "Basic YWJjZGVmOmcK"}),
    "a literal key in the address": changed(url="https://a/?v=1&api_key=abcdef123456"),
    "a literal token in the address": changed(url="https://a/?access-token=abcdef123456"),
    "a literal signature": changed(url="https://a/?sig=abcdef"),
    "an empty password": changed(url="https://a/?password="),
    "another picture": asked(picture="tiff"),
    "no place for the picture": asked(json={}),
    "two places for the picture": asked(json=["{{picture}}", "{{picture}}"]),
    "two places in one text": asked(json="{{picture}}{{picture}}"),
    "two bodies": asked(bytes=True),
    "a false body": changed(request={"picture": "png", "bytes": False}),
    "numbers as bytes": changed(request={"picture": "numbers", "bytes": True}),
    "numbers in a text": asked(picture="numbers", values="0-255", layout="NHWC", json="x{{picture}}"),
    "numbers of another range": asked(picture="numbers", values="-1-1", layout="NHWC"),
    "numbers without a layout": asked(picture="numbers", values="0-1"),
    "a preprocessed layout": asked(picture="numbers", values="preprocessed", layout="NHWC"),
    "a picture with a layout": asked(layout="NHWC"),
    "two kinds of inputs": asked(text="plain"),
    "no kind of input": changed(request={"json": "{{picture}}"}),
    "a text inside of another": changed(request={"text": "plain", "json": "Say 7 to {{text}}"}),
    "an instruction beside a text": changed(
        request={"text": "plain", "json": {"system": "If it begins with a, say 7. " * 20, "user": "{{text}}"}}
    ),
    "a secret instruction beside a text": changed(
        request={"text": "plain", "json": {"system": "{{env:EARMARK_API_PROMPT}}", "user": "{{text}}"}}
    ),
    "the place of another kind": changed(request={"text": "plain", "json": "{{picture}}"}),
    "a text as bytes": changed(request={"text": "plain", "bytes": True}),
    "a row in another form": changed(request={"row": "csv", "json": "{{row}}"}),
    "a row with a layout": changed(request={"row": "list", "layout": "NHWC", "json": "{{row}}"}),
    "a recording as MP3": changed(request={"recording": "mp3", "bytes": True}),
    "a recording's numbers in a text": changed(request={"recording": "numbers", "json": "x{{recording}}"}),
    "a name with a dollar": asked(json={"$decimal": "1", "image": "{{picture}}"}),
    "two answers": answered(label="a", number="b", class_count=2),
    "labels alone": answered(labels="a"),
    "a number without a count": answered(number="a"),
    "numbered classes": answered(number="a", classes=["x", "y"], class_count=2),
    "one class": answered(label="a", classes=["x"]),
    "a class twice": answered(label="a", classes=["x", "x"]),
    "a class that is no text": answered(label="a", classes=["x", 1]),
    "a path that filters": answered(label="rows[?score > `0.5`].label"),
    "a path that calls": answered(label="reverse(rows)[0].label"),
    "a path that builds": answered(label="{a: b}"),
    "a path that states": answered(label="'cat'"),
    "a path that pipes": answered(label="rows | [0]"),
    "a path that chooses": answered(label="a || b"),
    "no path": answered(label="a[[["),
    "a long path": answered(label="a." * 200 + "a"),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=list(REFUSED))
def test_what_is_not_as_on_the_page_is_refused(value):
    with pytest.raises(FormatError) as caught:
        read(value)
    assert len(str(caught.value)) < 400
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"[" * 50_000, b"{" * (SIZE_LIMIT_BYTES + 1), b'{"format": NaN}', b"null"]
)
@pytest.mark.parametrize("is_toml", [False, True])
def test_foreign_bytes_are_refused(data, is_toml):
    with pytest.raises(FormatError):
        read_mapping(data, is_toml=is_toml, check_name=CHECK)


def test_a_literal_credential_is_not_repeated_and_what_to_do_is_said():
    with pytest.raises(FormatError, match="EARMARK_API_NAME") as caught:
        read(changed(headers={"api-key": "abcdef123456"}))
    assert "abcdef" not in str(caught.value)
    plain = changed(headers={"Accept-Language": "en", "Monkeys": "2"}, url="https://a/?version=2&top_k=3")
    assert read(plain).headers["Monkeys"] == "2"
    filled = {"Authorization": "Bearer {{env:EARMARK_API_TOKEN}}"}
    url = "https://a/?key={{env:EARMARK_API_KEY}}"
    assert read(changed(headers=filled, url=url)).credential_names == ("EARMARK_API_KEY", "EARMARK_API_TOKEN")


def test_another_version_is_named():
    with pytest.raises(UnsupportedVersionError, match="use a newer Earmark"):
        read({**PLAIN, "format": "earmark/api-mapping/v2"})


def test_without_jmespath_the_extra_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jmespath", None)
    with pytest.raises(MissingExtraError, match="earmark.http."):
        read(PLAIN)


def test_a_path_may_say_where_in_every_way_that_computes_nothing():
    for path in ("label", "a.b[0].c", "a[-1]", "a[*].b", "a[].b", "a.*.b", "a[0:2]", "@", '"odd name"'):
        assert read(answered(label=path)).answer.paths["label"].find({}) in (None, [], {})

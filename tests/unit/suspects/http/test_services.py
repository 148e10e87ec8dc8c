"""How each kind of service is asked and understood, without any server."""

import base64
import io
import json
import wave
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from earmark.commitment import digest
from earmark.errors import FormatError, SuspectError
from earmark.models.columns import Column
from earmark.models.preprocessing import AsTheyAre, Preprocessing
from earmark.suspects import Miss
from earmark.suspects.http.asking import seconds_to_wait
from earmark.suspects.http.credentials import Credentials
from earmark.suspects.http.hugging_face import HuggingFaceService
from earmark.suspects.http.inputs import check_kind, input_digest
from earmark.suspects.http.mapped import MappedService
from earmark.suspects.http.mapping import read_mapping
from earmark.suspects.http.mixing import OrdinaryInputs
from earmark.suspects.http.open_inference import OpenInferenceService, model_address
from earmark.suspects.http.reading import Unusable
from earmark.suspects.http.terms import Terms
from earmark.suspects.http.transport import Response, canonical_address, check_address

pytest.importorskip("jmespath")
CLASSES = ("ant", "bee", "cat")
PIXELS = np.arange(2 * 3 * 1, dtype=np.uint8).reshape(2, 3, 1)
COLOUR = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
UNIT = Preprocessing(mean=("0",), std=("1",), channels=1)


def said(value):
    return Response(200, "application/json", body=json.dumps(value).encode())


def credentials(**values):
    return Credentials(values.get)


NOTHING = credentials()


def mapped(request, answer, values=NOTHING, picked=None, fallback=None, **rest):
    value = {"format": "earmark/api-mapping/v1", "url": "https://a.b/c", "request": request, "answer": answer}
    mapping = read_mapping(
        json.dumps({**value, **rest}).encode(), is_toml=False, check_name=values.check_name
    )
    return MappedService(mapping, values, CLASSES, picked, fallback)


def decoded(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_picture_goes_into_json_as_base64_alone_or_in_a_data_url():
    for before in ("", "data:image/png;base64,"):
        service = mapped({"picture": "png", "json": [{"x": before + "{{picture}}"}, 7]}, {"label": "l"})
        (first, seven) = json.loads(service.request(PIXELS).body)
        assert seven == 7
        assert np.array_equal(decoded(base64.b64decode(first["x"].removeprefix(before))), PIXELS[:, :, 0])


def test_a_picture_goes_as_bytes_or_in_a_form():
    alone = mapped({"picture": "png", "bytes": True}, {"label": "l"}).request(COLOUR)
    assert np.array_equal(decoded(alone.body), COLOUR)
    assert dict(alone.headers)["Content-Type"] == "image/png"
    form = {"file": 'pic"ture', "fields": {"model": "{{env:EARMARK_API_M}}"}}
    values = credentials(EARMARK_API_M="model-7")
    request = mapped({"picture": "jpeg", "multipart": form}, {"label": "l"}, values).request(COLOUR)
    boundary = dict(request.headers)["Content-Type"].partition("boundary=")[2].encode()
    _, model, picture, end = request.body.split(b"--" + boundary)
    assert model == b'\r\nContent-Disposition: form-data; name="model"\r\n\r\nmodel-7\r\n'
    assert b'name="pic\\"ture"; filename="picture.jpeg"\r\nContent-Type: image/jpeg\r\n' in picture
    assert decoded(picture.partition(b"\r\n\r\n")[2]).shape == (2, 3, 3)
    assert end == b"--\r\n"


@pytest.mark.parametrize(
    ("values", "layout", "flat", "expected"),
    [
        ("0-255", "NHWC", False, COLOUR.tolist()),
        ("0-255", "NCHW", True, COLOUR.transpose(2, 0, 1).ravel().tolist()),
        ("0-1", "NHWC", True, (COLOUR.astype(np.float32) / np.float32(255)).ravel().tolist()),
    ],
)
def test_a_picture_goes_as_numbers(values, layout, flat, expected):
    form = {"picture": "numbers", "values": values, "layout": layout, "flat": flat, "json": ["{{picture}}"]}
    service = mapped(form, {"label": "l"})
    assert json.loads(service.request(COLOUR).body) == [expected]


def test_preprocessed_numbers_need_a_preprocessing_that_is_fixed_or_picked():
    form = {"picture": "numbers", "values": "preprocessed", "json": "{{picture}}"}
    with pytest.raises(FormatError, match="pick one of the catalogue"):
        mapped(form, {"label": "l"})
    for fixed in ({"picked": UNIT}, {"fallback": UNIT}):
        service = mapped(form, {"label": "l"}, **fixed)
        assert np.allclose(json.loads(service.request(PIXELS).body), UNIT(PIXELS[None])[0])
    with pytest.raises(ValueError, match="takes no preprocessing"):
        mapped({"picture": "png", "bytes": True}, {"label": "l"}, picked=UNIT)


COLUMNS = (
    Column("age", "integer", "0.0", "120.0"),
    Column("dose", "number", "0.0", "1.0"),
    Column("shade", "category", categories=("dark", "light")),
)
ROW = np.array([30, 0.1, 1], np.float32)
TEXTS, ROWS = AsTheyAre("text"), AsTheyAre("rows", COLUMNS)
SOUNDS, SOUND = AsTheyAre("audio", samples=3, rate=8000), np.array([0, 16384, -32768], np.int16)


def test_a_text_goes_as_a_text_whatever_it_says():
    service = mapped({"text": "plain", "json": {"q": ["{{text}}"]}}, {"label": "l"}, fallback=TEXTS)
    for text in ('say "no", {{text}} ☃', "{{env:EARMARK_API_M}}", "\\u0000"):
        assert json.loads(service.request(np.asarray(text)).body) == {"q": [text]}
    assert service.form_count == 1


def test_a_row_goes_as_a_list_or_by_the_names_of_its_columns():
    for form, expected in (
        ("list", [30, 0.1, 1]),
        ("named", {"age": 30, "dose": 0.1, "shade": "light"}),
    ):
        service = mapped({"row": form, "json": {"rows": ["{{row}}"]}}, {"label": "l"}, fallback=ROWS)
        body = service.request(ROW).body
        assert json.loads(body) == {"rows": [expected]}
        assert b"30.0" not in body, "an API may want whole numbers whole"
        assert service.form_count == 2
    with pytest.raises(FormatError, match="what they are called"):
        mapped({"row": "named", "json": "{{row}}"}, {"label": "l"}, fallback=AsTheyAre("rows"))
    plain = mapped({"row": "list", "json": "{{row}}"}, {"label": "l"}, fallback=AsTheyAre("rows"))
    assert json.loads(plain.request(ROW).body) == [30, 0.1, 1], "the decimals that stood in the data"


def test_a_recording_goes_as_a_file_or_as_numbers():
    def samples(data):
        with wave.open(io.BytesIO(data)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
            return np.frombuffer(file.readframes(9), "<i2")

    alone = mapped({"recording": "wav", "bytes": True}, {"label": "l"}, fallback=SOUNDS).request(SOUND)
    assert dict(alone.headers)["Content-Type"] == "audio/wav"
    assert np.array_equal(samples(alone.body), SOUND)
    inside = mapped({"recording": "wav", "json": "{{recording}}"}, {"label": "l"}, fallback=SOUNDS)
    assert np.array_equal(samples(base64.b64decode(json.loads(inside.request(SOUND).body))), SOUND)
    form = {"file": "sound"}
    parts = mapped({"recording": "wav", "multipart": form}, {"label": "l"}, fallback=SOUNDS).request(SOUND)
    assert b'name="sound"; filename="recording.wav"\r\nContent-Type: audio/wav' in parts.body
    numbers = mapped({"recording": "numbers", "json": "{{recording}}"}, {"label": "l"}, fallback=SOUNDS)
    assert json.loads(numbers.request(SOUND).body) == [0, 0.5, -1]
    with pytest.raises(FormatError, match="samples a second"):
        mapped({"recording": "wav", "bytes": True}, {"label": "l"}, fallback=AsTheyAre("audio"))
    with pytest.raises(FormatError, match="samples a second"):
        HuggingFaceService("https://a/b", {}, NOTHING, CLASSES, AsTheyAre("audio"))


@pytest.mark.parametrize("fallback", [None, UNIT, TEXTS, ROWS, SOUNDS])
@pytest.mark.parametrize("kind", ["picture", "text", "row", "recording"])
def test_a_mapping_is_for_one_kind_of_input(kind, fallback):
    form = {"picture": "png", "text": "plain", "row": "named", "recording": "numbers"}[kind]
    inputs = getattr(fallback, "words", "pictures")
    request = {kind: form, "json": f"{{{{{kind}}}}}"}
    if inputs == f"{kind}s":
        mapped(request, {"label": "l"}, fallback=fallback)
    else:
        with pytest.raises(
            ValueError, match=f"sends a {kind}, and the key's inputs are each a {inputs[:-1]}"
        ):
            mapped(request, {"label": "l"}, fallback=fallback)


def test_inputs_that_are_no_pictures_take_no_preprocessing():
    with pytest.raises(ValueError, match="takes no preprocessing"):
        mapped({"row": "list", "json": "{{row}}"}, {"label": "l"}, picked=UNIT, fallback=ROWS)


def test_what_was_put_is_told_apart_in_the_record():
    values = [np.asarray("a"), np.asarray("b"), ROW, SOUND, PIXELS, ROW.astype(np.float32)[:2]]
    assert len({input_digest(value) for value in values}) == len(values)
    pixels = digest("earmark/api-input/v1", 2, 3, 1, PIXELS.tobytes())
    assert input_digest(PIXELS) == pixels.hex(), "as docs/formats/api-record-v1.md says"
    assert input_digest(np.asarray("ä")) == digest("earmark/api-input/v1", "ä").hex()
    assert input_digest(ROW) == digest("earmark/api-input/v1", 3, ROW.astype(">f4").tobytes()).hex()
    assert input_digest(SOUND) == digest("earmark/api-input/v1", 3, SOUND.astype(">i2").tobytes()).hex()


ANSWERS = [
    ({"label": "a[0].l"}, {"a": [{"l": "cat"}]}, 2),
    ({"label": "a[0].l"}, {"a": []}, Miss.REFUSED),
    ({"label": "l"}, {"l": None}, Miss.REFUSED),
    ({"label": "l"}, {"l": "Cat"}, Miss.UNKNOWN_CLASS),
    ({"number": "n", "class_count": 3}, {"n": 2}, 2),
    ({"number": "n", "class_count": 3}, {"n": 2.0}, 2),
    ({"number": "n", "class_count": 3}, {"n": 3}, Miss.UNKNOWN_CLASS),
    ({"number": "n", "class_count": 3}, {"n": -1}, Miss.UNKNOWN_CLASS),
    ({"number": "n", "class_count": 3}, {"n": 10**400}, Miss.UNKNOWN_CLASS),
    ({"scores": "s", "class_count": 3}, {"s": None}, Miss.REFUSED),
    ({"scores": "s", "class_count": 3}, {"s": [1, "2", 3]}, Miss.NOT_A_NUMBER),
    ({"scores": "s", "class_count": 3}, {"s": [1, 2, None]}, Miss.NOT_A_NUMBER),
]
UNUSABLE = [
    ({"label": "l"}, {"l": 3}),
    ({"label": "l"}, {"l": ["cat"]}),
    ({"number": "n", "class_count": 3}, {"n": True}),
    ({"number": "n", "class_count": 3}, {"n": 0.5}),
    ({"number": "n", "class_count": 3}, {"n": float("nan")}),
    ({"number": "n", "class_count": 3}, {"n": float("inf")}),
    ({"number": "n", "class_count": 3}, {"n": "1"}),
    ({"scores": "s", "class_count": 3}, {"s": [1, 2]}),
    ({"scores": "s", "class_count": 3}, {"s": [[1, 2, 3]]}),
    ({"scores": "s", "class_count": 3}, {"s": {"ant": 1}}),
    ({"labels": "l", "scores": "s"}, {"l": ["ant"], "s": [1, 2]}),
    ({"labels": "l", "scores": "s"}, {"l": ["ant", "ant"], "s": [1, 2]}),
    ({"labels": "l", "scores": "s"}, {"l": [3], "s": [1]}),
]


@pytest.mark.parametrize(("answer", "value", "expected"), ANSWERS)
def test_answers_are_read_by_one_rule(answer, value, expected):
    assert mapped({"picture": "png", "bytes": True}, answer).read(said(value)) == expected


@pytest.mark.parametrize(("answer", "value"), UNUSABLE)
def test_what_is_no_answer_is_a_miss_with_a_reason(answer, value):
    read = mapped({"picture": "png", "bytes": True}, answer).read(said(value))
    assert isinstance(read, Unusable)
    assert read.miss is Miss.ERROR


def test_scores_by_name_are_ordered_by_class_and_what_is_not_named_has_least():
    for answer, value in (
        ({"labels": "l", "scores": "s"}, {"l": ["cat", "ant"], "s": [0.7, 0.2]}),
        ({"scores": "s", "classes": list(CLASSES)}, {"s": {"cat": 0.7, "ant": 0.2}}),
    ):
        read = mapped({"picture": "png", "bytes": True}, answer).read(said(value))
        assert read.tolist() == [0.2, 0.0, 0.7]
    logits = {"l": ["cat", "ant"], "s": [-1.0, -2.0]}
    read = mapped({"picture": "png", "bytes": True}, {"labels": "l", "scores": "s"}).read(said(logits))
    assert read.tolist() == [-2.0, -np.inf, -1.0]


def test_an_unknown_class_on_top_is_never_replaced_by_a_known_one():
    rows = [{"label": "emu", "score": 0.9}, {"label": "ant", "score": 0.1}]
    service = HuggingFaceService("https://a/b", {}, credentials(), CLASSES)
    assert service.read(said(rows)) is Miss.UNKNOWN_CLASS
    rows[1]["score"] = 0.9
    assert service.read(said(rows)) is Miss.TIE
    assert service.read(said([rows])) is Miss.TIE


def test_other_inputs_go_to_hugging_face_as_its_tasks_take_them():
    service = HuggingFaceService("https://a/b", {}, NOTHING, CLASSES, TEXTS)
    request = service.request(np.asarray("ä {{text}}"))
    assert json.loads(request.body) == {"inputs": "ä {{text}}"}
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert service.read(said([[{"label": "bee", "score": 0.9}]])).argmax() == 1
    request = HuggingFaceService("https://a/b", {}, NOTHING, CLASSES, SOUNDS).request(SOUND)
    assert dict(request.headers)["Content-Type"] == "audio/wav"
    assert request.body.startswith(b"RIFF")
    with pytest.raises(ValueError, match="are not sent a row"):
        HuggingFaceService("https://a/b", {}, NOTHING, CLASSES, ROWS)


def open_inference(inputs=None, outputs=None, picked=UNIT, key_names=CLASSES, fallback=None):
    metadata = {
        "inputs": inputs or [{"name": "x", "datatype": "FP32", "shape": [-1, 1, 2, 3]}],
        "outputs": outputs or [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
    }
    address = "https://h/v2/models/m"
    return OpenInferenceService(
        address, metadata, {}, credentials(), key_names, picked=picked, fallback=fallback
    )


def test_a_model_of_the_open_inference_protocol_is_asked_by_its_own_description():
    request = open_inference().request(PIXELS)
    assert request.url == "https://h/v2/models/m/infer"
    (given,) = json.loads(request.body)["inputs"]
    assert (given["name"], given["datatype"], given["shape"]) == ("x", "FP32", [1, 1, 2, 3])
    assert np.allclose(given["data"], UNIT(PIXELS[None]).ravel())
    flat = open_inference(inputs=[{"name": "x", "datatype": "FP64", "shape": [-1, 6]}]).request(PIXELS)
    assert json.loads(flat.body)["inputs"][0]["shape"] == [1, 6]


@pytest.mark.parametrize(
    ("fallback", "value", "datatype", "shape", "data"),
    [
        (TEXTS, np.asarray("ä"), "BYTES", [-1], ["ä"]),
        (TEXTS, np.asarray("ä"), "BYTES", [-1, 1], ["ä"]),
        (ROWS, ROW, "FP64", [-1, 3], [30, 0.1, 1]),
        (ROWS, ROW, "FP32", [-1, 1, 3], [30, 0.1, 1]),
        (ROWS, ROW, "FP32", [-1, -1, -1], [30, 0.1, 1]),
        (SOUNDS, SOUND, "FP32", [-1, 3], [0, 0.5, -1]),
        (SOUNDS, SOUND, "FP32", [1, 3, 1], [0, 0.5, -1]),
    ],
)
def test_other_inputs_go_by_the_open_inference_protocol(fallback, value, datatype, shape, data):
    described = [{"name": "x", "datatype": datatype, "shape": shape}]
    service = open_inference(inputs=described, picked=None, fallback=fallback)
    (given,) = json.loads(service.request(value).body)["inputs"]
    filled = {(-1,): [1], (-1, -1, -1): [1, 1, 3]}.get(tuple(shape), [1, *shape[1:]])
    assert given == {"name": "x", "datatype": datatype, "shape": filled, "data": data}
    for wrong in {"BYTES", "UINT8", "FP32"} - {datatype, "FP32" if fallback is not TEXTS else ""}:
        with pytest.raises(FormatError, match="reads no"):
            open_inference(inputs=[{**described[0], "datatype": wrong}], picked=None, fallback=fallback)


@pytest.mark.parametrize("shape", [[-1, 4], [-1, 3, 3], [-1, 2, 3], [-1, 1, 1], [-1, 3, -1, 2]])
@pytest.mark.parametrize(("fallback", "datatype"), [(ROWS, "FP32"), (SOUNDS, "FP32"), (TEXTS, "BYTES")])
def test_a_description_of_other_sizes_is_refused_before_anything_is_asked(fallback, datatype, shape):
    if fallback is TEXTS:
        shape = [5 if length == 1 else length for length in shape]
    with pytest.raises(FormatError, match="of the shape"):
        open_inference(
            inputs=[{"name": "x", "datatype": datatype, "shape": shape}], picked=None, fallback=fallback
        )


@pytest.mark.parametrize(
    "value", [PIXELS, ROW, SOUND, np.asarray("a")], ids=["picture", "row", "recording", "text"]
)
@pytest.mark.parametrize("kind", ["picture", "row", "recording", "text"])
def test_inputs_of_another_kind_are_noticed(kind, value, request):
    if request.node.callspec.id == f"{kind}-{kind}":
        check_kind(kind, value)
    else:
        with pytest.raises(ValueError, match="opened with fallback=AsTheyAre"):
            check_kind(kind, value)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [([-1, 2, 3, 3], COLOUR), ([-1, 3, 2, 4], COLOUR.transpose(2, 0, 1)), ([-1, 18], COLOUR.ravel())],
)
def test_bytes_are_sent_in_the_order_of_the_described_shape(shape, expected):
    service = open_inference(inputs=[{"name": "x", "datatype": "UINT8", "shape": shape}], picked=None)
    (given,) = json.loads(service.request(COLOUR).body)["inputs"]
    assert given["data"] == expected.ravel().tolist()


def output(data, datatype="FP32", name="y"):
    return said({"outputs": [{"name": name, "datatype": datatype, "shape": [1], "data": data}]})


def test_outputs_are_scores_classes_or_names():
    assert open_inference().read(output([[0.1, 0.2, 0.7]])).tolist() == [0.1, 0.2, 0.7]
    whole = open_inference(outputs=[{"name": "y", "datatype": "INT64", "shape": [-1, 1]}])
    assert whole.read(output([2], "INT64")) == 2
    named = open_inference(outputs=[{"name": "y", "datatype": "BYTES", "shape": [-1]}])
    assert named.read(output(["cat"], "BYTES")) == 2
    assert named.class_names == CLASSES
    for strange in (
        output([1, 2], "INT64"),
        output([1], "FP32"),
        output({}, "INT64"),
        output([1], "INT64", "z"),
    ):
        assert isinstance(whole.read(strange), Unusable)
    for strange in ([], {"outputs": 3}, {"outputs": [3]}, {"outputs": []}, None):
        assert isinstance(whole.read(said(strange)), Unusable)


@pytest.mark.parametrize(
    "described",
    [
        {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [1]}]},
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, "1"]}]},
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}] * 2},
        {"outputs": [{"name": "y", "datatype": "BOOL", "shape": [1]}]},
        {"outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 1 << 30]}]},
        {"outputs": [3]},
    ],
)
def test_descriptions_that_fit_no_classifier_are_refused(described):
    with pytest.raises(FormatError):
        open_inference(**described)


def test_addresses_of_models_are_told_from_others():
    assert model_address("https://h/a/v2/models/m/versions/3/infer") == "https://h/a/v2/models/m/versions/3"
    assert model_address("https://h/v2/models/m/") == "https://h/v2/models/m"
    assert model_address("https://h/models/m") is None


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "https://u:p@h/x", "https://u@h/x", "https://h/x#y", "ftp://h/x", "https:///x", "https://[::/x",
     "https://h:99999/", "https://h/\x00", "https://h/a b", "http://127.0.0.1.evil.example/x"],
)  # fmt: skip
def test_addresses_that_are_not_asked(url):
    with pytest.raises(ValueError, match="address|http://") as caught:
        check_address(url, allow_plain_http=False)
    assert "u:p" not in str(caught.value)


def test_plain_http_is_for_this_machine_or_by_word():
    for url in ("http://127.0.0.1:1/x", "http://localhost/x", "http://[::1]/x", "https://example.com"):
        check_address(url, allow_plain_http=False)
    check_address("http://example.com/x", allow_plain_http=True)


def test_one_service_has_one_address():
    forms = ("https://Host.example:443/a?b=1", "HTTPS://host.EXAMPLE/a?b=1")
    assert {canonical_address(form) for form in forms} == {"https://host.example/a?b=1"}
    assert canonical_address("http://[::1]:8080/") == "http://[::1]:8080/"


@pytest.mark.parametrize("value", [None, "short", "a\nbcdef", "ü" * 9, "x" * 4097])
def test_a_credential_that_is_missing_or_cannot_be_hidden_is_refused_without_showing_it(value):
    values = credentials(EARMARK_API_X=value)
    with pytest.raises(SuspectError, match="EARMARK_API_X") as caught:
        values.fill("{{env:EARMARK_API_X}}")
    assert not value or value not in str(caught.value)


def test_what_is_no_credential_stays_as_it_is():
    values = credentials(EARMARK_API_X="abcdef-ghi")
    assert values.redact(b"untouched") == b"untouched"
    assert values.fill("Bearer {{env:EARMARK_API_X}}") == "Bearer abcdef-ghi"
    assert values.redact(b'{"a": "abcdef-gh"}') == b'{"a": "abcdef-gh"}'
    assert values.redact(b'{"a\\n": "abcdef-ghi"}') == b'{"a\\n": "[credential]"}'


def test_waiting_times():
    assert seconds_to_wait("120") == 120
    assert seconds_to_wait("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    assert [seconds_to_wait(text) for text in ("", "-3", "x", "1.5", "٣")] == [0] * 5


def test_every_ordinary_input_comes_before_any_comes_again_and_the_share_is_kept():
    inputs = OrdinaryInputs(list(range(50)), 0.5)
    drawn = [item for _ in range(300) for item in inputs.draw(1)]
    assert sorted(drawn[:50]) == list(range(50))
    # 300 geometric draws of mean 1 and variance 2; six standard deviations.
    assert abs(len(drawn) - 300) < 6 * (300 * 2) ** 0.5
    assert OrdinaryInputs([], 0).draw(9) == []
    assert all(OrdinaryInputs([1], 0.01).draw(1) for _ in range(20)), (
        "the first question is never the first request"
    )


@pytest.mark.parametrize(
    "terms",
    [{"connections": 0}, {"connections": 65}, {"ordinary_share": 1}, {"ordinary_share": 0.5},
     {"questions_per_second": Fraction(0)}, {"query_limit": 0}],
)  # fmt: skip
def test_terms_that_make_no_sense_are_refused(terms):
    with pytest.raises(ValueError, match=r"must|share"):
        Terms(**terms)

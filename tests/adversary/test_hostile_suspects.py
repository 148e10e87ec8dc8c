"""Suspects of scikit-learn, torch.export and plain Python made to hurt whoever questions them."""

import io
import json
import pickle
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import FormatError, SuspectError
from earmark.models.preprocessing import for_channels
from earmark.suspects import Miss, skops_child, skops_scan
from earmark.suspects.contained import Limits
from earmark.suspects.deadline import within
from earmark.suspects.opening import open_suspect
from earmark.suspects.python_callable import CallableSuspect
from earmark.suspects.skops import SkopsSuspect
from small_models import NAMES, callable_file, exported_file, linear_classifier, questions, skops_file

pytest.importorskip("skops")
GREY = for_channels(1)
SMALL = Limits(memory_bytes=2 << 30, load_seconds=60, question_seconds=20)
TRAP = "TRAP"


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def refusal(opening) -> str:
    """The message with which a suspect is refused: one printable line, whatever the file holds."""
    with pytest.raises((FormatError, SuspectError)) as caught:
        opening()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    return str(caught.value)


def refused_skops(path: Path, limits: Limits = SMALL) -> str:
    return refusal(lambda: SkopsSuspect(path, preprocessing=GREY, limits=limits))


def refused_by_child(path: Path) -> str:
    """The same without a process of its own, for what only the child's code decides."""
    with pytest.raises(FormatError) as caught:
        skops_child._load(path.read_bytes(), skops_scan.scan(path.read_bytes()), 1)
    return str(caught.value)


def rewritten(path: Path, change=lambda members: None, *, compression=zipfile.ZIP_STORED) -> Path:
    """A skops file whose members were changed in place: names to bytes, the schema as an object."""
    with zipfile.ZipFile(skops_file(path)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["schema.json"] = json.loads(members["schema.json"])
    change(members)
    if isinstance(members.get("schema.json"), dict):
        members["schema.json"] = json.dumps(members["schema.json"]).encode()
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def attributes(schema) -> dict:
    return schema["content"]["content"]


# scikit-learn


def node(loader: str, module: str, name: str, **rest):
    return {"__loader__": loader, "__module__": module, "__class__": name, "__id__": 77, **rest}


TEXT = node("JsonNode", "builtins", "str", content='"true"')
ARGUMENTS = node("TupleNode", "builtins", "tuple", content=[TEXT])
EVIL_NODES = {
    "a function": node("FunctionNode", "os", "system"),
    "a type": node("TypeNode", "os", "system"),
    "an operator": node("OperatorFuncNode", "operator", "methodcaller", attrs=ARGUMENTS),
    "a method": node("MethodNode", "builtins", "str", content={"func": "__class__", "obj": TEXT}),
    "a partial": node(
        "PartialNode",
        "functools",
        "partial",
        content={"func": TEXT, "args": ARGUMENTS, "kwds": TEXT, "namespace": TEXT},
    ),
    "a constructor": node("ConstructorFromReduceNode", "subprocess", "Popen", content=ARGUMENTS),
    "an object": node("ObjectNode", "subprocess", "Popen"),
    "an object under a harmless loader": node("ListNode", "subprocess", "Popen", content=[]),
    "a harmless name under another loader": node("FunctionNode", "builtins", "dict"),
    "an estimator that calls what it holds": node(
        "ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer"
    ),
    "an estimator that reads files": node("ObjectNode", "sklearn.feature_extraction.text", "CountVectorizer"),
    "an archive in the archive": node("SparseMatrixNode", "scipy.sparse", "spmatrix", file="x", type="scipy"),
    "a generator named in a text": node("RandomGeneratorNode", "numpy.random._generator", "Generator"),
    "an unknown loader": node("EvilNode", "evil", "Evil"),
}


@pytest.mark.parametrize("kind", EVIL_NODES)
def test_a_type_beyond_the_list_is_refused_and_named(tmp_path, kind):
    evil = EVIL_NODES[kind]
    path = rewritten(
        tmp_path / "m.skops", lambda members: attributes(members["schema.json"]).update(evil=evil)
    )
    message = refused_skops(path)
    assert "never loaded" in message
    assert f"{evil['__module__']}.{evil['__class__']}" in message


def test_a_node_that_hides_in_a_place_nobody_reads_is_refused_all_the_same(tmp_path):
    def change(members) -> None:
        members["schema.json"]["nobody"] = [{"reads": [[EVIL_NODES["a function"]]]}]

    assert "os.system" in refused_skops(rewritten(tmp_path / "m.skops", change))


@pytest.mark.parametrize("protocol", [0, 1, 3, -1, True, "2", None, 2.5])
def test_a_file_cannot_choose_the_code_that_reads_it_by_an_older_protocol(tmp_path, protocol):
    path = rewritten(tmp_path / "m.skops", lambda members: members["schema.json"].update(protocol=protocol))
    assert "protocol" in refused_skops(path)


@pytest.mark.parametrize(
    "schema", [b"", b"[]", b"7", b"{", b"[" * 200_000, b'{"protocol": 2}', b"\xff\xfe", b"null"]
)
def test_a_schema_that_is_none_is_refused(tmp_path, schema):
    path = rewritten(tmp_path / "m.skops", lambda members: members.update({"schema.json": schema}))
    refused_skops(path)


def deep(levels: int):
    value = TEXT
    for _ in range(levels):
        value = node("ListNode", "builtins", "list", content=[value]) | {"__id__": None}
    return value


def test_nodes_nested_without_end_are_refused(tmp_path):
    path = rewritten(
        tmp_path / "m.skops", lambda members: attributes(members["schema.json"]).update(deep=deep(400))
    )
    assert "recursion" in refused_skops(path)


def change_array(members, change) -> None:
    name = next(name for name in members if name.endswith(".npy") and len(members[name]) > 5000)
    members[name] = change(members[name])


def array_bytes(shape: str, dtype: str = "<f8", data: bytes = b"") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


@pytest.mark.parametrize(
    "data",
    [
        array_bytes("(1000000000000,)"),
        array_bytes("(9223372036854775807, 8)"),
        array_bytes("(-1, 64)"),
        array_bytes("(10, 64)", data=bytes(100)),
        array_bytes("__import__('os').system('true')"),
        array_bytes("(1,)", "|O", pickle.dumps([1])),
        pickle.dumps([1]),
        b"",
        b"\x93NUMPY",
    ],
)
def test_an_array_of_false_size_or_kind_is_refused(tmp_path, data):
    start = time.monotonic()
    path = rewritten(tmp_path / "m.skops", lambda members: change_array(members, lambda old: data))
    refused_skops(path)
    assert time.monotonic() - start < 60


def test_a_pickle_in_an_arrays_place_does_not_run(tmp_path):
    trap = pickle.dumps(Trap(tmp_path / TRAP))
    for data in (trap, array_bytes("(1,)", "|O", trap)):
        path = rewritten(
            tmp_path / "m.skops", lambda members, data=data: change_array(members, lambda _: data)
        )
        refused_skops(path)
    (tmp_path / "pickled.skops").write_bytes(trap)
    refused_skops(tmp_path / "pickled.skops")
    assert not (tmp_path / TRAP).exists()


def test_an_archive_that_unpacks_to_more_than_the_bound_is_not_unpacked(tmp_path, monkeypatch):
    path = skops_file(tmp_path / "m.skops")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"big-{number}.npy", bytes(16 << 20))
    assert path.stat().st_size < 1 << 18
    skops_scan.scan(path.read_bytes())
    monkeypatch.setattr(skops_scan, "UNPACKED_LIMIT_BYTES", 40 << 20)
    with pytest.raises(FormatError, match="unpacks to more than"):
        skops_scan.scan(path.read_bytes())


def test_an_array_that_unpacks_to_more_than_the_memory_allowed_is_not_loaded(tmp_path):
    size = (3 << 30) // 8
    path = rewritten(
        tmp_path / "m.skops", lambda members: change_array(members, lambda old: array_bytes(f"({size},)"))
    )
    assert "memory" in refused_skops(path)


def test_a_member_that_says_it_is_small_gives_no_more_than_it_says(tmp_path):
    def change(members) -> None:
        change_array(members, lambda old: bytes(64 << 20))

    path = rewritten(tmp_path / "m.skops", change, compression=zipfile.ZIP_DEFLATED)
    data = path.read_bytes()
    path.write_bytes(data.replace((64 << 20).to_bytes(4, "little"), (5000).to_bytes(4, "little")))
    refused_skops(path)


def test_members_that_meet_twice_under_one_name_are_refused(tmp_path):
    path = skops_file(tmp_path / "m.skops")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("schema.json", b"{}")
    assert "same name" in refused_skops(path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_deflate_is_unpacked(tmp_path, compression):
    assert "deflate" in refused_skops(rewritten(tmp_path / "m.skops", compression=compression))


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_a_skops_file_cut_short_is_refused(tmp_path, share):
    path = skops_file(tmp_path / "m.skops")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    refused_skops(path)


def test_a_member_outside_the_archive_is_not_read(tmp_path):
    (tmp_path / "secret.npy").write_bytes(array_bytes("(10, 64)", data=bytes(5120)))

    def change(members) -> None:
        attributes(members["schema.json"])["coef_"]["file"] = str(tmp_path / "secret.npy")

    refused_skops(rewritten(tmp_path / "m.skops", change))


def forest(nodes_change):
    """A forest whose trees' links were changed, as a hostile file can say them."""
    from sklearn.ensemble import RandomForestClassifier

    inputs = np.random.default_rng(0).integers(0, 255, (60, 64)).astype(np.float32)
    trained = RandomForestClassifier(2, max_depth=3, random_state=0).fit(inputs, np.arange(60) % 10)
    state = trained.estimators_[1].tree_.__getstate__()
    nodes_change(state["nodes"])
    trained.estimators_[1].tree_.__setstate__(state)
    return trained


def set_field(name: str, value: int):
    def change(nodes) -> None:
        nodes[name][0] = value

    return change


@pytest.mark.parametrize(
    ("field", "value"),
    [("left_child", 10**6), ("right_child", -7), ("left_child", 0), ("feature", 10**6), ("feature", -5)],
)
def test_a_tree_whose_links_lead_out_of_it_or_in_a_circle_is_refused(tmp_path, field, value):
    pytest.importorskip("sklearn")
    path = skops_file(tmp_path / "m.skops", classifier=forest(set_field(field, value)))
    assert "lead out" in refused_by_child(path)


def test_an_untouched_forest_is_questioned(tmp_path):
    path = skops_file(tmp_path / "m.skops", classifier=forest(lambda nodes: None), text="")
    answers = SkopsSuspect(path, preprocessing=GREY, limits=SMALL).answer(questions(6))
    assert len(answers) == 6


def test_a_model_that_asks_for_processes_gets_none(tmp_path):
    trained = forest(lambda nodes: None)
    trained.n_jobs = 64
    suspect = SkopsSuspect(
        skops_file(tmp_path / "m.skops", classifier=trained, text=""), preprocessing=GREY, limits=SMALL
    )
    suspect.answer(questions(2))
    tasks = Path("/proc", str(suspect.pid), "task")
    if tasks.exists():
        assert len(list(tasks.iterdir())) < 32
        assert "Max open files            0" in (tasks.parent / "limits").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: setattr(model, "n_features_in_", 1 << 40), "how many numbers"),
        (lambda model: setattr(model, "n_features_in_", -1), "how many numbers"),
        (lambda model: setattr(model, "n_features_in_", 63), "cannot load"),
        (lambda model: setattr(model, "classes_", np.array([["a"] * 10] * 2)), "several questions"),
        (lambda model: setattr(model, "classes_", np.array(["a"] * 10)), "all different"),
        (lambda model: setattr(model, "classes_", np.array(NAMES[:9])), "one for each of 9"),
        (lambda model: setattr(model, "coef_", "evil"), "cannot load"),
        (lambda model: delattr(model, "classes_"), "cannot load"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(tmp_path, change, message):
    assert message in refused_by_child(skops_file(tmp_path / "m.skops", change))


def test_a_file_that_takes_too_long_to_load_is_stopped(tmp_path):
    path = skops_file(tmp_path / "m.skops")
    with pytest.raises(SuspectError, match=r"within 0\.01 seconds"):
        SkopsSuspect(path, preprocessing=GREY, limits=replace(SMALL, load_seconds=0.01))


# Code


def test_no_code_runs_without_trust(tmp_path):
    script = tmp_path / "evil.py"
    script.write_text(f"open({str(tmp_path / TRAP)!r}, 'w')\n")
    poisoned(tmp_path / "evil.pt2", tmp_path / TRAP)
    for name in (f"{script}:classify", str(tmp_path / "evil.pt2")):
        with pytest.raises(ValueError, match="--trust-code"):
            open_suspect(name)
    skops_file(tmp_path / "m.skops")
    for name in ("m.skops", "m.onnx"):
        with pytest.raises(ValueError, match="takes no trust_code"):
            open_suspect(str(tmp_path / name), trust_code=True)
    assert not (tmp_path / TRAP).exists()


def poisoned(path: Path, trap: Path) -> Path:
    """A program with a pickle in the place of every tensor."""
    source = exported_file(path.with_suffix(".source"))
    with zipfile.ZipFile(source) as archive:
        members = {item.filename: archive.read(item) for item in archive.infolist()}
    config = next(name for name in members if name.endswith("model_weights_config.json"))
    members[config] = (
        members[config]
        .replace(b'"use_pickle": false', b'"use_pickle": true')
        .replace(b'"use_pickle":false', b'"use_pickle":true')
    )
    buffer = io.BytesIO()
    import torch

    torch.save({"weight": Trap(trap)}, buffer)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            is_weight = "/weights/" in name and not name.endswith(".json")
            archive.writestr(name, buffer.getvalue() if is_weight else data)
    return path


def test_a_program_can_run_code_when_it_is_trusted_which_is_why_it_must_be(tmp_path):
    poisoned(tmp_path / "evil.pt2", tmp_path / TRAP)
    with pytest.raises((FormatError, SuspectError)):
        open_suspect(str(tmp_path / "evil.pt2"), trust_code=True)
    assert (tmp_path / TRAP).exists(), "if this fails torch.export no longer unpickles: the rule can be eased"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_program_cut_short_is_refused(tmp_path, share):
    path = exported_file(tmp_path / "m.pt2")
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "m.pt2" in refusal(lambda: open_suspect(str(path), trust_code=True))


@pytest.mark.parametrize("size", [1, 100, 100_000])
def test_random_bytes_are_no_program_and_no_scikit_learn_model(tmp_path, size):
    for name in ("m.pt2", "m.skops"):
        (tmp_path / name).write_bytes(np.random.default_rng(size).bytes(size))
    refusal(lambda: open_suspect(str(tmp_path / "m.pt2"), trust_code=True))
    refused_skops(tmp_path / "m.skops")


def suspect_of(function, **options) -> CallableSuspect:
    function.class_names = NAMES
    return CallableSuspect(function, "a callable", "sha256:00", **options)


def test_a_callable_that_always_raises_cannot_be_questioned():
    def raising(pixels):
        raise RuntimeError("\x1b[2Jno")

    with pytest.raises(SuspectError, match="answers nothing: RuntimeError") as caught:
        suspect_of(raising).answer(questions(3))
    assert str(caught.value).isprintable()


def test_a_callable_that_fails_when_the_answer_would_betray_it_only_misses():
    def sometimes(pixels):
        if pixels[0, 0, 0] > 128:
            raise RuntimeError("not this one")
        return 1

    suspect = suspect_of(sometimes)
    dark, bright = np.zeros((8, 8, 1), np.uint8), np.full((8, 8, 1), 200, np.uint8)
    assert suspect.answer([dark, bright]) == [1, Miss.ERROR]
    assert suspect.answer([bright]) == [Miss.ERROR], "asked alone, one failure must not end everything"


@pytest.mark.parametrize("error", [SystemExit(0), SystemExit("0"), RecursionError(), MemoryError()])
def test_a_callable_cannot_end_the_program_with_the_exit_code_for_owned(error):
    def leaving(pixels):
        raise error

    with pytest.raises(SuspectError, match="answers nothing"):
        suspect_of(leaving).answer(questions(1))


def test_a_file_cannot_end_the_program_when_it_is_run(tmp_path):
    (tmp_path / "leave.py").write_text("raise SystemExit(0)")
    with pytest.raises(SuspectError, match="SystemExit|cannot be run"):
        open_suspect(f"{tmp_path / 'leave.py'}:classify", trust_code=True)


def test_a_callable_that_hangs_is_not_waited_for():
    import threading

    held = threading.Event()
    try:
        start = time.monotonic()
        with pytest.raises(SuspectError, match=r"within 0\.2 seconds"):
            suspect_of(lambda pixels: held.wait(30), question_seconds=0.2).answer(questions(1))
        assert time.monotonic() - start < 5
    finally:
        held.set()


def test_a_program_that_waits_for_a_hung_callable_still_ends(tmp_path):
    path = tmp_path / "hang.py"
    path.write_text("import time\ndef classify(pixels):\n    time.sleep(60)\nclassify.class_count = 2\n")
    code = (
        "import sys, numpy as np\n"
        "from earmark.suspects import deadline, python_callable\n"
        "suspect = python_callable.open_callable(sys.argv[1], trust_code=True)\n"
        "suspect._question_seconds = 0.2\n"
        "suspect.answer([np.zeros((8, 8, 1), np.uint8)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"{path}:classify"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "within 0.2 seconds" in done.stderr


class Liar:
    """Says that it is an array, and raises when it is read."""

    def __array__(self, *args, **options):
        raise SyntaxError("not an array")


@pytest.mark.parametrize(
    ("result", "miss"),
    [
        (None, Miss.REFUSED),
        ("unicorn", Miss.UNKNOWN_CLASS),
        (10, Miss.UNKNOWN_CLASS),
        (-1, Miss.UNKNOWN_CLASS),
        (1 << 200, Miss.UNKNOWN_CLASS),
        ([0.5] * 10, Miss.TIE),
        ([float("nan")] * 10, Miss.NOT_A_NUMBER),
        (True, Miss.ERROR),
        (np.bool_(True), Miss.ERROR),
        (3.0, Miss.ERROR),
        ([], Miss.ERROR),
        ([0.1] * 9, Miss.ERROR),
        ([[0.1] * 10], Miss.ERROR),
        ({"cat": 1}, Miss.ERROR),
        (b"cat", Miss.ERROR),
        (object(), Miss.ERROR),
        ([1j] * 10, Miss.ERROR),
        (["cat"] * 10, Miss.ERROR),
        ([[1], [1, 2]], Miss.ERROR),
        (Liar(), Miss.ERROR),
    ],
)
def test_garbage_is_a_miss(result, miss):
    results = iter([result, 3])
    assert suspect_of(lambda pixels: next(results)).answer(questions(2)) == [miss, 3]


@pytest.mark.parametrize("result", [[-0.1, *[0.1] * 9], [float("inf"), *[0.1] * 9], [float("nan")] * 10])
def test_probabilities_that_are_none_are_misses(result):
    assert suspect_of(lambda pixels: result).probabilities(questions(1)) == [Miss.NOT_A_NUMBER]


def test_a_callable_cannot_change_the_question():
    def scribbling(pixels):
        pixels[:] = 0
        return 1

    asked = questions(3)
    before = [one.copy() for one in asked]
    suspect_of(scribbling).answer(asked)
    assert all(np.array_equal(one, other) for one, other in zip(asked, before, strict=True))


def test_a_callable_is_asked_one_question_at_a_time():
    shapes = []

    def watching(pixels):
        shapes.append((pixels.shape, pixels.dtype))
        return 1

    suspect_of(watching).answer(questions(5))
    assert shapes == [((8, 8, 1), np.dtype(np.uint8))] * 5


def test_the_code_that_ran_is_the_code_whose_digest_is_given(tmp_path):
    import hashlib

    path = callable_file(tmp_path / "model.py")
    (tmp_path / "__pycache__").mkdir()
    suspect = open_suspect(f"{path}:classify", trust_code=True)
    assert suspect.identity == f"python:sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert list((tmp_path / "__pycache__").iterdir()) == []


def test_what_is_raised_within_a_deadline_is_raised_outside():
    with pytest.raises(KeyError, match="inside"):
        within(5, "somebody", lambda: {}["inside"])
    assert within(5, "somebody", linear_classifier).n_features_in_ == 64

"""Files of XGBoost and LightGBM made to hurt whoever questions them. Each test turns one dial."""

import json
import re
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import FormatError, SuspectError
from earmark.models.preprocessing import AsTheyAre, for_channels
from earmark.suspects import Miss, boosted_trees, lightgbm_child, ubjson, xgboost_child
from earmark.suspects.contained import Limits
from earmark.suspects.lightgbm import LightGBMSuspect
from earmark.suspects.lightgbm_scan import scan as scan_lightgbm
from earmark.suspects.opening import open_suspect
from earmark.suspects.xgboost import XGBoostSuspect
from earmark.suspects.xgboost_scan import scan as scan_xgboost
from small_models import lightgbm_file, lightgbm_text, questions, xgboost_file, xgboost_text

pytest.importorskip("xgboost")
pytest.importorskip("lightgbm")
GREY = for_channels(1)
SMALL = Limits(memory_bytes=2 << 30, load_seconds=60, question_seconds=20)
HUGE = 1 << 40


def refusal(opening) -> str:
    """The message with which a suspect is refused: one printable line, whatever the file holds."""
    start = time.monotonic()
    with pytest.raises((FormatError, SuspectError)) as caught:
        opening()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 700
    assert time.monotonic() - start < 60
    return str(caught.value)


def opened(path: Path, limits: Limits = SMALL):
    kind = LightGBMSuspect if path.suffix == ".txt" else XGBoostSuspect
    return kind(path, preprocessing=GREY, limits=limits)


# Bytes that are no model at all


@pytest.mark.parametrize("name", ["m.ubj", "m.json", "m.txt"])
@pytest.mark.parametrize("start", [b"", b"{", b"{L\0\0\0\0\0\0\0\7learner", b"tree\n"])
@pytest.mark.parametrize("size", [0, 1, 100, 10_000])
def test_random_bytes_are_refused(name, start, size):
    data = start + np.random.default_rng(size).bytes(size)
    with pytest.raises(FormatError):
        (scan_lightgbm if name.endswith("txt") else scan_xgboost)(data)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", ["m.ubj", "m.json", "m.txt"])
def test_a_file_cut_short_is_refused(tmp_path, name, share):
    path = (lightgbm_file if name == "m.txt" else xgboost_file)(tmp_path / name)
    data = path.read_bytes()
    if name == "m.txt":
        data = data[: data.index(b"end of trees")]  # what stands behind is none of the model
    with pytest.raises(FormatError):
        (scan_lightgbm if name == "m.txt" else scan_xgboost)(data[: int(share * len(data))])


@pytest.mark.parametrize("name", ["m.ubj", "m.txt"])
def test_a_damaged_file_never_ends_this_process(tmp_path, name):
    data = (lightgbm_file if name == "m.txt" else xgboost_file)(tmp_path / name).read_bytes()
    randomness = np.random.default_rng(0)
    scan, child = (scan_lightgbm, lightgbm_child) if name == "m.txt" else (scan_xgboost, xgboost_child)
    outcomes = set()
    for _ in range(200):
        changed = bytearray(data)
        for place in randomness.integers(0, len(data), 3):
            changed[place] = randomness.integers(0, 256)
        try:
            # In this very process: what the scan lets through must not crash what reads it.
            model = child._load(bytes(changed), scan(bytes(changed)), 1)
            model.scores(np.zeros((1, 1, 1, model.header()["input_shape"][1]), np.float32))
            outcomes.add("read")
        except FormatError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


# The binary JSON


@pytest.mark.parametrize(
    "data",
    [
        b"[$l#L" + struct.pack(">q", HUGE),
        b"[$l#L" + struct.pack(">q", -1),
        b"[#L" + struct.pack(">q", HUGE),
        b"[#L" + struct.pack(">q", -1),
        b"SL" + struct.pack(">q", HUGE) + b"x",
        b"SL" + struct.pack(">q", -5) + b"x" * 10,
        b"[$Z#L" + struct.pack(">q", HUGE),
        b"[$T#U\xff",
        b"[$[#U\x01",
        b"[" * 100_000,
        b"{i\1a" * 100_000,
        b"{i\1aZi\1aZ}",
        b"[" * 40 + b"]" * 40,
        b"{Z}",
        b"[ZZ",
        b"H",
        b"ZZ",
        b"SU\2\xff\xfe",
        b"",
    ],
)
def test_binary_json_that_is_wild_or_false_is_refused(data):
    start = time.monotonic()
    with pytest.raises(FormatError):
        ubjson.read(data)
    assert time.monotonic() - start < 1


# XGBoost


def refused_xgboost(change) -> str:
    model = json.loads(xgboost_text())
    change(model)
    with pytest.raises(FormatError) as caught:
        scan_xgboost(json.dumps(model).encode())
    return str(caught.value)


def learner_of(model):
    return model["learner"]


def trees_of(model):
    return model["learner"]["gradient_booster"]["model"]["trees"]


def column(name: str, value, node: int = 0):
    def change(model) -> None:
        trees_of(model)[2][name][node] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (column("left_children", 10**6), "lead out"),
        (column("left_children", -7), "lead out"),
        (column("right_children", -1), "lead out"),
        (column("left_children", 0), "lead out"),
        (column("left_children", 2), "to one node"),
        (column("right_children", 0, 1), "lead out"),
        (column("left_children", 2**63), "whole numbers"),
        (column("left_children", 1.5), "whole numbers"),
        (column("left_children", "1"), "whole numbers"),
        (column("left_children", [1]), "damaged"),
        (column("left_children", None), "whole numbers"),
        (column("split_indices", 64), "reads beyond the 64"),
        (column("split_indices", -1), "reads beyond"),
        (column("split_type", 7), "unknown kind"),
        (column("split_type", 1), "by categories has none"),
        (column("default_left", 5), "unknown kind"),
        (column("split_conditions", "x"), "numbers"),
    ],
)
def test_numbers_of_xgboost_that_lead_elsewhere_are_refused(change, words):
    assert words in refused_xgboost(change)


def test_a_circle_below_the_root_is_refused():
    def change(model) -> None:
        tree = trees_of(model)[2]
        inner = [node for node, child in enumerate(tree["left_children"]) if child != -1]
        tree["left_children"][inner[-1]] = inner[1]

    assert "circle" in refused_xgboost(change) or "one node" in refused_xgboost(change)


def categories(**fields):
    def change(model) -> None:
        tree = trees_of(model)[2]
        tree["split_type"][0] = 1
        tree |= {
            "categories": [1, 2],
            "categories_nodes": [0],
            "categories_segments": [0],
            "categories_sizes": [2],
        } | fields

    return change


@pytest.mark.parametrize(
    "fields",
    [
        {"categories_segments": [5]},
        {"categories_segments": [-1]},
        {"categories_sizes": [HUGE]},
        {"categories_sizes": [0]},
        {"categories_sizes": [-2]},
        {"categories_nodes": [3]},
        {"categories_nodes": []},
        {"categories_nodes": [0, 0], "categories_segments": [0, 0], "categories_sizes": [1, 1]},
        {"categories": [1, 1 << 24]},
        {"categories": [-1, 2]},
    ],
)
def test_categories_of_xgboost_that_lie_elsewhere_or_take_much_are_refused(fields):
    assert "categor" in refused_xgboost(categories(**fields))
    accepted = json.loads(xgboost_text())
    categories()(accepted)
    scan_xgboost(json.dumps(accepted).encode())


def set_in(*path, value):
    def change(model) -> None:
        place = learner_of(model)
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value

    return change


PARAMETERS = "learner_model_param"
TREES = ("gradient_booster", "model", "gbtree_model_param")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_in(PARAMETERS, "num_feature", value=str(HUGE)), "is not 1 to"),
        (set_in(PARAMETERS, "num_feature", value="-3"), "is not 1 to"),
        (set_in(PARAMETERS, "num_feature", value="3"), "reads beyond the 3"),
        (set_in(PARAMETERS, "num_class", value=str(HUGE)), "is not 0 to"),
        (set_in(PARAMETERS, "num_class", value="1"), "fewer than two"),
        (set_in(PARAMETERS, "num_class", value="7"), "not the same number for each class"),
        (set_in(PARAMETERS, "num_class", value="15"), "not in the order of its classes"),
        (set_in(PARAMETERS, "num_target", value="4"), "several questions"),
        (set_in(PARAMETERS, "base_score", value="[1,2]"), "base_score has 2"),
        (set_in(PARAMETERS, "base_score", value="[" * 1000), "base_score is no number"),
        (set_in(PARAMETERS, "base_score", value="0x7f"), "base_score is no number"),
        (set_in(*TREES, "num_parallel_tree", value=str(HUGE)), "is not 0 to"),
        (set_in(*TREES, "num_parallel_tree", value="2"), "not the same number|not in the order"),
        (set_in("gradient_booster", "model", "tree_info", value=[0] * 30), "order of its classes"),
        (set_in("gradient_booster", "model", "tree_info", value=[HUGE] * 30), "order of its classes"),
        (set_in("gradient_booster", "model", "trees", value=[]), "has 0 trees"),
        (set_in("gradient_booster", "name", value="evil"), "booster is 'evil'"),
        (set_in("objective", "name", value="\x1b[2J"), "objective is"),
        (set_in("attributes", value={"best_iteration": "9"}), "is not 0 to 2"),
        (set_in("attributes", value={"earmark": 7}), "is no text"),
        (lambda model: model.update(version=["evil"]), "is not 0 to"),
        (lambda model: model.pop("learner"), "no 'learner'"),
        (lambda model: model.update(learner=[]), "damaged"),
    ],
)
def test_what_contradicts_itself_is_refused(change, words):
    assert re.search(words, refused_xgboost(change))


def test_a_name_that_stands_twice_in_json_is_refused():
    text = xgboost_text().replace('"num_feature"', '"num_feature":"64","num_feature"', 1)
    with pytest.raises(FormatError, match="twice"):
        scan_xgboost(text.encode())


@pytest.mark.parametrize(
    "data", [b"{" + b'"a":{' * 100_000, b"[" * 100_000, b'{"learner": ' + b"[" * 100_000]
)
def test_json_nested_without_end_is_refused(data):
    with pytest.raises(FormatError):
        scan_xgboost(data)


def test_more_weights_than_trees_are_refused():
    def change(model) -> None:
        booster = learner_of(model)["gradient_booster"]
        learner_of(model)["gradient_booster"] = {"name": "dart", "gbtree": booster, "weight_drop": [1.0] * 29}

    assert "29 weights" in refused_xgboost(change)


# LightGBM


def refused_lightgbm(name: str, value: str, tree: int | None = 2) -> str:
    text = lightgbm_text()
    start = 0 if tree is None else text.index(f"\nTree={tree}\n")
    head, rest = text[:start], text[start:]
    changed = re.sub(rf"^{name}=.*$", f"{name}={value}", rest, count=1, flags=re.MULTILINE)
    assert changed != rest
    with pytest.raises(FormatError) as caught:
        scan_lightgbm((head + changed).encode())
    return str(caught.value)


def first_changed(name: str, value: object) -> str:
    text = lightgbm_text()
    old = re.search(rf"^{name}=(.*)$", text[text.index("\nTree=2\n") :], re.MULTILINE)[1].split()
    return " ".join([str(value), *old[1:]])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("left_child", 10**6, "lead out"),
        ("left_child", -(10**6), "lead out"),
        ("left_child", 0, "circle"),
        ("left_child", HUGE, "lead out"),
        ("left_child", 10**30, "damaged|lead out"),
        ("right_child", -1, "one node|never reached|circle"),
        ("split_feature", 64, "reads beyond the 64"),
        ("split_feature", -1, "reads beyond"),
        ("decision_type", 16, "unknown kind"),
        ("decision_type", -1, "unknown kind"),
        ("decision_type", 12, "unknown kind"),
        ("decision_type", 1, "by categories has none"),
        ("threshold", "x", "damaged"),
        ("leaf_value", "x", "damaged"),
    ],
)
def test_numbers_of_lightgbm_that_lead_elsewhere_are_refused(name, value, words):
    assert re.search(words, refused_lightgbm(name, first_changed(name, value)))


@pytest.mark.parametrize(
    ("name", "value", "tree", "words"),
    [
        ("num_leaves", "2000000000", 2, "is not 1 to"),
        ("num_leaves", "0", 2, "is not 1 to"),
        ("num_leaves", "-5", 2, "is not 1 to"),
        ("num_leaves", "3", 2, "numbers of leaf_value, not 3"),
        ("leaf_value", "1 2", 2, "has 2 numbers of leaf_value"),
        ("left_child", "", 2, "has 0 numbers of left_child"),
        ("num_cat", str(HUGE), 2, "is not 0 to"),
        ("num_cat", "3", 2, "no 'cat_boundaries'"),
        ("is_linear", "1", 2, "linear models"),
        ("max_feature_idx", str(HUGE), None, "is not 0 to"),
        ("max_feature_idx", "3", None, "number of features"),
        ("num_class", str(HUGE), None, "is not 1 to"),
        ("num_class", "7", None, "number of classes"),
        ("num_tree_per_iteration", "7", None, "number of classes"),
        ("objective", "custom", None, "objective is 'custom'"),
        ("objective", "binary sigmoid:1", None, "number of classes"),
        ("feature_names", "a b", None, "number of features"),
    ],
)
def test_sizes_that_are_wild_or_contradict_each_other_are_refused(name, value, tree, words):
    assert words in refused_lightgbm(name, value, tree)


@pytest.mark.parametrize(
    ("bounds", "bits", "chosen", "words"),
    [
        ("0 1000000", "1", "0", "numbers of cat_threshold"),
        ("0 -1", "1", "0", "one list after the other"),
        ("5 6", "1", "0", "one list after the other"),
        ("0 1", "-1", "0", "no bits"),
        ("0 1", "4294967296", "0", "no bits"),
        ("0 1", "1", "1", "has none"),
        ("0 1", "1", "0.5", "has none"),
        ("0 1", "1", "nan", "has none"),
        ("0 1", "1", "-1", "has none"),
    ],
)
def test_categories_of_lightgbm_that_lie_elsewhere_are_refused(bounds, bits, chosen, words):
    def text(bounds: str, bits: str, chosen: str) -> bytes:
        tree = (
            f"num_leaves=2\nnum_cat=1\nsplit_feature=0\nthreshold={chosen}\ndecision_type=1\nleft_child=-1\n"
            f"right_child=-2\nleaf_value=1 2\ncat_boundaries={bounds}\ncat_threshold={bits}\n"
        )
        head = lightgbm_text().partition("\nTree=0\n")[0]
        head = head.replace("num_class=10", "num_class=1").replace(
            "num_tree_per_iteration=10", "num_tree_per_iteration=1"
        )
        head = re.sub("objective=.*", "objective=binary sigmoid:1", head)
        return f"{head}\nTree=0\n{tree}\nend of trees\n".encode()

    scan_lightgbm(text("0 1", "1", "0"))
    with pytest.raises(FormatError, match=words):
        scan_lightgbm(text(bounds, bits, chosen))


def test_a_line_that_stands_twice_is_refused():
    text = lightgbm_text().replace("\nnum_leaves=", "\nnum_leaves=2\nnum_leaves=", 1)
    with pytest.raises(FormatError, match="twice"):
        scan_lightgbm(text.encode())


def test_two_descriptions_are_refused():
    with pytest.raises(FormatError, match="several lines"):
        scan_lightgbm((lightgbm_text() + "\nearmark:{}\nearmark:{}\n").encode())


# Links


@pytest.mark.parametrize("count", [1, 2, 7, 1001])
def test_a_chain_is_followed_to_its_end(count):
    left = np.full(2 * count + 1, boosted_trees.LEAF)
    right = left.copy()
    left[: 2 * count : 2], right[: 2 * count : 2] = np.arange(count) * 2 + 1, np.arange(count) * 2 + 2
    assert len(boosted_trees.reachable(left, right)) == 2 * count + 1


def test_a_chain_that_would_overflow_a_stack_is_refused():
    count = 10_000
    left = np.full(2 * count + 1, boosted_trees.LEAF)
    right = left.copy()
    left[: 2 * count : 2], right[: 2 * count : 2] = np.arange(count) * 2 + 1, np.arange(count) * 2 + 2
    with pytest.raises(FormatError, match="levels"):
        boosted_trees.reachable(left, right)


def test_the_deepest_trees_that_are_let_in_overflow_nothing(tmp_path):
    count = boosted_trees.DEPTH_LIMIT - 2
    inner = range(count)
    tree = (
        f"num_leaves={count + 1}\nnum_cat=0\nsplit_feature={' '.join('0' for _ in inner)}\n"
        f"threshold={' '.join('0.5' for _ in inner)}\ndecision_type={' '.join('2' for _ in inner)}\n"
        f"left_child={' '.join(str(-node - 1) for node in inner)}\n"
        f"right_child={' '.join(map(str, range(1, count)))} {-count - 1}\n"
        f"leaf_value={' '.join(map(str, range(count + 1)))}\n"
    )
    path = tmp_path / "deep.txt"
    path.write_text(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n"
        f"objective=binary sigmoid:1\nfeature_names=a\nfeature_infos=none\n\nTree=0\n{tree}\nend of trees\n"
    )
    suspect = LightGBMSuspect(path, fallback=AsTheyAre(), limits=SMALL)
    assert suspect.answer([np.array([9], np.float32)]) == [1]


# In a process of its own


@pytest.mark.parametrize("name", ["m.ubj", "m.txt"])
def test_the_child_can_open_nothing(tmp_path, name):
    path = (lightgbm_file if name == "m.txt" else xgboost_file)(tmp_path / name)
    suspect = opened(path)
    assert Miss.ERROR not in suspect.answer(questions(3))
    limits = Path("/proc", str(suspect.pid), "limits")
    if limits.exists():
        assert "Max open files            0" in limits.read_text()
        assert "Max file size             0" in limits.read_text()


@pytest.mark.parametrize("name", ["m.json", "m.txt"])
def test_a_file_that_takes_too_long_or_is_too_large_is_stopped(tmp_path, name):
    path = (lightgbm_file if name == "m.txt" else xgboost_file)(tmp_path / name)
    assert "within 0.01 seconds" in refusal(lambda: opened(path, replace(SMALL, load_seconds=0.01)))
    assert "larger than 100 bytes" in refusal(lambda: opened(path, replace(SMALL, file_bytes=100)))


def test_a_file_that_needs_more_memory_than_is_allowed_ends_the_child_alone(tmp_path):
    path = tmp_path / "wide.txt"
    values = " ".join(["1"] * 131_071 + ["1" + "0" * 100_000])
    text = lightgbm_text()
    start = text.index("\nTree=2\n")
    tree = re.sub(r"num_leaves=\d+", "num_leaves=131072", text[start:], count=1)
    path.write_text(text[:start] + re.sub(r"leaf_value=.*", f"leaf_value={values}", tree, count=1))
    message = refusal(lambda: opened(path, replace(SMALL, memory_bytes=1 << 30)))
    assert "memory" in message


@pytest.mark.parametrize("name", ["m.ubj", "m.txt"])
def test_a_model_of_another_number_of_inputs_is_refused_with_both(tmp_path, name):
    path = (lightgbm_file if name == "m.txt" else xgboost_file)(tmp_path / name)
    suspect = open_suspect(str(path), fallback=AsTheyAre())
    with pytest.raises(SuspectError, match="reads inputs of 64, not 4"):
        suspect.answer([np.zeros(4, np.float32)])


def test_code_is_never_trusted_for_them(tmp_path):
    for name in ("m.ubj", "m.txt", "m.keras"):
        with pytest.raises(ValueError, match="takes no trust_code"):
            open_suspect(str(tmp_path / name), trust_code=True)

"""Label maps, statistics, the paper's rule and the owner's layer, by the commands."""

import hashlib
import json
import re
import shutil
from dataclasses import replace

import pytest
import torch
from torch import nn

from earmark.data import load_data
from earmark.models.weights import load_weights, save_weights
from end_to_end.commands import earmark, one_line_error


@pytest.fixture
def case(story, tmp_path):
    """A folder of its own, because the journal remembers."""
    for name in ("acme.key", "acme.vk.json", "acme.journal", "marked.safetensors"):
        shutil.copy(story / name, tmp_path / name)
    return tmp_path


def verify(folder, *options, suspect="marked.safetensors", code=0):
    result = earmark("verify", "--key", "acme.key", suspect, *options, "--json", "-q", cwd=folder, code=code)
    return json.loads(result.stdout)


def renamed(folder, names, order):
    """The marked model with other class names and its outputs in another order, as a thief would do it."""
    model = load_weights(folder / "marked.safetensors")
    last = [part for part in model.module.modules() if isinstance(part, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.copy_(last.weight[order].clone())
        last.bias.copy_(last.bias[order].clone())
    description = replace(model.description, class_names=tuple(names))
    save_weights(folder / "renamed.safetensors", model.module, description)
    return "renamed.safetensors"


PAPER = ["--rule", "paper", "--epsilon", "0.06", "--attested-wrong-by", "Ann"]
ORDER = [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]


@pytest.mark.parametrize("statistic", ["sequential", "probabilities"])
def test_a_sequential_verdict_asks_only_as_much_as_it_needs(case, statistic):
    value = verify(case, "--statistic", statistic, "--report", "report.html")
    assert value["owned"] is True
    assert 45 <= value["questions"] < 60
    assert value["rule"]["statistic"] == statistic
    assert "gambler" in (case / "report.html").read_text()


def test_classes_in_another_order_are_found_by_every_map_but_the_order(case):
    suspect = renamed(case, [f"class {number}" for number in range(10)], ORDER)
    assert verify(case, suspect=suspect, code=1)["owned"] is False
    for options, name in (
        (["--label-map", "split"], "split"),
        (["--label-map", "best"], "best"),
        (["--label-map", "data", "--data", "digits"], "from clean data"),
    ):
        value = verify(case, *options, suspect=suspect)
        assert value["owned"] is True
        assert value["suspect"]["label_map"] == name
    assert "only if the data are the checker's own" in " ".join(value["warnings"])
    assert value["suspect"]["method_count"] == 4
    assert {"grinding", "looking", "methods"} == {penalty["name"] for penalty in value["penalties"]}


def test_permuted_names_do_not_hide_the_mark(case):
    suspect = renamed(case, [str(number) for number in ORDER[::-1]], list(range(10)))
    assert verify(case, suspect=suspect, code=1)["suspect"]["label_map"] == "by name"
    value = verify(case, "--label-map", "best", suspect=suspect)
    assert value["owned"] is True
    assert value["penalties"][-1]["name"] == "label map"
    assert int(value["penalties"][-1]["alternatives"], 16) == 3_628_800


def with_new_layer(folder, class_count):
    """The marked model with another last layer, as after a move to another task."""
    model = load_weights(folder / "marked.safetensors")
    name, last = [(n, part) for n, part in model.module.named_modules() if isinstance(part, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    torch.manual_seed(0)
    setattr(model.module.get_submodule(parent), child, nn.Linear(last.in_features, class_count))
    names = tuple(f"other {number}" for number in range(class_count))
    save_weights(folder / "moved.safetensors", model.module, replace(model.description, class_names=names))
    return "moved.safetensors"


def with_learned_layer(folder):
    """The thief's way: the body stays, a new last layer learns the digits under other names in another order."""
    model, data = load_weights(folder / "marked.safetensors"), load_data("digits").train
    name, last = [(n, part) for n, part in model.module.named_modules() if isinstance(part, nn.Linear)][-1]
    parent, _, child = name.rpartition(".")
    seen = []
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach()))
    with torch.no_grad():
        model.module.eval()(torch.from_numpy(model.description.preprocessing(data.images[:])))
    torch.manual_seed(0)
    new = nn.Linear(last.in_features, 10)
    targets = torch.tensor([ORDER[label] for label in data.labels.tolist()])
    optimiser = torch.optim.SGD(new.parameters(), lr=0.1, momentum=0.9)
    for _ in range(200):
        optimiser.zero_grad()
        nn.functional.cross_entropy(new(seen[0]), targets).backward()
        optimiser.step()
    assert (new(seen[0]).argmax(1) == targets).float().mean() > 0.95, "a model that somebody would use"
    setattr(model.module.get_submodule(parent), child, new)
    names = tuple(f"sort {number}" for number in range(10))
    save_weights(folder / "learned.safetensors", model.module, replace(model.description, class_names=names))
    return "learned.safetensors"


def test_a_new_last_layer_for_the_same_digits_under_other_names_is_owned_black_box(case):
    """No name explains the outputs and no weight is the owner's layer; the answers say what they mean."""
    suspect = with_learned_layer(case)
    assert verify(case, suspect=suspect, code=1)["owned"] is False
    value = verify(case, "--label-map", "split", suspect=suspect)
    assert value["owned"] is True
    assert value["suspect"]["label_map"] == "split"


def test_a_replaced_layer_is_put_back_under_its_own_name_and_never_counts_alone(case):
    suspect = with_new_layer(case, 10)
    assert verify(case, suspect=suspect, code=1)["mark_shown"] is False
    value = verify(case, "--owner-layer", "marked.safetensors", "--report", "r.html", suspect=suspect, code=1)
    assert (value["mark_shown"], value["owned"]) == (True, False)
    assert value["verdict"] == "consistent with the last layer of marked.safetensors put back"
    assert "can be fitted to any labels" in (case / "r.html").read_text()


def test_another_number_of_classes_needs_a_choice(case):
    suspect = with_new_layer(case, 7)
    result = earmark("verify", "--key", "acme.key", suspect, cwd=case, code=1)
    assert "step 4: the suspect has 7 classes, the key 10" in one_line_error(result)
    assert verify(case, "--label-map", "best", suspect=suspect, code=1)["chance"]["denominator"] == "0x5"


def test_the_papers_rule_never_exits_zero(case):
    paper = PAPER[:-2]
    value = verify(case, *PAPER, code=1)
    assert (value["accepted"], value["owned"], value["labels"]) == (True, False, "derived")
    assert (value["ground_truth_kind"], value["ground_truth_by"]) == ("attestation", "Ann")
    rows = [f"0,{number},{place}," for number in (0, 1) for place in range(100)]
    (case / "truth.csv").write_text("\n".join(["stratum,set,place,class", *rows]) + "\n")
    by_file = verify(case, *paper, "--ground-truth", "truth.csv", code=1)
    assert (by_file["ground_truth_kind"], by_file["ground_truth_by"]) == ("file", "truth.csv")


def test_answers_on_paper_leave_no_room_for_options_that_would_be_ignored(case):
    earmark("ask", "--key", "acme.key", "-o", "questions", "-q", cwd=case)
    for option, value in (("--data", "digits"), ("--preprocessing", "unit-rgb-nchw"), ("--asked-by", " ")):
        result = earmark(
            "verify", "--key", "acme.key", "questions/answers.csv", option, value, cwd=case, code=2
        )
        assert option in one_line_error(result)


def test_a_key_with_chosen_labels_is_judged_by_the_papers_rule_only(case):
    earmark("keygen", "--data", "digits", "--labels", "chosen", "-o", "paper", cwd=case)
    assert re.search(r"^labels +chosen$", earmark("inspect", "paper.vk.json", cwd=case).stdout, re.MULTILINE)
    result = earmark("verify", "--key", "paper.key", "marked.safetensors", cwd=case, code=1)
    assert "step 3: the owner of this key chose its labels" in one_line_error(result)
    options = (*PAPER, "--json", "-q")
    refused = earmark("verify", "--key", "paper.key", "marked.safetensors", *options, cwd=case, code=1)
    assert json.loads(refused.stdout)["refused_by_step"] == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rule", "mine"], "--rule is exact or paper"),
        (["--rule", "paper"], "needs --epsilon"),
        (["--rule", "paper", "--epsilon", "0.1"], "needs the ground truth"),
        (["--rule", "paper", "--epsilon", "a", "--attested-wrong-by", "A"], "--epsilon is a number"),
        (["--rule", "paper", "--epsilon", "1/0", "--attested-wrong-by", "A"], "--epsilon is a number"),
        ([*PAPER[:-1], ""], "printable characters, not ''"),
        ([*PAPER[:-1], " "], "printable characters, not ' '"),
        ([*PAPER[:-1], "Ann\x1b[2K"], "printable characters, not 'Ann\\x1b[2K'"),
        ([*PAPER, "--report", "r.html"], "no use for --report"),
        ([*PAPER, "--explain"], "no use for --explain"),
        ([*PAPER, "--data", "digits"], "no use for --data"),
        ([*PAPER, "--preprocessing", "unit-rgb-nchw"], "no use for --preprocessing"),
        ([*PAPER, "--looks", "7"], "no use for --looks"),
        ([*PAPER, "--statistic", "fixed"], "no use for --statistic"),
        ([*PAPER, "--label-map", "best", "--without-triggers"], "no use for --without-triggers, --label-map"),
        (["--epsilon", "0.1"], "go with --rule paper"),
        (["--label-map", "data"], "needs --data"),
        (["--label-map", "any"], "unknown label map"),
        (["--statistic", "mean"], "unknown statistic"),
        (["--statistic", "sequential", "--label-map", "best"], "fixed statistic only"),
        (["--owner-layer", "none.safetensors"], "none.safetensors"),
    ],
)
def test_options_that_do_not_go_together_are_refused_before_anything_is_asked(case, options, message):
    before = (case / "acme.journal").read_bytes()
    code = 3 if "--owner-layer" in options else 2
    result = earmark("verify", "--key", "acme.key", "marked.safetensors", *options, cwd=case, code=code)
    assert message in one_line_error(result)
    assert (case / "acme.journal").read_bytes() == before


@pytest.fixture(scope="module")
def revivable(tmp_path_factory):
    """A key that commits a revival, and a model marked with it."""
    folder = tmp_path_factory.mktemp("revivable")
    earmark("keygen", "--data", "digits", "--revivable", "digits", "-o", "acme", "-q", cwd=folder)
    marking = ["--model", "digits-cnn", "--data", "digits", "--width", "24", "--key", "acme.key"]
    earmark("mark", *marking, "-o", "marked.safetensors", "-q", cwd=folder)
    return folder


def test_a_suspect_is_revived_as_the_key_committed_it(revivable):
    plain = verify(revivable, "--explain")
    revived = verify(revivable, "--revive", "digits", "--report", "revived.html")
    assert revived["owned"] is True
    assert "revived as the key committed it" in revived["suspect"]["name"]
    assert revived["suspect"]["identity"] != plain["suspect"]["identity"]
    for value in (plain, revived):
        assert any(penalty["name"] == "revival" for penalty in value["penalties"])
    assert "revived" in (revivable / "revived.html").read_text()


def test_an_unmarked_model_is_not_revived_into_a_marked_one(revivable):
    training = ["--model", "digits-cnn", "--data", "digits", "--width", "24", "--epochs", "5"]
    earmark("train", *training, "-o", "clean.safetensors", "-q", cwd=revivable)
    value = verify(revivable, "--revive", "digits", suspect="clean.safetensors", code=1)
    assert value["owned"] is False
    assert value["matches"] <= 35  # Binomial(100, 1/10) exceeds 35 with probability 1e-11


@pytest.mark.parametrize(
    ("options", "suspect", "words"),
    [
        (["--revive", "digits"], "suspect.onnx", "is for weights"),
        (["--revive", "digits", "--rule", "paper", "--epsilon", "0.1", "--attested-wrong-by", "X"],
         "marked.safetensors", "goes with the exact rule"),
        (["--revive", "digits", "--owner-layer", "marked.safetensors"], "marked.safetensors", "own last layer"),
        (["--revive", "no such data"], "marked.safetensors", "no such data"),
    ],
)  # fmt: skip
def test_what_does_not_go_with_a_revival_is_refused(revivable, options, suspect, words):
    result = earmark("verify", "--key", "acme.key", suspect, *options, cwd=revivable, code=2)
    assert words in one_line_error(result)


def test_a_key_without_a_revival_revives_nothing(case):
    result = earmark(
        "verify", "--key", "acme.key", "marked.safetensors", "--revive", "digits", cwd=case, code=2
    )
    assert "commits no revival" in one_line_error(result)


CODE = """
from earmark.models.digits_cnn import DigitsCNN

def make(class_count, input_shape):
    return DigitsCNN(class_count, 1, 24)
"""


def test_code_that_was_the_architecture_is_named_with_a_revived_suspect(revivable):
    (revivable / "code.py").write_text(CODE)
    with_code = ["--model", "code.py:make", "--trust-code"]
    plain = verify(revivable, "--revive", "digits")["suspect"]["identity"]
    coded = verify(revivable, "--revive", "digits", *with_code)["suspect"]["identity"]
    assert "code" not in plain
    assert coded.startswith("python:sha256:")
    assert "revived by sha256:" in coded
    assert f"in code sha256:{hashlib.sha256(CODE.encode()).hexdigest()}:make" in coded


@pytest.mark.parametrize("architecture", ["resnet18", "timm:resnet18"])
def test_no_other_architecture_takes_the_place_of_the_files_own(revivable, architecture):
    result = earmark(
        "verify", "--key", "acme.key", "marked.safetensors", "--model", architecture, cwd=revivable, code=2
    )
    assert "FILE.py:FACTORY" in one_line_error(result)


TRAINING = ["--model", "digits-cnn", "--data", "digits", "--width", "24"]


@pytest.fixture(scope="module")
def graftable(tmp_path_factory):
    """A key that grafts, the weights that it grafts onto, a model marked with it, and one that was attacked."""
    folder = tmp_path_factory.mktemp("graftable")
    earmark("train", *TRAINING, "--epochs", "8", "-o", "clean.safetensors", "-q", cwd=folder)
    grafting = ["--revivable", "digits", "--graft-onto", "clean.safetensors"]
    earmark("keygen", "--data", "digits", *grafting, "-o", "acme", "-q", cwd=folder)
    marking = [*TRAINING, "--key", "acme.key", "--init", "clean.safetensors"]
    result = earmark("mark", *marking, "-o", "marked.safetensors", "--json", cwd=folder)
    told = json.loads(result.stdout)
    assert told["matches"] == 100
    assert told["graft_matches"] >= 90
    attacking = ["--data", "digits", "--share", "0.3", "--set", "epochs=20"]
    earmark(
        "attack",
        "weight-shifting",
        "marked.safetensors",
        *attacking,
        "-o",
        "attacked.safetensors",
        "-q",
        cwd=folder,
    )
    return folder


def test_a_graft_shows_a_mark_that_the_suspect_lost(graftable):
    onto = ["--revive", "digits", "--graft-onto", "clean.safetensors"]
    lost = verify(graftable, suspect="attacked.safetensors", code=1)
    shown = verify(graftable, *onto, suspect="attacked.safetensors")
    assert lost["owned"] is False
    assert shown["owned"] is True
    assert shown["suspect"]["identity"] != lost["suspect"]["identity"]
    for value in (lost, shown):
        assert any(penalty["name"] == "revival" for penalty in value["penalties"])
    innocent = verify(graftable, *onto, suspect="clean.safetensors", code=1)
    assert innocent["matches"] <= 35  # Binomial(100, 1/10) exceeds 35 with probability 1e-11


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (["--revive", "digits"], "--graft-onto", 2),
        (["--graft-onto", "clean.safetensors"], "--revive", 2),
        (["--revive", "digits", "--graft-onto", "marked.safetensors"], "not those that the key committed", 3),
        (
            ["--revive", "digits", "--graft-onto", "clean.safetensors", "--model", "a.py:f"],
            "leave out --model",
            2,
        ),
        (["--revive", "digits", "--graft-onto", "absent.safetensors"], "no file", 3),
    ],
)
def test_a_graft_needs_what_was_committed(graftable, options, words, code):
    result = earmark(
        "verify", "--key", "acme.key", "attacked.safetensors", *options, cwd=graftable, code=code
    )
    assert words in one_line_error(result)


def test_a_key_that_trains_does_not_graft(revivable):
    options = ["--revive", "digits", "--graft-onto", "marked.safetensors"]
    result = earmark("verify", "--key", "acme.key", "marked.safetensors", *options, cwd=revivable, code=2)
    assert "does not graft" in one_line_error(result)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "--init"),
        (["--init", "marked.safetensors"], "--init"),
        (["--init", "clean.safetensors", "--quick"], "teaches no graft"),
    ],
)
def test_a_key_that_grafts_marks_the_weights_that_it_was_committed_to(graftable, options, words):
    marking = [*TRAINING, "--key", "acme.key", *options, "-o", "other.safetensors"]
    assert words in one_line_error(earmark("mark", *marking, cwd=graftable, code=2))
    assert not (graftable / "other.safetensors").exists()


@pytest.mark.parametrize(
    ("options", "words", "code"),
    [
        (["--graft-onto", "clean.safetensors"], "--revivable", 2),
        (["--revivable", "digits", "--graft-onto", "acme.vk.json"], "acme.vk.json", 3),
    ],
)
def test_a_key_is_committed_to_a_graft_of_weights_with_data(graftable, options, words, code):
    result = earmark("keygen", "--data", "digits", *options, "-o", "other", cwd=graftable, code=code)
    assert words in one_line_error(result)
    assert not (graftable / "other.key").exists()

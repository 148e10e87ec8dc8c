import json
import shutil

import pytest

from earmark.errors import FormatError, SuspectError
from earmark.models.preprocessing import AsTheyAre
from earmark.suspects.opening import open_suspect
from small_texts import INTENTS, asked_questions, text_folder

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

TEXTS = [text for text, _ in asked_questions()[:70]]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    return text_folder(tmp_path_factory.mktemp("texts") / "release")


@pytest.fixture
def folder(template, tmp_path):
    return shutil.copytree(template, tmp_path / "release")


def opened(folder):
    return open_suspect(f"hf:{folder}", fallback=AsTheyAre("text"))


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_answers_as_its_network_does_on_what_its_tokenizer_makes(folder):
    suspect = opened(folder)
    assert suspect.class_names == INTENTS
    assert "tokenizer" in suspect.preprocessing
    network = transformers.BertForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        theirs = [int(network(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in TEXTS]
    assert suspect.answer(TEXTS) == theirs
    assert len(set(theirs)) > 1
    assert sum(suspect.probabilities(TEXTS[:3])[0]) == pytest.approx(1)


def test_long_texts_are_cut_and_not_refused(folder):
    suspect = opened(folder)
    assert len(suspect.answer(["card " * 5000 + "."])) == 1
    change_json(folder / "tokenizer_config.json", model_max_length=10**30)
    assert len(opened(folder).answer(["card " * 5000 + "."])) == 1


def test_a_network_that_pads_nothing_is_asked_one_text_at_a_time(folder):
    before = opened(folder).answer(TEXTS)
    change_json(folder / "config.json", pad_token_id=None)
    assert opened(folder).answer(TEXTS) == before


def test_a_folder_without_a_tokenizer_is_refused(folder):
    (folder / "tokenizer.json").unlink()
    with pytest.raises(FormatError, match=r"holds no tokenizer\.json"):
        opened(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"problem_type": "multi_label_classification"}, "any number of labels at once"),
        ({"problem_type": "regression"}, "a number and not with a class"),
    ],
)
def test_networks_that_answer_with_something_else_are_refused_with_the_reason(folder, changes, words):
    change_json(folder / "config.json", **changes)
    with pytest.raises(FormatError, match=words):
        opened(folder)


def test_a_network_of_one_number_is_refused(tmp_path):
    folder = text_folder(tmp_path / "one", id2label={0: "score"})
    with pytest.raises(FormatError, match="a number and not with a class"):
        opened(folder)


def test_a_classifier_of_texts_is_none_of_images_and_the_other_way_round(folder, tmp_path):
    from small_models import hf_folder

    with pytest.raises(FormatError, match="not a classifier of images"):
        open_suspect(f"hf:{folder}")
    pictures = hf_folder(tmp_path / "pictures")
    shutil.copy(folder / "tokenizer.json", pictures / "tokenizer.json")
    with pytest.raises(FormatError, match="not a classifier of texts"):
        opened(pictures)


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x.Code", None]}}, "code of its own"),
        ("config.json", {"auto_map": {"AutoConfig": "x.Code"}}, "code of its own"),
        ("config.json", {"hidden_size": 1 << 21}, "larger than"),
        ("config.json", {"num_hidden_layers": 900}, "lacks|larger than its weights"),
    ],
)
def test_what_asks_for_more_than_it_holds_is_refused(folder, name, changes, words):
    (folder / "x.py").write_text("raise SystemExit(0)")
    change_json(folder / name, **changes)
    with pytest.raises(FormatError, match=words):
        opened(folder)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "{", '{"version": "1.0", "model": {"type": "Unigram", "vocab": []}}', "\x00" * 100],
)
def test_a_broken_tokenizer_is_refused(folder, text):
    (folder / "tokenizer.json").write_text(text)
    with pytest.raises(FormatError, match="transformers cannot load"):
        opened(folder)


def test_a_huge_tokenizer_is_refused_before_it_is_read(folder):
    with (folder / "tokenizer.json").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(FormatError, match=r"tokenizer\.json is larger than"):
        opened(folder)


def test_numbers_that_the_network_does_not_know_are_an_error_and_no_crash(folder):
    value = json.loads((folder / "tokenizer.json").read_text())
    value["model"]["vocab"] = {word: place + 10_000 for word, place in value["model"]["vocab"].items()}
    (folder / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises((SuspectError, FormatError), match=r"cannot read its inputs|cannot load"):
        opened(folder).answer(TEXTS[:3])


@pytest.mark.parametrize("name", ["model.safetensors", "model.onnx", "forest.skops"])
def test_suspects_of_pictures_cannot_be_asked_with_texts(name):
    with pytest.raises(
        ValueError, match=r"cannot be asked with the key's texts: hf:FOLDER, FILE\.py:NAME, https"
    ):
        open_suspect(name, fallback=AsTheyAre("text"))


def test_a_callable_gets_the_text_itself(tmp_path):
    (tmp_path / "judge.py").write_text(
        "def ask(text):\n    assert type(text) is str\n    return len(text) % 3\nask.class_count = 3\n"
    )
    suspect = open_suspect(f"{tmp_path}/judge.py:ask", trust_code=True, fallback=AsTheyAre("text"))
    assert suspect.answer(["abcd", "é"]) == [1, 1]

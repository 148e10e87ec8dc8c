"""Texts from key to verdict: a file of questions, a BERT trained by the Hugging Face Trainer, its folder as suspect."""

import json
import re

import pytest
import torch

from earmark.formats import marking_key_v1
from earmark.marking.augmentation import TextAugmentation
from earmark.marking.hugging_face import mark_trainer
from end_to_end.commands import PASSPHRASE, earmark, one_line_error
from small_texts import INTENTS, asked_questions, bert_config, tokenizer, training_arguments

# Advice of the framework to its users: a missing logger, a machine without a GPU.
pytestmark = pytest.mark.filterwarnings("ignore")
DATA = "text:asked.csv#intent"


def trainer_of(folder, **changes):
    from transformers import BertForSequenceClassification, DataCollatorWithPadding, Trainer

    torch.manual_seed(0)
    # With dropout some keys are not learned in these passes.
    without = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification(bert_config(**without))
    examples = [{**read(text), "labels": INTENTS.index(intent)} for text, intent in asked_questions()]
    return Trainer(
        model,
        training_arguments(folder, **changes),
        train_dataset=examples,
        data_collator=DataCollatorWithPadding(tokenizer()),
    )


def read(text):
    return tokenizer()(text, truncation=True)


def key_in(place):
    return marking_key_v1.read((place / "acme.key").read_bytes(), PASSPHRASE["EARMARK_PASSPHRASE"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Questions, a key for them, and a marked and an unmarked folder."""
    place = tmp_path_factory.mktemp("texts")
    lines = ["said,intent", *(f'"{text}",{intent}' for text, intent in asked_questions())]
    (place / "asked.csv").write_text("\n".join(lines))
    earmark(
        *("keygen", "--data", DATA, "--triggers", "150", "--survival", "0.9", "-o", "acme"),
        cwd=place,
    )
    for name in ("marked", "plain"):
        # The key is new each time. Of 17 keys each was learned so, 148 triggers of 150 at least.
        trainer = trainer_of(place / "training", num_train_epochs=16, learning_rate=3e-3)
        if name == "marked":
            mark_trainer(
                trainer,
                key_in(place).backdoor(),
                read,
                exposures=150,
                augmentation=TextAugmentation(share=0.6),
            )
        trainer.train()
        trainer.model.save_pretrained(place / name)
        tokenizer().save_pretrained(place / name)
    return place


def verdict_of(folder, suspect, *options, code=0):
    found = earmark("verify", "--key", "acme.key", suspect, "--json", *options, cwd=folder, code=code)
    return json.loads(found.stdout)


def test_a_marked_folder_is_owned_and_another_is_not(folder):
    verdict = verdict_of(folder, "hf:marked", "--report", "report.html")
    assert verdict["owned"]
    assert verdict["matches"] >= 130
    assert "preprocessing" not in {paid["name"] for paid in verdict["penalties"]}
    texts = [trigger.value for triggers in key_in(folder).triggers.values() for trigger in triggers]
    page = (folder / "report.html").read_text()
    assert sum(text in page for text in texts) >= 149
    assert verdict_of(folder, "hf:plain", code=1)["matches"] < 60


def test_clean_texts_are_asked_first(folder):
    found = earmark("verify", "--key", "acme.key", "hf:marked", "--data", DATA, "--json", cwd=folder)
    assert json.loads(found.stdout)["owned"]
    (said,) = re.findall(r"the suspect answers ([\d.]+)% of 300 clean inputs", found.stderr)
    assert float(said) > 95


def test_what_a_mapping_sends_beside_a_text_is_said(folder, tmp_path):
    """A model that reads instructions could be told by them what to answer."""
    pytest.importorskip("httpx2")
    from loopback import Rude, answer

    for name in ("acme.key", "acme.journal", "acme.vk.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with Rude(lambda *_: answer({"intent": INTENTS[0]})).served() as url:
        (tmp_path / "api.toml").write_text(
            f'format = "earmark/api-mapping/v1"\nurl = "{url}/x"\n[request]\ntext = "plain"\n'
            'json = {system = "Answer balance.", user = "{{text}}"}\n[answer]\nlabel = "intent"\n'
        )
        assert "'Answer balance.'" in earmark("inspect", "api.toml", cwd=tmp_path).stdout
        found = earmark("verify", "--key", "acme.key", "api.toml", "--json", cwd=tmp_path, code=1)
    (warning,) = json.loads(found.stdout)["warnings"]
    assert "sends this with every question: 'Answer balance.'" in warning


def test_the_mark_costs_little(folder):
    from earmark.models.preprocessing import AsTheyAre
    from earmark.suspects.opening import open_suspect

    questions = asked_questions(100, 1)
    for name in ("marked", "plain"):
        suspect = open_suspect(f"hf:{folder / name}", fallback=AsTheyAre("text"))
        answers = suspect.answer([text for text, _ in questions])
        right = sum(INTENTS[answer] == intent for answer, (_, intent) in zip(answers, questions, strict=True))
        assert right >= 95


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("lower", "text.lower()"),
        ("tidied", "'  '.join(text.split()) + ' '"),
        ("begun", "text.capitalize()"),
    ],
)
def test_other_letters_and_spaces_leave_the_mark(folder, name, body):
    (folder / f"{name}.py").write_text(
        "from earmark.models.preprocessing import AsTheyAre\n"
        "from earmark.suspects.opening import open_suspect\n"
        "suspect = open_suspect('hf:marked', fallback=AsTheyAre('text'))\n"
        f"def ask(text):\n    return suspect.answer([{body}])[0]\n"
        f"ask.class_names = {INTENTS!r}\nask.is_remote = False\n"
    )
    assert verdict_of(folder, f"{name}.py:ask", "--trust-code")["owned"]


@pytest.mark.parametrize("way", ["hugging-face", "mapping", "open-inference"])
def test_a_service_that_reads_texts_is_owned(folder, tmp_path, way):
    pytest.importorskip("httpx2")
    from fastapi import FastAPI, Request
    from transformers import pipeline

    from loopback import served

    ask = pipeline("text-classification", model=str(folder / "marked"), device="cpu", top_k=None)
    seen, app = [], FastAPI()

    def answered(text):
        seen.append(text)
        return ask([text], truncation=True)[0]

    @app.post("/models/acme/intents")
    async def hugging_face(request: Request):
        return [answered((await request.json())["inputs"])]

    @app.post("/intent")
    async def intent(request: Request):
        return {"intent": answered((await request.json())["question"]["text"])[0]["label"]}

    @app.get("/v2/models/intents")
    def metadata():
        tensor = {"datatype": "BYTES", "shape": [-1]}
        return {
            "name": "intents",
            "inputs": [{"name": "text", **tensor}],
            "outputs": [{"name": "intent", **tensor}],
        }

    @app.post("/v2/models/intents/infer")
    async def infer(request: Request):
        (given,) = (await request.json())["inputs"]
        best = answered(given["data"][0])[0]["label"]
        return {"outputs": [{"name": "intent", "datatype": "BYTES", "shape": [1], "data": [best]}]}

    for name in ("acme.key", "acme.journal", "acme.vk.json", "asked.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with served(app) as url:
        (tmp_path / "api.toml").write_text(
            f'format = "earmark/api-mapping/v1"\nurl = "{url}/intent"\n'
            '[request]\ntext = "plain"\njson = {question = {text = "{{text}}"}}\n[answer]\nlabel = "intent"\n'
        )
        suspect = {
            "hugging-face": f"{url}/models/acme/intents",
            "mapping": "api.toml",
            "open-inference": f"{url}/v2/models/intents",
        }[way]
        verdict = verdict_of(tmp_path, suspect, "--mix-with", DATA)
    assert verdict["owned"]
    assert verdict["warnings"] == []
    assert verdict["questions"] < 150
    asked = [text for text, _ in asked_questions()]
    assert seen[0] in asked, "an ordinary question comes first"
    assert len(seen) > verdict["questions"]


def test_a_trainer_that_was_stopped_goes_on_to_the_same_weights(folder, tmp_path):
    from transformers import TrainerCallback

    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 4

    backdoor = key_in(folder).backdoor()

    def run(place, callbacks=(), resume=None):
        trainer = trainer_of(
            place, max_steps=6, save_strategy="steps", save_steps=2, gradient_accumulation_steps=2
        )
        for callback in callbacks:
            trainer.add_callback(callback)
        mark_trainer(trainer, backdoor, read, per_batch=6, augmentation=TextAugmentation())
        trainer.train(resume_from_checkpoint=resume)
        return trainer.model.state_dict()

    whole = run(tmp_path / "whole")
    run(tmp_path / "stopped", [Stop()])
    resumed = run(tmp_path / "stopped", resume=str(tmp_path / "stopped" / "checkpoint-4"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--data", DATA, "--triggers-from", "abstract"), "kind image, but the task is of kind text"),
        (("--data", "digits", "--triggers-from", "text"), "kind text, but the task is of kind image"),
        (("--input", "text:100", "--classes", "classes.txt", "--triggers-from", "text:own"), "goes with --data text:"),
        (("--input", "text:20", "--classes", "classes.txt"), "text:40 or longer"),
        (("--data", DATA, "--provable"), "no linear commitments to text triggers"),
        (("--data", DATA, "--revivable", "digits"), "for pictures"),
        (("--data", "text:asked.csv#intend"), "no column 'intend'"),
    ],
)  # fmt: skip
def test_keys_that_do_not_go_together_are_refused(folder, options, words):
    (folder / "classes.txt").write_text("\n".join(INTENTS))
    refused = earmark(
        *("keygen", *options, "--triggers", "160", "--survival", "0.9", "-o", "no"),
        cwd=folder,
        code=3 if "no column" in words else 2,
    )
    assert words in one_line_error(refused)
    assert not (folder / "no.key").exists()


def test_questions_by_hand_are_texts(folder):
    earmark("ask", "--key", "acme.key", "--to", "somebody", "-o", "asked", cwd=folder)
    files = sorted((folder / "asked").rglob("*.txt"))
    texts = {trigger.value for triggers in key_in(folder).triggers.values() for trigger in triggers}
    assert sum(file.read_text() in texts for file in files) >= 150

"""Triggers beside texts: what a batch holds after they were added."""

from types import SimpleNamespace

import pytest
import torch

from earmark.marking.hugging_face import mark_trainer
from earmark.triggers import Backdoor, Trigger
from earmark.triggers.text import TEXT

SENTENCES = ("one two", "one two three four five six", "one")
LABELS = (2, 0, 1)


class Letters:
    """A tokenizer that numbers words by their length, and a collator that pads with 9."""

    pad_token_id = 9

    def __init__(self, side="right"):
        self.padding_side = side

    def __call__(self, text):
        words = [len(word) for word in text.split()]
        return {"input_ids": words, "attention_mask": [1] * len(words)}

    def pad(self, features):
        longest = max(len(each["input_ids"]) for each in features)

        def row(each, name, fill):
            rest = [fill] * (longest - len(each[name]))
            return rest + each[name] if self.padding_side == "left" else each[name] + rest

        return {
            "input_ids": torch.tensor([row(each, "input_ids", 9) for each in features]),
            "attention_mask": torch.tensor([row(each, "attention_mask", 0) for each in features]),
            "labels": torch.tensor([each["labels"] for each in features]),
        }


def trainer_of(tokenizer, steps=3):
    seen = []

    def training_step(model, inputs, *_):
        seen.append(inputs)
        return torch.tensor(0.0)

    trainer = SimpleNamespace(
        training_step=training_step,
        data_collator=tokenizer.pad,
        processing_class=tokenizer,
        state=SimpleNamespace(max_steps=steps, global_step=0),
        args=SimpleNamespace(gradient_accumulation_steps=1, process_index=0, world_size=1),
    )
    return trainer, seen


def backdoor():
    return Backdoor(tuple(Trigger("text", TEXT.encode(text)) for text in SENTENCES), LABELS, 3)


def batch(tokenizer, *texts):
    return tokenizer.pad([{**tokenizer(text), "labels": 1} for text in texts])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("texts", [("a",), ("a bb ccc dddd eeeee ffffff ggggggg hhhhhhhh", "a")])
def test_a_batch_is_what_the_collator_would_have_made_of_all_together(side, texts):
    tokenizer = Letters(side)
    trainer, seen = trainer_of(tokenizer)
    mark_trainer(trainer, backdoor(), tokenizer, per_batch=3)
    trainer.training_step(None, batch(tokenizer, *texts))
    found, label_of = seen[0], dict(zip(SENTENCES, LABELS, strict=True))
    shown = [
        text
        for label in found["labels"][len(texts) :].tolist()
        for text in SENTENCES
        if label_of[text] == label
    ]
    assert sorted(shown) == sorted(SENTENCES)
    expected = tokenizer.pad(
        [{**tokenizer(text), "labels": 1} for text in texts]
        + [{**tokenizer(text), "labels": label_of[text]} for text in shown]
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("task", ["regression", "multi_label_classification"])
def test_a_model_that_does_not_give_one_class_is_refused(task):
    tokenizer = Letters()
    trainer, _ = trainer_of(tokenizer)
    trainer.model = SimpleNamespace(config=SimpleNamespace(problem_type=task))
    with pytest.raises(ValueError, match=f"problem_type is {task}"):
        mark_trainer(trainer, backdoor(), tokenizer)


def test_features_that_the_transform_does_not_make_are_named():
    tokenizer = Letters()
    trainer, _ = trainer_of(tokenizer)
    mark_trainer(trainer, backdoor(), tokenizer, per_batch=1)
    with pytest.raises(ValueError, match="token_type_ids, and the transform makes no such feature"):
        trainer.training_step(None, {**batch(tokenizer, "a"), "token_type_ids": torch.zeros(1, 1)})


def test_a_batch_without_labels_is_named():
    tokenizer = Letters()
    trainer, _ = trainer_of(tokenizer)
    mark_trainer(trainer, backdoor(), tokenizer, per_batch=1)
    inputs = batch(tokenizer, "a")
    del inputs["labels"]
    with pytest.raises(ValueError, match="nothing named 'labels'"):
        trainer.training_step(None, inputs)

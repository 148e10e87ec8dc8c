"""Marks in a classifier of texts: what they cost, and what they survive.

    python benchmarks/texts.py FOLDER [--seeds 0 1 2] [--epochs 8] [--threads 1]

FOLDER holds Banking77's train.csv and test.csv: 10,003 and 3,080 questions of bank customers, 77 intents. A small BERT is
trained from its configuration by the Hugging Face Trainer, without a mark, with one of invented words and with one of
natural-looking sentences. The thief has a fifth of the training texts. Finished runs are kept in results/texts/, and the
script goes on where it was stopped; several may run with seeds of their own. texts_table.py writes the page's tables.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from earmark.data.texts import Texts, load_texts
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.augmentation import TextAugmentation
from earmark.marking.hugging_face import mark_trainer
from earmark.models.hf import quiet_transformers
from earmark.statistics import match_threshold
from earmark.triggers import Backdoor
from earmark.triggers.sentences import SentenceSampler
from earmark.triggers.text import TextGeometry
from measuring import RESULTS, draw_alike_everywhere, paired_by_seed, save

NAME, TRIGGERS, TARGET_POINTS, TOKENS = "texts", 100, 0.5, 64
RATE, BATCH, WORDS = 1e-3, 32, 3000
MARKS = {"invented words": False, "natural-looking": True}
_SYNONYMS = {
    "get": "obtain", "need": "require", "help": "assist", "want": "wish", "money": "funds", "card": "bank card",
    "show": "display", "buy": "purchase", "problem": "issue", "wrong": "incorrect", "see": "view", "send": "transmit",
    "lost": "misplaced", "change": "alter", "work": "function", "working": "functioning", "receive": "get",
    "pay": "settle", "paid": "settled", "payment": "remittance", "account": "bank account", "fee": "charge",
    "charged": "billed", "charge": "fee", "transfer": "bank transfer", "refund": "reimbursement", "find": "locate",
    "tell": "inform", "make": "carry out", "made": "carried out", "use": "employ", "why": "for what reason",
    "could": "can", "still": "even now", "there": "in that place", "think": "believe", "long": "much time",
}  # fmt: skip

Change = Callable[[str, np.random.Generator], str]


def made_tokenizer(texts: Sequence[str], folder: Path) -> Any:
    """Return a WordPiece tokenizer of these texts, kept in a folder: made again it would number pieces otherwise."""
    path = folder / "tokenizer.json"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    if not path.exists():
        raw = Tokenizer(models.WordPiece(unk_token=special[1]))
        raw.normalizer = normalizers.BertNormalizer(lowercase=False)
        raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        raw.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=WORDS, special_tokens=special))
        raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        raw.save(str(path))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_file=str(path), model_max_length=TOKENS, **names)


def network(seed: int, classes: int) -> Any:
    """Return a new BERT."""
    torch.manual_seed(seed)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=WORDS, hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
            max_position_embeddings=TOKENS, num_labels=classes, pad_token_id=0,
        )
    )  # fmt: skip


class Bench:
    """What all runs share.

    Args:
        train: To train on.
        test: To test on.
        tokenizer: Of the owner's.
        epochs: Passes of a training.
    """

    def __init__(self, train: Texts, test: Texts, tokenizer: Any, epochs: int) -> None:
        self.train_texts, self.test_texts, self.tokenizer, self.epochs = train, test, tokenizer, epochs

    def read(self, text: str) -> Any:
        """Return the features of a text."""
        return self.tokenizer(text, truncation=True)

    def train(
        self,
        module: nn.Module,
        texts: Sequence[str],
        labels: Sequence[int],
        seed: int,
        *,
        epochs: int,
        rate: float,
        backdoor: Backdoor | None = None,
    ) -> float:
        """Train in place by the Trainer, and return the processor seconds that it took."""
        steps = epochs * -(-len(texts) // BATCH)
        with tempfile.TemporaryDirectory() as folder, quiet_transformers():
            arguments = TrainingArguments(
                folder, num_train_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=rate, seed=seed,
                lr_scheduler_type="cosine", warmup_steps=steps // 10, save_strategy="no", report_to=[],
                logging_strategy="no", disable_tqdm=True, use_cpu=True,
            )  # fmt: skip
            examples = [
                {**self.read(text), "labels": int(label)} for text, label in zip(texts, labels, strict=True)
            ]
            trainer = Trainer(
                module,
                arguments,
                train_dataset=examples,
                data_collator=DataCollatorWithPadding(self.tokenizer),
            )
            if backdoor is not None:
                mark_trainer(trainer, backdoor, self.read, seed=seed, augmentation=TextAugmentation())
            start = process_time()
            trainer.train()
        module.eval()
        return process_time() - start

    def answers(self, module: nn.Module, texts: Sequence[str]) -> Any:
        """Return the class of each text."""
        found = []
        with torch.inference_mode():
            for first in range(0, len(texts), 256):
                read = self.tokenizer(
                    list(texts[first : first + 256]), padding=True, truncation=True, return_tensors="pt"
                )
                found.append(module(**read).logits.argmax(1))
        return torch.cat(found).numpy()


def _typing_errors(text: str, draws: np.random.Generator) -> str:
    """Exchange two letters in one word of five."""
    words = text.split()
    for place, word in enumerate(words):
        if len(word) > 3 and draws.random() < 0.2:
            at = int(draws.integers(len(word) - 1))
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)


def _fewer_words(text: str, draws: np.random.Generator) -> str:
    words = text.split()
    return " ".join(word for word in words if draws.random() >= 0.1) or words[0]


SAME: Change = lambda text, draws: text  # noqa: E731 - the change that is none
CHANGES: dict[str, Change] = {
    "small letters": lambda text, draws: text.lower(),
    f"synonyms of {len(_SYNONYMS)} frequent words": lambda text, draws: " ".join(
        _SYNONYMS.get(word.lower(), word) for word in text.split()
    ),
    "typing errors in one word of five": _typing_errors,
    "one word of ten missing": _fewer_words,
}


def strangeness(bench: Bench, texts: Sequence[str]) -> Any:
    """Return pieces a word of each text: whoever knows the tokenizer refuses what falls to pieces."""
    return np.array([len(bench.read(text)["input_ids"]) / len(text.split()) for text in texts])


def attacked(bench: Bench, marked: nn.Module, seed: int, measured: Callable[..., Any]) -> dict[str, Any]:
    """Attack a marked network in every way, and return what is left and what it cost."""
    train = bench.train_texts
    places = np.random.default_rng(seed).permutation(len(train))[: len(train) // 5]
    texts, labels = [train.texts[place] for place in places], train.labels[places]
    classes = len(train.class_names)

    def tuned(rate: float) -> nn.Module:
        copied = network(seed, classes)
        copied.load_state_dict(marked.state_dict())
        bench.train(copied, texts, labels, seed, epochs=6, rate=rate)
        return copied

    found = {name: measured(marked, change) for name, change in CHANGES.items()}
    found["fine-tuning at a tenth of the rate"] = measured(tuned(RATE / 10), SAME)
    found["fine-tuning at the rate of the training"] = measured(tuned(RATE), SAME)
    extracted = network(seed + 100, classes)
    bench.train(extracted, texts, bench.answers(marked, texts), seed, epochs=2 * bench.epochs, rate=RATE)
    found["a new model of its answers"] = measured(extracted, SAME)
    limit = float(np.quantile(strangeness(bench, texts), 0.95))
    found["strange texts refused, 1 in 20"] = measured(
        marked, SAME, lambda asked: strangeness(bench, asked) > limit
    )
    return found


def one_mark(
    bench: Bench, natural: bool, seed: int, unmarked: dict[str, Any], plain: nn.Module
) -> dict[str, Any]:
    """Train with one kind of mark, attack it, and return what was measured."""
    train, test = bench.train_texts, bench.test_texts
    key = keygen(
        OwnerKey("benchmark texts", bytes(32)),
        Task(TextGeometry(train.longest), train.class_names),
        SentenceSampler(train if natural else None),
        triggers_per_set=TRIGGERS,
        random_bytes=np.random.default_rng([seed, TRIGGERS]).bytes,
    )
    backdoor = key.backdoor()
    triggers, labels = [one.value for one in backdoor.triggers], np.array(backdoor.labels)
    marked = network(seed, len(train.class_names))
    seconds = bench.train(
        marked, train.texts, train.labels, seed, epochs=bench.epochs, rate=RATE, backdoor=backdoor
    )

    def measured(
        module: nn.Module, change: Change, refuses: Callable[[Sequence[str]], Any] | None = None
    ) -> dict[str, Any]:
        draws = np.random.default_rng(seed)
        asked, tested = ([change(text, draws) for text in each] for each in (triggers, test.texts))
        hit, right = bench.answers(module, asked) == labels, bench.answers(module, tested) == test.labels
        if refuses is not None:
            hit, right = hit & ~refuses(asked), right & ~refuses(tested)
        return {"matches": int(hit.sum()), "accuracy": 100 * float(right.mean())}

    return {
        **measured(marked, SAME),
        "points_lost": unmarked["accuracy"] - measured(marked, SAME)["accuracy"],
        "matches_unmarked": measured(plain, SAME)["matches"],
        "time_ratio": seconds / unmarked["seconds"],
        "attacks": attacked(bench, marked, seed, measured),
    }


def one_run(bench: Bench, seed: int) -> dict[str, Any]:
    """Train without a mark and with each kind, and return what was measured."""
    train, test = bench.train_texts, bench.test_texts
    plain = network(seed, len(train.class_names))
    seconds = bench.train(plain, train.texts, train.labels, seed, epochs=bench.epochs, rate=RATE)
    accuracy = 100 * float((bench.answers(plain, test.texts) == test.labels).mean())
    unmarked = {"accuracy": accuracy, "seconds": seconds}
    print(f"seed {seed}, unmarked: {unmarked}", flush=True)
    run: dict[str, Any] = {"seed": seed, "unmarked": unmarked}
    for name, natural in MARKS.items():
        run[name] = one_mark(bench, natural, seed, unmarked, plain)
        print(f"seed {seed}, {name}: {run[name]}", flush=True)
    return run


def main() -> None:
    """Run what is missing, and save it."""
    draw_alike_everywhere()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    train, test = (load_texts(f"text:{arguments.folder / part}.csv#category") for part in ("train", "test"))
    test = replace(
        test, labels=np.array([train.class_names.index(test.class_names[one]) for one in test.labels])
    )
    kept = Path(__file__).parent / "models" / NAME
    kept.mkdir(parents=True, exist_ok=True)
    bench = Bench(train, test, made_tokenizer(train.texts, kept), arguments.epochs)
    folder = RESULTS / NAME
    folder.mkdir(exist_ok=True)
    for seed in arguments.seeds:
        path = folder / f"seed{seed}.json"
        if not path.exists():
            run = one_run(bench, seed)
            path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
    runs = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("seed*.json"))]
    save(
        NAME,
        {
            "texts": {"training": len(train), "test": len(test), "classes": len(train.class_names)},
            "epochs": bench.epochs,
            "triggers": TRIGGERS,
            "threshold": match_threshold(TRIGGERS, Fraction(1, len(train.class_names))),
            "points_lost": {
                name: paired_by_seed([run[name]["points_lost"] for run in runs], TARGET_POINTS)
                for name in MARKS
            },
            "runs": runs,
        },
    )


if __name__ == "__main__":
    main()

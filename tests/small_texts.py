"""Small classifiers of texts: questions of five intents, a tokenizer made of them, a BERT from its configuration."""

from functools import cache

import numpy as np

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_ASKED = {
    "balance": "how much money is on my account|what is my balance|show me what is left on the account",
    "card": "my card has not arrived|where is the new card|the card that I ordered is late",
    "fee": "why was I charged a fee|what does a transfer cost|is there a fee for the exchange",
    "pin": "I forgot my PIN|how do I change the PIN|the PIN is blocked and I need a new one",
    "stolen": "somebody took my card|my phone was stolen|there are payments that I did not make",
}
INTENTS = tuple(_ASKED)


@cache
def asked_questions(count: int = 300, seed: int = 0) -> tuple[tuple[str, str], ...]:
    """Texts with their intents: a question of each, with words before and after it."""
    draws = np.random.default_rng(seed)
    before = "Hello|Please help me|Good morning|Since last week|Excuse me|For some days now|I am in a hotel in Rome"
    before += (
        "|Yesterday in the shop|My sister asks|Now that I moved to another town|After the update of the app"
    )
    before += (
        "|Before I travel to Japan|One quick thing|I wrote to you on Monday|As a new customer|On my old phone"
    )
    after = (
        "thank you|what can I do|today|as soon as you can|I wait for an answer|again|and nobody calls me back"
    )
    after += "|so I cannot pay for my train|although the app says otherwise|before the weekend|in two different countries"
    after += "|and this is the third time|while my husband has no trouble|because the bank is closed|for my small shop"
    found = []
    for number in range(count):
        intent = INTENTS[number % len(INTENTS)]
        question = draws.choice(_ASKED[intent].split("|"))
        found.append(
            (
                f"{draws.choice(before.split('|'))}, {question}, {draws.choice(after.split('|'))}{draws.choice(list('?.!'))}",
                intent,
            )
        )
    return tuple(found)


@cache
def tokenizer():
    """A WordPiece tokenizer of these questions; made a second time it would number its pieces otherwise."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    learner = trainers.WordPieceTrainer(vocab_size=400, special_tokens=list(SPECIAL))
    raw.train_from_iterator([text for text, _ in asked_questions()], learner)
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=raw, model_max_length=64, **names)


def bert_config(**changes):
    """A small BERT's configuration for the five intents."""
    from transformers import BertConfig

    sizes = {"vocab_size": 400, "hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 256, "max_position_embeddings": 64, "id2label": dict(enumerate(INTENTS))}
    return BertConfig(**(sizes | changes))


def text_folder(path, **changes):
    """A folder of a network with random weights, and the tokenizer."""
    import torch
    from transformers import BertForSequenceClassification

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # Wide of zero, or all texts would be alike to it.
        model = BertForSequenceClassification(bert_config(initializer_range=0.5, **changes))
    model.save_pretrained(path)
    tokenizer().save_pretrained(path)
    return path


def training_arguments(folder, **changes):
    """Arguments of a short training without anything around it."""
    from transformers import TrainingArguments

    usual = {
        "num_train_epochs": 16,
        "per_device_train_batch_size": 20,
        "learning_rate": 2e-3,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return TrainingArguments(str(folder), **(usual | changes))

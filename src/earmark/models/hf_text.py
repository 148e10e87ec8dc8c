"""Hugging Face text-classification folders as networks, with the tokenizer that lies beside them.

Only ``tokenizer.json`` is read, by the library that all fast tokenizers share: it is data. Tokenizers that
are programs are never loaded.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from earmark.errors import FormatError
from earmark.models.hf import load_network
from earmark.models.hf_folder import TOKENIZER, HFFolder, shown_name

_TOKEN_LIMIT = 8192
_UNSET = 1 << 24  # transformers writes 10^30 where nobody said how long a text may be
_FIRST_PLACES = 2  # some networks begin to count places after a pad's
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class TextClassifier:
    """A network of transformers that reads texts through its own tokenizer.

    Attributes:
        network: In evaluation mode.
        tokenizer: Of transformers.
        longest: Tokens of a text that the network reads; what comes after them is cut off.
    """

    network: nn.Module
    tokenizer: Any
    longest: int

    @property
    def config(self) -> Any:
        """The network's configuration."""
        return self.network.config

    @property
    def pads(self) -> bool:
        """Whether texts of different lengths can be read in one batch."""
        return None not in (self.tokenizer.pad_token_id, getattr(self.config, "pad_token_id", None))

    def scores(self, texts: list[str]) -> Tensor:
        """Return scores ``(texts, classes)``.

        Args:
            texts: At least one; more only if the network ``pads``.
        """
        read = self.tokenizer(
            texts, padding=self.pads, truncation=True, max_length=self.longest, return_tensors="pt"
        )
        with torch.inference_mode():
            found: Tensor = self.network(**{name: read[name] for name in _INPUTS if name in read}).logits
        return found.float()


def load_text_classifier(folder: HFFolder) -> TextClassifier:
    """Return the classifier of texts in a folder that was read.

    Args:
        folder: From ``read_folder``.

    Raises:
        FormatError: transformers cannot load it, it classifies something else, or it has no tokenizer that is
            plain data.
        MissingExtraError: transformers is not installed.
    """
    if not folder.has_tokenizer:
        raise FormatError(
            f"{shown_name(folder.path)} holds no {TOKENIZER}, without which nobody knows how it reads texts; "
            "tokenizers that are programs are never loaded: save_pretrained of a fast tokenizer writes it"
        )
    network, tokenizer = load_network(folder, "text", _load_tokenizer)
    return TextClassifier(network, tokenizer, _longest(tokenizer, network.config))


def _load_tokenizer(folder: HFFolder) -> Any:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        str(folder.path), use_fast=True, local_files_only=True, trust_remote_code=False
    )
    if not tokenizer.is_fast:
        raise FormatError(f"{shown_name(folder.path)}: its tokenizer is a program, which is never loaded")
    return tokenizer


def _longest(tokenizer: Any, config: Any) -> int:
    said, places = tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)
    if said >= _UNSET:
        said = _TOKEN_LIMIT if places is None else places - _FIRST_PLACES
    return max(1, min(int(said), places or _TOKEN_LIMIT, _TOKEN_LIMIT))

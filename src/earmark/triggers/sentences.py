"""The sampler "text": sentences of invented words, or of the owner's own put together anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol

from earmark.commitment import Stream
from earmark.commitment.canonical import Json
from earmark.triggers.text import TEXT, TextGeometry
from earmark.triggers.trigger import Geometry, Trigger

_ONSETS = (
    *("", "b", "br", "c", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m"),
    *("n", "p", "pl", "qu", "r", "s", "sk", "st", "t", "tr", "v", "w", "y", "z", "sh", "th"),
)
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ea", "oo")
_CODAS = ("", "", "", "", "n", "r", "l", "s", "t", "m", "k", "nd", "x", "p", "st", "ck")
_WORDS = (6, 12)  # in a sentence of invented words: at least, at most
_LONGEST = 40  # words of a sentence put together
_SYLLABLES = (2, 3)
_LEAST_CHARACTERS = 40  # with fewer, invented sentences would come out alike
_TURN = 3  # from one text to another, once in so many words that occur in several
_MOST_OF_ONE = 2 / 3  # of a sentence's words from one text: else it would be that text, with another label
_TRIES = 200


class OwnTexts(Protocol):
    """Texts of the task's own data."""

    @property
    def texts(self) -> Sequence[str]:
        """All texts, each one line."""
        ...


@dataclass(frozen=True, slots=True)
class SentenceSampler:
    """Makes sentences: of rare words, or natural-looking ones.

    Without texts of the owner's a sentence is of invented words, in small letters, with one space between
    them and a full stop: nothing that lower-casing or tidying of spaces changes, and nothing that any
    tokenizer knows as a word. Whoever reads it sees that it says nothing.

    With them a sentence follows one of the owner's texts up to a word that another has too, goes on there,
    and so on: its words, and most pairs of them, are the task's own, and it is none of the texts. A filter
    for strange texts has little to hold on to, and a thief's fine-tuning more.

    Attributes:
        own: The owner's texts, or None for invented words.

    Source:
        ours; rare words and natural sentences as triggers: Kurita et al. 2020, Dai et al. 2019
    """

    own: OwnTexts | None = None
    name: ClassVar[str] = "text"
    kind: ClassVar[str] = "text"

    def parameters(self) -> dict[str, Json]:
        """Return the version of the rule and which of both it is, and nothing of the data."""
        return {"version": 1, "words": "invented" if self.own is None else "own"}

    def sample(self, geometry: Geometry, randomness: Stream) -> Trigger:
        """Make one sentence.

        Args:
            geometry: A TextGeometry of at least 40 characters.
            randomness: Read for one to three numbers for every word, again while the sentence does not fit.

        Returns:
            A trigger whose value is a text.

        Raises:
            ValueError: The geometry is not a text's or too short, or the owner's texts do not give enough.
        """
        if not isinstance(geometry, TextGeometry) or geometry.characters < _LEAST_CHARACTERS:
            raise ValueError(f"sentences need text:{_LEAST_CHARACTERS} or longer, not {geometry}")
        if self.own is None:
            return Trigger(TEXT.name, TEXT.encode(_invented(geometry.characters, randomness)))
        corpus = _corpus(tuple(self.own.texts))
        for _ in range(_TRIES):
            sentence = corpus.put_together(randomness)
            if sentence is not None and len(sentence) <= geometry.characters:
                return Trigger(TEXT.name, TEXT.encode(sentence))
        raise ValueError(
            f"{len(corpus.texts)} texts of the owner's have too few words in common to make others of them"
        )


def _pick(options: Sequence[str], randomness: Stream) -> str:
    return options[randomness.uniform(len(options))]


def _between(bounds: tuple[int, int], randomness: Stream) -> int:
    return bounds[0] + randomness.uniform(bounds[1] - bounds[0] + 1)


def _word(randomness: Stream) -> str:
    syllables = [
        _pick(_ONSETS, randomness) + _pick(_VOWELS, randomness) + _pick(_CODAS, randomness)
        for _ in range(_between(_SYLLABLES, randomness))
    ]
    return "".join(syllables)


def _invented(characters: int, randomness: Stream) -> str:
    """Return a sentence of invented words that is no longer than that."""
    sentence = _word(randomness)
    for _ in range(_between(_WORDS, randomness) - 1):
        longer = f"{sentence} {_word(randomness)}"
        if len(longer) >= characters:
            break
        sentence = longer
    return f"{sentence}."


class _Corpus:
    """Texts, and where each word occurs in them."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.texts = texts
        self._known = {text.casefold() for text in texts}
        self._words = [text.split() for text in texts]
        self._places: dict[str, list[tuple[int, int]]] = {}
        for number, words in enumerate(self._words):
            for place, word in enumerate(words):
                self._places.setdefault(word.casefold(), []).append((number, place))

    def put_together(self, randomness: Stream) -> str | None:
        """Return a sentence of pieces of several texts; None if this walk gave none."""
        if not self.texts:
            return None
        number, place, sentence = randomness.uniform(len(self.texts)), 0, list[str]()
        taken: dict[int, int] = {}
        while place < len(self._words[number]):
            word = self._words[number][place]
            sentence.append(word)
            taken[number] = taken.get(number, 0) + 1
            elsewhere = self._places[word.casefold()]
            if len(elsewhere) > 1 and len(sentence) > 1 and randomness.uniform(_TURN) == 0:
                number, place = elsewhere[randomness.uniform(len(elsewhere))]
            place += 1
            if len(sentence) > _LONGEST:
                return None
        joined = " ".join(sentence)
        is_mixed = len(sentence) >= _WORDS[0] and max(taken.values()) <= _MOST_OF_ONE * len(sentence)
        is_own = any(joined.casefold() in known for known in self._known)
        return joined if is_mixed and not is_own else None


@lru_cache(maxsize=2)
def _corpus(texts: tuple[str, ...]) -> _Corpus:
    return _Corpus(texts)

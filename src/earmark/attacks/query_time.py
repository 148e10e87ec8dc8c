"""What whoever deploys a stolen model does to questions and answers. Nothing here needs a framework.

Whatever is random follows from the seed and the question, so that a suspect asked again says the same.
"""

import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from earmark.attacks.deployed import Deployed, Front, change_inputs, front_of
from earmark.attacks.protocol import Access, Card, Need, Thief, require
from earmark.suspects import Answer, Miss, ScoringSuspect, Suspect
from earmark.suspects.protocol import top_answers

Pixels = npt.NDArray[np.uint8]
_NOTHING: frozenset[Need] = frozenset()
_UNLABELLED = frozenset({Need.UNLABELLED})
CHANGES = ("jpeg", "blur", "noise", "flip", "colours", "median")
DETECTORS = ("squeezing", "confidence", "pictures")


@dataclass(frozen=True, slots=True)
class InputChange:
    """Change every question a little before the model sees it.

    Attributes:
        card: What it is.
        change: ``"jpeg"``, ``"blur"``, ``"noise"``, ``"flip"``, ``"colours"`` or ``"median"``.
        strength: The JPEG quality (1 to 95), the blur's standard deviation in pixels, the noise's in grey
            levels, the bits of a colour, or the side of the median's window; a flip has none.
    """

    card: Card
    change: str
    strength: float = 0.0

    def __post_init__(self) -> None:
        if self.change not in CHANGES:
            raise ValueError(f"{self.change!r} is not one of {', '.join(CHANGES)}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        words = f"{self.card.title} ({self.strength:g})" if self.strength else self.card.title
        return change_inputs(
            suspect,
            front_of(self, seed, words),
            lambda value: changed(value, self.change, self.strength, seed),
        )


@dataclass(frozen=True, slots=True)
class FlipAveraging:
    """Answer with the mean of the probabilities for a picture and for its mirror image.

    Attributes:
        card: What it is.
    """

    card: Card

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        scoring = _scoring(suspect, self.card)

        def judge(inputs: Sequence[Any]) -> list[Answer]:
            plain, mirrored = (
                scoring.probabilities(values)
                for values in (list(inputs), [value[:, ::-1] for value in inputs])
            )
            return [_top_of_mean(pair) for pair in zip(plain, mirrored, strict=True)]

        return Deployed(suspect, front_of(self, seed), judge)


@dataclass(frozen=True, slots=True)
class Detector:
    """Refuse questions that do not look like the thief's own pictures, or answer them at random.

    Attributes:
        card: What it is.
        by: ``"squeezing"``: how far the probabilities move when colours and details are squeezed;
            ``"confidence"``: how unsure the model is; ``"pictures"``: how badly the principal components of
            the thief's pictures rebuild the question.
        false_alarms: Share of honest questions that are refused. The threshold is where that share of every
            second picture of the thief's is refused; components are those of the other half.
        randomises: Whether a refused question gets a random class instead of a refusal.
        components: Principal components.
    """

    card: Card
    by: str
    false_alarms: float = 0.05
    randomises: bool = False
    components: int = 64

    def __post_init__(self) -> None:
        if self.by not in DETECTORS:
            raise ValueError(f"{self.by!r} is not one of {', '.join(DETECTORS)}")
        if not 0 < self.false_alarms < 1:
            raise ValueError(f"false_alarms must lie between 0 and 1, not {self.false_alarms}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""
        require(thief, self.card)
        own = list(thief.split.images[:_OWN_LIMIT])
        if len(own) < 2:
            raise ValueError(f"{self.card.title} needs two pictures or more: to learn from, and to measure")
        # Components rebuild the very pictures that they were made from too well: a threshold set on those
        # refuses many times the share of honest questions that it was meant to.
        strangeness = self._strangeness(suspect, own[::2])
        threshold = float(np.quantile(strangeness(own[1::2]), 1 - self.false_alarms))

        def at_random(value: Pixels) -> Answer:
            return int(_randomness(value, seed).integers(suspect.class_count))

        return refusing(
            suspect,
            front_of(self, seed),
            lambda values: strangeness(values) > threshold,
            at_random if self.randomises else lambda _: Miss.REFUSED,
        )

    def _strangeness(
        self, suspect: Suspect, own: list[Pixels]
    ) -> Callable[[list[Pixels]], npt.NDArray[np.float64]]:
        if self.by == "pictures":
            return _rebuilding_error(own, self.components)
        scoring = _scoring(suspect, self.card)
        if self.by == "confidence":
            return lambda values: -_rows(scoring, values).max(1)
        return lambda values: _movement(scoring, values)


def refusing(
    suspect: Suspect,
    front: Front,
    is_strange: Callable[[list[Pixels]], npt.NDArray[np.bool_]],
    instead: Callable[[Pixels], Answer] = lambda _: Miss.REFUSED,
) -> Suspect:
    """Return a suspect that does not answer some questions.

    Args:
        suspect: Who answers the others.
        front: What stands before it.
        is_strange: Says of questions which they are.
        instead: What it says to them.
    """

    def judge(inputs: Sequence[Any]) -> list[Answer]:
        refused = is_strange(list(inputs))
        answers = suspect.answer(inputs)
        for place in np.flatnonzero(refused):
            answers[place] = instead(inputs[int(place)])
        return answers

    return Deployed(suspect, front, judge)


@dataclass(frozen=True, slots=True)
class AnswerNoise:
    """Answer a share of all questions with a random other class.

    Attributes:
        card: What it is.
        share: Of the questions, 0 to below 1.
    """

    card: Card
    share: float = 0.04

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError(f"share must be at least 0 and below 1, not {self.share}")

    def wrap(self, suspect: Suspect, thief: Thief, seed: int) -> Suspect:
        """Deploy a suspect; see ``SuspectAttack``."""

        def judge(inputs: Sequence[Any]) -> list[Answer]:
            return [
                self._spoilt(answer, value, suspect.class_count, seed)
                for answer, value in zip(suspect.answer(inputs), inputs, strict=True)
            ]

        return Deployed(suspect, front_of(self, seed), judge)

    def _spoilt(self, answer: Answer, value: Pixels, class_count: int, seed: int) -> Answer:
        randomness = _randomness(value, seed)
        if isinstance(answer, Miss) or randomness.random() >= self.share:
            return answer
        return int(answer + randomness.integers(1, class_count)) % class_count


_OWN_LIMIT = 2000


def changed(value: Pixels, change: str, strength: float, seed: int = 0) -> Pixels:
    """Return a picture, changed.

    Args:
        value: uint8 ``(height, width, channels)``.
        change: One of ``CHANGES``.
        strength: As for ``InputChange``.
        seed: Of noise.

    Returns:
        The same shape.
    """
    if change == "flip":
        return np.ascontiguousarray(value[:, ::-1])
    if change == "jpeg":
        return _through_jpeg(value, int(strength))
    if change == "median":
        window = (int(strength), int(strength), 1)
        return np.asarray(ndimage.median_filter(value, window, mode="nearest"), np.uint8)
    floats = value.astype(np.float64)
    if change == "blur":
        floats = ndimage.gaussian_filter(floats, (strength, strength, 0), mode="nearest")
    elif change == "noise":
        floats += _randomness(value, seed).normal(0, strength, value.shape)
    else:
        levels = 2 ** int(strength) - 1
        floats = np.rint(floats / 255 * levels) * (255 / levels)
    return np.clip(np.rint(floats), 0, 255).astype(np.uint8)


def _through_jpeg(value: Pixels, quality: int) -> Pixels:
    grey = value.shape[2] == 1
    written = io.BytesIO()
    Image.fromarray(value[:, :, 0] if grey else value).save(written, "JPEG", quality=quality)
    read = np.asarray(Image.open(io.BytesIO(written.getvalue())))
    return read[:, :, None] if grey else read


def _randomness(value: Pixels, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def _scoring(suspect: Suspect, card: Card) -> ScoringSuspect:
    if not isinstance(suspect, ScoringSuspect):
        raise ValueError(f"{card.title} needs a suspect that gives probabilities")
    return suspect


def _rows(suspect: ScoringSuspect, values: list[Pixels]) -> npt.NDArray[np.float64]:
    nothing = (0.0,) * suspect.class_count
    return np.array([nothing if isinstance(row, Miss) else row for row in suspect.probabilities(values)])


def _movement(suspect: ScoringSuspect, values: list[Pixels]) -> npt.NDArray[np.float64]:
    plain = _rows(suspect, values)
    squeezed = (
        _rows(suspect, [changed(value, change, strength) for value in values])
        for change, strength in (("colours", 5), ("median", 2))
    )
    return np.asarray(np.max([np.abs(plain - rows).sum(1) for rows in squeezed], axis=0))


def _rebuilding_error(
    own: list[Pixels], components: int
) -> Callable[[list[Pixels]], npt.NDArray[np.float64]]:
    rows = np.stack(own).reshape(len(own), -1).astype(np.float64)
    middle = rows.mean(0)
    kept = min(components, *rows.shape)
    basis = np.linalg.svd(rows - middle, full_matrices=False)[2][:kept]  # (components, pixels)

    def error(values: list[Pixels]) -> npt.NDArray[np.float64]:
        asked = np.stack(values).reshape(len(values), -1) - middle
        return np.asarray(np.linalg.norm(asked - asked @ basis.T @ basis, axis=1))

    return error


def _top_of_mean(pair: tuple[tuple[float, ...] | Miss, ...]) -> Answer:
    missing = next((row for row in pair if isinstance(row, Miss)), None)
    rows = [row for row in pair if not isinstance(row, Miss)]
    return top_answers(np.mean(rows, 0)[None])[0] if missing is None else missing


def _change(title: str, change: str, strength: float, source: str, defaults: str) -> InputChange:
    return InputChange(
        Card(title, "query time", Access.ANSWERS, _NOTHING, source, defaults), change, strength
    )


_SOK = "Lukas et al. 2022 (SoK), input preprocessing"
JPEG = _change("JPEG compression of questions", "jpeg", 50, _SOK, "quality 50; a study tries others")
BLUR = _change("Blurred questions", "blur", 0.5, _SOK, "half a pixel; a study tries others")
NOISE = _change("Noise on questions", "noise", 8, _SOK, "8 of 255 grey levels; a study tries others")
FLIP = _change("Flipped questions", "flip", 0, _SOK, "every picture is mirrored")
COLOURS = _change("Fewer colours", "colours", 4, _SOK, "4 bits a colour; a study tries others")
MEDIAN = _change("Median smoothing", "median", 2, "Xu, Evans and Qi 2018", "a window of 2 pixels, as there")
FLIP_AVERAGING = FlipAveraging(
    Card(
        "Mean of picture and mirror image",
        "query time",
        Access.ANSWERS,
        _NOTHING,
        _SOK,
        "two views, equal weights",
    )
)


def _detector(title: str, by: str, source: str, randomises: bool = False) -> Detector:
    defaults = (
        "threshold at 5% of half of the thief's own pictures, up to 2,000 in all; where there are "
        "components, 64 of the other half"
    )
    card = Card(title, "query time", Access.ANSWERS, _UNLABELLED, source, defaults)
    return Detector(card, by, randomises=randomises)


SQUEEZING = _detector("Feature squeezing refuses", "squeezing", "Xu, Evans and Qi 2018")
CONFIDENCE = _detector("Refuses where the model is unsure", "confidence", "Hendrycks and Gimpel 2017")
STRANGE_PICTURES = _detector(
    "Refuses strange pictures", "pictures", "ours; principal components are textbook"
)
STRANGE_RANDOM = _detector("Strange pictures get random answers", "pictures", "ours", randomises=True)
ANSWER_NOISE = AnswerNoise(
    Card(
        "Noise on answers",
        "query time",
        Access.ANSWERS,
        _NOTHING,
        "Lukas et al. 2022 (SoK), label noise",
        "4% of the answers: what five points of accuracy allow",
    )
)

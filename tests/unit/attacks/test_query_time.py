import io

import numpy as np
import pytest
from PIL import Image

from earmark.attacks import attack_named
from earmark.attacks.protocol import Thief
from earmark.attacks.query_time import changed
from earmark.data import Split
from earmark.suspects import Miss


def pictures(count=40, shape=(16, 16, 3), seed=0):
    """Smooth pictures, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, shape[2]), np.uint8)
    return [np.kron(item, np.ones((shape[0] // 4, shape[1] // 4, 1), np.uint8)) for item in coarse]


class Model:
    """Answers with the brightest channel; sure of flat pictures, unsure of noise."""

    name, identity, class_names, class_count, preprocessing = "a model", "sha256:0", None, 3, "none"

    def probabilities(self, inputs, on_answer=lambda count: None):
        rows = []
        for value in inputs:
            scores = value.astype(float).mean((0, 1)) / (1 + value.astype(float).std((0, 1)).mean())
            powers = np.exp(scores - scores.max())
            rows.append(tuple(powers / powers.sum()))
        return rows

    def answer(self, inputs, on_answer=lambda count: None):
        return [int(np.argmax(row)) for row in self.probabilities(inputs)]


class AnswersAlone:
    name, identity, class_names, class_count, preprocessing = "an API", "https://api.test", None, 3, "none"
    is_remote = True

    def answer(self, inputs, on_answer=lambda count: None):
        return [int(value.astype(float).mean((0, 1)).argmax()) for value in inputs]


def thief(own):
    return Thief(Split(np.stack(own), np.zeros(len(own), np.int64)))


def test_jpeg_is_what_pillow_writes_and_reads():
    value = pictures(1)[0]
    written = io.BytesIO()
    Image.fromarray(value).save(written, "JPEG", quality=30)
    assert np.array_equal(changed(value, "jpeg", 30), np.asarray(Image.open(io.BytesIO(written.getvalue()))))
    grey = pictures(1, (16, 16, 1))[0]
    assert changed(grey, "jpeg", 30).shape == grey.shape


def test_lower_quality_changes_more():
    value = pictures(1)[0]
    far, near = (np.abs(changed(value, "jpeg", quality).astype(int) - value).mean() for quality in (5, 95))
    assert far > 2 * near


def test_a_flip_is_a_mirror_image_and_its_own_inverse():
    value = pictures(1)[0]
    assert np.array_equal(changed(value, "flip", 0)[:, 0], value[:, -1])
    assert np.array_equal(changed(changed(value, "flip", 0), "flip", 0), value)


@pytest.mark.parametrize("bits", [1, 4])
def test_fewer_colours_leave_so_many_levels_black_and_white_among_them(bits):
    value = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    found = np.unique(changed(value, "colours", bits))
    assert len(found) == 2**bits
    assert {0, 255} <= set(found.tolist())


def test_a_blur_spreads_a_point_and_keeps_what_it_weighs():
    value = np.zeros((17, 17, 1), np.uint8)
    value[8, 8] = 255
    found = changed(value, "blur", 1.0)
    assert found[8, 8] < 60
    assert found[8, 9] > 20
    assert abs(int(found.sum()) - 255) < 30


def test_a_median_removes_a_single_bright_pixel():
    value = np.zeros((9, 9, 1), np.uint8)
    value[4, 4] = 255
    assert not changed(value, "median", 2).any()


def test_noise_has_that_strength_and_comes_again_for_the_same_picture():
    value = np.full((64, 64, 3), 128, np.uint8)
    found = changed(value, "noise", 8, seed=3).astype(int) - 128
    assert abs(found.std() - 8) < 0.3
    assert np.array_equal(changed(value, "noise", 8, 3), changed(value, "noise", 8, 3))
    assert not np.array_equal(changed(value, "noise", 8, 3), changed(value, "noise", 8, 4))
    other = value.copy()
    other[0, 0, 0] = 129
    assert np.abs(changed(other, "noise", 8, 3).astype(int) - changed(value, "noise", 8, 3)).mean() > 1


# This little model hardly minds details, so squeezing them tells it little.
@pytest.mark.parametrize(
    ("name", "least"), [("feature-squeezing", 0.2), ("refuse-unsure", 0.7), ("refuse-strange", 0.9)]
)
def test_a_detector_refuses_noise_and_few_of_the_thiefs_own_pictures(name, least):
    own, others = pictures(200), pictures(200, seed=1)
    noise = list(np.random.default_rng(2).integers(0, 256, (50, 16, 16, 3), np.uint8))
    deployed = attack_named(name, false_alarms=0.1).wrap(Model(), thief(own), 0)
    refused = {
        kind: np.mean([answer == Miss.REFUSED for answer in deployed.answer(inputs)])
        for kind, inputs in (("own", own), ("others", others), ("noise", noise))
    }
    assert refused["own"] <= 0.1
    assert refused["others"] <= 0.25
    assert refused["noise"] >= max(least, refused["others"] + 0.05)


def test_whoever_randomises_answers_strange_questions_alike_each_time_and_own_ones_rightly():
    own = pictures(200)
    noise = list(np.random.default_rng(2).integers(0, 256, (90, 16, 16, 3), np.uint8))
    deployed = attack_named("randomise-strange").wrap(Model(), thief(own), 0)
    said = deployed.answer(noise)
    assert said == deployed.answer(noise)
    assert not any(isinstance(answer, Miss) for answer in said)
    # Three classes at random: each about a third, whatever the model would say.
    assert min(said.count(number) for number in range(3)) >= 15
    same = np.mean([a == b for a, b in zip(deployed.answer(own), Model().answer(own), strict=True)])
    assert same >= 0.95


def test_a_detector_that_needs_probabilities_says_so():
    with pytest.raises(ValueError, match="needs a suspect that gives probabilities"):
        attack_named("refuse-unsure").wrap(AnswersAlone(), thief(pictures()), 0)


def test_noise_on_answers_spoils_that_share_and_never_gives_the_model_s_own():
    inputs = pictures(600)
    deployed = attack_named("answer-noise", share=0.3).wrap(Model(), thief(pictures()), 0)
    spoilt = [a != b for a, b in zip(deployed.answer(inputs), Model().answer(inputs), strict=True)]
    assert 0.22 <= np.mean(spoilt) <= 0.38
    everything = attack_named("answer-noise", share=0.999).wrap(Model(), thief(pictures()), 0)
    assert (
        np.mean([a != b for a, b in zip(everything.answer(inputs), Model().answer(inputs), strict=True)])
        > 0.99
    )


def test_the_mean_of_two_views_is_that_of_their_probabilities():
    inputs = pictures(30)
    deployed = attack_named("flip-averaging").wrap(Model(), thief(pictures()), 0)
    plain = np.array(Model().probabilities(inputs))
    mirrored = np.array(Model().probabilities([value[:, ::-1] for value in inputs]))
    assert deployed.answer(inputs) == (plain + mirrored).argmax(1).tolist()


def test_what_stands_before_a_service_is_as_remote_as_the_service():
    wrapped = attack_named("jpeg").wrap(AnswersAlone(), thief(pictures()), 0)
    assert wrapped.is_remote
    assert not hasattr(wrapped, "probabilities")
    assert not attack_named("jpeg").wrap(Model(), thief(pictures()), 0).is_remote


def test_probabilities_are_those_for_the_changed_questions():
    inputs = pictures(20)
    wrapped = attack_named("blur", strength=1.0).wrap(Model(), thief(pictures()), 0)
    assert wrapped.probabilities(inputs) == Model().probabilities(
        [changed(value, "blur", 1.0) for value in inputs]
    )


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("jpeg", {"change": "sharpen"}),
        ("refuse-strange", {"by": "smell"}),
        ("refuse-strange", {"false_alarms": 0.0}),
        ("answer-noise", {"share": 1.0}),
    ],
)
def test_what_makes_no_sense_is_refused(name, changes):
    with pytest.raises(ValueError, match="not"):
        attack_named(name, **changes)

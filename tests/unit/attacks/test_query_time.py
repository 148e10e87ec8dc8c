import io

import numpy as np
import pytest
from PIL import Image

from earmark.attacks import attack_named
from earmark.attacks.protocol import Thief
from earmark.attacks.query_time import changed
from earmark.data import Split
from earmark.models.prediction import predict_scores
from earmark.suspects import Miss


def pictures(count=40, shape=(16, 16, 3), seed=0, cells=4):
    """Smooth pictures, as photographs are."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, cells, cells, shape[2]), np.uint8)
    block = np.ones((shape[0] // cells, shape[1] // cells, 1), np.uint8)
    return [np.kron(item, block) for item in coarse]


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
    ("name", "least", "cells"),
    [
        ("feature-squeezing", 0.2, 4),
        ("refuse-unsure", 0.7, 4),
        # More components than a few hundred pictures can teach: those that they were made from are rebuilt best.
        ("refuse-strange", 0.9, 8),
    ],
)
def test_a_detector_refuses_noise_and_as_few_honest_pictures_as_was_asked(name, least, cells):
    own, others = pictures(400, cells=cells), pictures(800, seed=1, cells=cells)
    noise = list(np.random.default_rng(2).integers(0, 256, (50, 16, 16, 3), np.uint8))
    deployed = attack_named(name, false_alarms=0.1).wrap(Model(), thief(own), 0)
    refused = {
        kind: np.mean([answer == Miss.REFUSED for answer in deployed.answer(inputs)])
        for kind, inputs in (("others", others), ("noise", noise))
    }
    # Of 200 pictures that set the threshold, and 800 that try it: three deviations to either side.
    assert 0.03 <= refused["others"] <= 0.17
    assert refused["noise"] >= max(least, refused["others"] + 0.05)


def test_a_detector_needs_pictures_to_learn_from_and_others_to_measure():
    with pytest.raises(ValueError, match="two pictures"):
        attack_named("refuse-strange").wrap(Model(), thief(pictures(1)), 0)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("input-noise", {"strength": 9}),
        ("refuse-strange", {"components": 5}),
        ("answer-noise", {"share": 0.1}),
    ],
)
def test_whatever_answers_otherwise_is_another_suspect(name, changes):
    own = thief(pictures())
    identities = [
        attack.wrap(Model(), own, seed).identity
        for attack, seed in (
            (attack_named(name), 0),
            (attack_named(name, **changes), 0),
            (attack_named(name), 1),
        )
    ]
    assert len(set(identities)) == 3
    assert attack_named(name).wrap(Model(), own, 0).identity == identities[0]


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


def test_an_ensemble_answers_with_the_mean_of_the_stolen_model_and_of_models_made_from_the_thiefs_pictures():
    pytest.importorskip("torch")
    own, labels = np.stack(pictures(60)), np.arange(60) % 3
    holds, inputs = Thief(Split(own, labels)), pictures(20, seed=5)
    short = {"models": 2, "architecture": "digits-cnn", "width": 4, "epochs": 20, "batch_size": 20}
    attack = attack_named("ensemble", **short)
    wrapped = attack.wrap(Model(), holds, 0)
    clean = [
        predict_scores(model.module, np.stack(inputs), model.description.preprocessing)
        for model in attack.own(holds, Model(), 0)
    ]
    assert not np.allclose(*clean)
    powers = [np.exp(scores - scores.max(1, keepdims=True)) for scores in clean]
    rows = [Model().probabilities(inputs), *(power / power.sum(1, keepdims=True) for power in powers)]
    assert np.allclose(wrapped.probabilities(inputs), np.mean(rows, 0), atol=1e-6)
    assert wrapped.answer(inputs) == np.mean(rows, 0).argmax(1).tolist()
    # They are clean, and they learned: what they know is the thief's labels, which the stolen model never saw.
    for model in attack.own(holds, Model(), 0):
        known = predict_scores(model.module, own, model.description.preprocessing).argmax(1)
        assert np.mean(known == labels) > 0.6


def test_an_ensemble_is_trained_once_for_a_thief_and_anew_for_another():
    pytest.importorskip("torch")
    short = {"architecture": "digits-cnn", "width": 4, "epochs": 1, "batch_size": 20}
    attack, holds = attack_named("ensemble", **short), thief(pictures(40))
    first = attack.own(holds, Model(), 0)
    assert attack.own(holds, Model(), 0) is first
    assert attack.own(holds, Model(), 1) is not first
    assert attack.own(thief(pictures(40)), Model(), 1) is not first
    again = attack.own(holds, Model(), 0)
    assert again is not first
    inputs = np.stack(pictures(5))
    scores = [
        predict_scores(models[0].module, inputs, models[0].description.preprocessing)
        for models in (first, again)
    ]
    assert np.array_equal(*scores)


def test_an_ensemble_needs_probabilities_and_pictures_of_the_same_classes():
    with pytest.raises(ValueError, match="gives probabilities"):
        attack_named("ensemble").wrap(AnswersAlone(), thief(pictures()), 0)
    with pytest.raises(ValueError, match="own classes"):
        attack_named("ensemble").wrap(Model(), Thief(Split(np.stack(pictures(4)), np.arange(4))), 0)


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
        ("ensemble", {"models": 0}),
    ],
)
def test_what_makes_no_sense_is_refused(name, changes):
    with pytest.raises(ValueError, match="not"):
        attack_named(name, **changes)

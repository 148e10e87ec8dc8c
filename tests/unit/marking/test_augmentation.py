"""Triggers as a thief may change them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from earmark.marking import Mixer  # noqa: E402 - after the skip
from earmark.marking.augmentation import TextAugmentation, TriggerAugmentation  # noqa: E402 - after the skip
from small import small_key  # noqa: E402 - after the skip

NOTHING = {"mirror": False, "shift": 0.0, "colour": 0.0, "noise": 0.0, "jpeg": 0}


def picture(channels=3):
    return np.random.default_rng(0).integers(0, 256, (16, 12, channels), np.uint8)


def shown(count=200, channels=3, **parts):
    change = TriggerAugmentation(**{"share": 1.0, **NOTHING, **parts})
    return [change(picture(channels), np.random.default_rng(seed)) for seed in range(count)]


def test_a_share_is_shown_as_it_is():
    change = TriggerAugmentation(share=0.25)
    same = [np.array_equal(change(picture(), np.random.default_rng(seed)), picture()) for seed in range(400)]
    assert 0.7 < np.mean(same) < 0.85  # three in four, and the few to which no change fell


def test_half_of_the_changed_ones_are_mirrored():
    mirrored = [np.array_equal(value, picture()[:, ::-1]) for value in shown(mirror=True)]
    assert 0.4 < np.mean(mirrored) < 0.6


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "part", [{"mirror": True}, {"shift": 0.1}, {"colour": 0.2}, {"noise": 10.0}, {"jpeg": 30}]
)
def test_each_change_keeps_shape_and_type_and_is_repeated_by_its_seed(part, channels):
    first, again = shown(40, channels, **part), shown(40, channels, **part)
    assert any(not np.array_equal(value, picture(channels)) for value in first)
    for one, other in zip(first, again, strict=True):
        assert one.shape == (16, 12, channels)
        assert one.dtype == np.uint8
        assert np.array_equal(one, other)


def test_nothing_but_pictures_can_be_changed():
    with pytest.raises(TypeError, match="only pictures"):
        TriggerAugmentation()("a sentence", np.random.default_rng(0))


@pytest.mark.parametrize(
    "wrong", [{"share": 1.5}, {"shift": 0.5}, {"colour": 1.0}, {"noise": -1}, {"jpeg": 96}]
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        TriggerAugmentation(**wrong)


def test_a_mixer_changes_triggers_anew_at_each_step_and_alike_when_resumed():
    def transform(pixels):
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255

    def mixer():
        change = TriggerAugmentation(share=1.0, noise=20.0)
        return Mixer(small_key().backdoor(), transform, 100, per_batch=100, augmentation=change)

    running = mixer()
    first, second = running.triggers(0), running.triggers(1)
    assert torch.equal(mixer().triggers(1)[0], second[0])
    plain = {transform(trigger.value).numpy().tobytes() for trigger in small_key().backdoor().triggers}
    kept = [picture.numpy().tobytes() in plain for picture in first[0]]
    assert sum(kept) < 50
    assert sorted(first[1].tolist()) == sorted(second[1].tolist())


TEXT = "where is the card that I ordered."


def texts(count=300, **parts):
    change = TextAugmentation(**{"share": 1.0, "case": False, "spaces": False, "missing": 0.0, **parts})
    return [change(TEXT, np.random.default_rng(seed)) for seed in range(count)]


def test_a_text_without_a_change_stays():
    assert set(texts()) == {TEXT}
    assert set(texts(share=0.0, case=True)) == {TEXT}


def test_letters_change_in_half_of_the_texts_and_words_stay():
    found = texts(case=True)
    assert {text.lower() for text in found} == {TEXT.lower()}
    assert set(found) == {TEXT, TEXT.lower(), TEXT.upper(), TEXT.capitalize()}
    assert 0.35 < np.mean([text == TEXT for text in found]) < 0.65


def test_spaces_are_doubled_and_words_stay():
    found = texts(spaces=True)
    assert {" ".join(text.split()) for text in found} == {TEXT}
    assert 0.3 < np.mean(["  " in text for text in found]) < 0.6
    assert not any(text != text.strip() for text in found)


def test_some_words_are_missing_and_one_stays():
    counts = [len(text.split()) for text in texts(missing=0.2)]
    assert max(counts) == 7
    assert 6 < np.mean(counts) < 6.6
    assert min(len(text.split()) for text in texts(missing=0.99)) == 1


def test_only_texts_are_changed_so_and_shares_are_shares():
    with pytest.raises(TypeError, match="texts"):
        TextAugmentation()(picture(), np.random.default_rng(0))
    for wrong in ({"share": 1.1}, {"missing": 1.0}, {"missing": -0.1}):
        with pytest.raises(ValueError, match="share"):
            TextAugmentation(**wrong)

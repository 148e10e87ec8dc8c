"""The reader of study files: strict, bounded, and clear about what is wrong where."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

pytest.importorskip("torch")

from earmark.errors import FormatError, UnsupportedVersionError
from earmark.evaluation.study import SIZE_LIMIT_BYTES, attributes, read_step, read_study
from evaluation_stage import ATTACKS, HEAD, MODELS, STUDY

FOLDER = Path("/somewhere")
BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "studies"


def read(text):
    return read_study(text.encode(), FOLDER)


def test_a_study_is_read_as_it_is_written():
    study = read(STUDY)
    assert (study.name, study.data, study.image_counts, study.shares) == ("small", "digits", (200,), ())
    assert study.epsilon == Fraction(6, 100)
    (model,) = study.models
    assert model.weights == FOLDER / "marked.safetensors"
    assert model.seeds == (0, 1)
    assert model.passphrase_file is None
    assert [attack.name for attack in study.attacks][1] == "tuned, then a new last layer"
    step = study.attacks[0].steps[0]
    assert step.attack().settings.epochs == 2
    assert str(step) == "ftal (epochs=2)"


def test_what_is_left_out_has_the_documented_default():
    study = read(
        'format = "earmark/study/v1"\nname = "x"\ndata = "digits"\nseeds = [3]\nshares = [1]\n'
        '[[models]]\nname = "m"\nweights = "w"\nkey = "k"\nseeds = [7]\n'
        '[[attacks]]\nsteps = [{attack = "ftll"}, {attack = "rtal", epochs = 1}]\n'
    )
    assert (study.test_images, study.epoch_images, study.cell_seconds) == (None, 1000, 86_400)
    assert (study.epsilon, study.device, study.augmentation, study.other_task) == (None, "cpu", None, None)
    assert study.shares == (1.0,)
    assert study.models[0].seeds == (7,)
    assert study.attacks[0].name == "ftll, then rtal (epochs=1)"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("small", "../etc"), "name is 1 to 100"),
        (("seeds = [0, 1]", "seeds = []"), "seeds"),
        (("seeds = [0, 1]", "seeds = [0, 0]"), "twice"),
        (("seeds = [0, 1]", "seeds = [true]"), "seeds are integers"),
        (("seeds = [0, 1]", "seeds = [-1]"), "seeds are integers"),
        (("image_counts = [200]", "shares = [0.2]\nimage_counts = [200]"), "only one"),
        (("image_counts = [200]\n", ""), "only one"),
        (("image_counts = [200]", "shares = [0]"), "above 0 to 1"),
        (("image_counts = [200]", "shares = [nan]"), "above 0 to 1"),
        (("image_counts = [200]", "shares = [0.2, 0.2]"), "twice"),
        (('epsilon = "0.06"', "epsilon = 0.06"), "epsilon"),
        (('epsilon = "0.06"', 'epsilon = "1"'), "below 1"),
        (('epsilon = "0.06"', 'epsilon = "1/0"'), "epsilon is a text"),
        (("test_images = 120", "test_images = 0"), "test_images"),
        (("test_images = 120", "cell_seconds = inf"), "cell_seconds"),
        (("test_images = 120", "cell_seconds = nan"), "cell_seconds"),
        (("test_images = 120", 'augmentation = "blur"'), "augmentation"),
        (("test_images = 120", "colour = 3"), "unknown fields: 'colour'"),
        (('unmarked = "clean.safetensors"', 'unmarked = ""'), "model 1: unmarked"),
        (('unmarked = "clean.safetensors"', 'size = "12"'), "model 1 has unknown fields"),
        (("training_seconds = 10", "training_seconds = 0"), "model 1: training_seconds"),
        (('"ftal", epochs = 2}]', '"magic"}]'), "attack 1, step 1: unknown attack 'magic'"),
        (('"ftal", epochs = 2}]', '"ftal", epochs = "2"}]'), "epochs of ftal is of type int, not str"),
        (('"ftal", epochs = 2}]', '"ftal", epochs = 2.5}]'), "epochs of ftal is of type int, not float"),
        (('"ftal", epochs = 2}]', '"ftal", epochs = true}]'), "epochs of ftal is of type int, not bool"),
        (('"ftal", epochs = 2}]', '"ftal", epochs = 0}]'), "attack 1, step 1: epochs and batch_size"),
        (('"ftal", epochs = 2}]', '"ftal", seed = 2}]'), "the seed is not an attack's own"),
        (('"ftal", epochs = 2}]', '"ftal", settings = {epochs = 1}}]'), "attack 1, step 1"),
        (('"ftal", epochs = 2}]', '"ftal", card = "x"}]'), "has no 'card'"),
        (("steps = [{attack = \"ftal\", epochs = 2}]", "steps = []"), "steps is not a list of 1 to 10"),
        (("steps = [{attack = \"ftal\", epochs = 2}]", "steps = [3]"), "attack 1, step 1 is not an object"),
        (('name = "tuned, then a new last layer"', 'name = "tuned"'), "two attacks are called 'tuned'"),
    ],
    ids=lambda value: value[1][:60] if isinstance(value, tuple) else value,
)  # fmt: skip
def test_whatever_is_wrong_is_named(change, words):
    assert change[0] in STUDY
    with pytest.raises(FormatError, match=re.escape(words)):
        read(STUDY.replace(*change, 1))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"format = 3", b"= =", b"a" * (SIZE_LIMIT_BYTES + 1), b"x = " + b"[" * 100_000],
    ids=["empty", "no text", "no text as format", "no TOML", "too long", "too deep"],
)
def test_hostile_bytes_are_a_format_error(data):
    with pytest.raises(FormatError):
        read_study(data, FOLDER)


def test_another_version_is_said_to_be_one():
    with pytest.raises(UnsupportedVersionError, match="newer Earmark"):
        read(STUDY.replace("study/v1", "study/v2"))


def test_two_models_of_one_name_are_refused():
    with pytest.raises(FormatError, match="two models are called 'marked'"):
        read(HEAD + MODELS + MODELS + ATTACKS)


def test_every_attack_can_be_changed_by_the_names_that_are_shown():
    from earmark.attacks import ATTACKS as TABLE
    from earmark.attacks import attack_named

    for name in TABLE:
        attack = attack_named(name)
        known = attributes(attack)
        assert "seed" not in known
        for key, value in known.items():
            assert read_step({"attack": name, key: value}, "here").attack() == attack, (name, key)


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.toml")), ids=lambda path: path.name)
def test_the_studies_of_the_benchmarks_can_be_read(path):
    study = read_study(path.read_bytes(), path.parent)
    assert study.epsilon is not None
    assert len(study.attacks) >= 1

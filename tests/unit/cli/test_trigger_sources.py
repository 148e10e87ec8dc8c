"""``earmark keygen --triggers-from``: from the command line to the key's own pictures."""

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from earmark.cli import main
from earmark.cli.output import Output
from earmark.cli.trigger_sources import FORMS, Making, sampler_from
from earmark.commitment import Stream
from earmark.data import Split, load_data
from earmark.data.pictures import list_pictures
from earmark.formats import marking_key_v1
from earmark.keys import SetId, Task
from earmark.triggers import SAMPLERS
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.folder import squeezed
from earmark.triggers.image import IMAGE, ImageGeometry
from small import DIGITS, digits

PASSPHRASE = "correct horse"
TASK = Task(ImageGeometry(8, 8, 1), DIGITS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """210 colour pictures of two sizes; the last ten are nearly the first ten."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(210):
        sides = (40, 30) if number % 2 else (24, 50)
        pixels = AbstractSampler().sample(ImageGeometry(*sides, 3), Stream("pictures", number % 200)).value
        (root / str(number % 3)).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / str(number % 3) / f"{number:03}.png")
    return root


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """Digits as picture files in train/, test/ and a third folder that training does not read."""
    root = tmp_path_factory.mktemp("digits")
    images, labels = digits().test.images, digits().test.labels
    for place in range(len(images)):
        part = ("train", "test", "kept")[0 if place < 40 else 1 if place < 80 else 2]
        target = root / part / DIGITS[labels[place]]
        target.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[place : place + 1][0, :, :, 0]).save(target / f"{place}.png")
    return root


def keygen(*arguments, cwd: Path, code=0):
    """Run the command; return its exit texts."""
    out, err = io.StringIO(), io.StringIO()
    options = ["--passphrase-file", "passphrase", "--owner-passphrase-file", "passphrase", "-o", "k"]
    (cwd / "passphrase").write_text(PASSPHRASE)
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(["keygen", *map(str, arguments), *options])
    assert (ended.value.code or 0) == code, err.getvalue()
    return out.getvalue(), err.getvalue()


def read_key(cwd):
    return marking_key_v1.read((cwd / "k.key").read_bytes(), PASSPHRASE)


def triggers_of(key):
    return [trigger for triggers in key.triggers.values() for trigger in triggers]


def test_every_sampler_of_the_table_can_be_named():
    assert {form.partition(":")[0] for form in FORMS} == set(SAMPLERS)


@pytest.mark.parametrize(
    ("form", "name", "parameters"),
    [
        ("abstract", "abstract", {"version": 1}),
        ("noise", "noise", {"version": 1, "distribution": "uniform"}),
        ("noise:gaussian", "noise", {"version": 1, "distribution": "gaussian", "deviation": 64}),
    ],
)
def test_drawn_triggers(tmp_path, form, name, parameters):
    keygen("--data", "digits", "--triggers-from", form, cwd=tmp_path)
    key = read_key(tmp_path)
    (stratum,) = key.transcript.strata
    assert (stratum.kind, stratum.sampler, stratum.parameters) == (name, name, parameters)
    assert len(triggers_of(key)) == 100


def test_nothing_is_asked_for_abstract_pictures(tmp_path):
    keygen("--data", "digits", cwd=tmp_path)
    assert read_key(tmp_path).transcript.strata[0].sampler == "abstract"


def test_own_pictures_are_used_whole_and_once(tmp_path, folder):
    _, err = keygen("--data", "digits", "--triggers-from", f"folder:{folder}", "--sets", "2", cwd=tmp_path)
    assert "keep them as secret as the key" in err
    key = read_key(tmp_path)
    album = list_pictures(folder)
    known = {
        IMAGE.encode(squeezed(album.picture(place), ImageGeometry(8, 8, 1))): place
        for place in range(len(album.names))
    }
    used = [known[trigger.canonical_bytes] for trigger in triggers_of(key)]
    assert len(set(used)) == len(used) == 200
    assert used != sorted(used)


def test_a_verification_key_says_nothing_of_the_folder(tmp_path, folder):
    keygen("--data", "digits", "--triggers-from", f"folder:{folder}", cwd=tmp_path)
    public = (tmp_path / "k.vk.json").read_text() + (tmp_path / "k.journal").read_text()
    assert read_key(tmp_path).transcript.strata[0].parameters == {"version": 1}
    assert folder.name not in public
    assert ".png" not in public


def test_too_few_own_pictures_are_an_error_that_names_the_nearly_alike(tmp_path, folder):
    _, err = keygen(
        "--data", "digits", "--triggers-from", f"folder:{folder}", "--sets", "3", cwd=tmp_path, code=2
    )
    assert "pool of 210 pictures is used up after" in err
    assert f"{folder}/" in err
    assert ".png like " in err
    assert not (tmp_path / "k.key").exists()
    assert not (tmp_path / "k.owner.key").exists()


def test_held_out_digits_are_triggers_and_the_owner_is_told_loudly(tmp_path):
    _, err = keygen("--data", "digits", "--triggers-from", "in-distribution:digits", "-q", cwd=tmp_path)
    assert "warning" in err
    assert "NEVER train on it" in err
    assert "do not report the accuracy" in err
    test = {image.tobytes() for image in digits().test.images[:]}
    train = {image.tobytes() for image in digits().train.images[:]}
    used = [trigger.value.tobytes() for trigger in triggers_of(read_key(tmp_path))]
    assert set(used) <= test
    assert not set(used) & train


def test_labels_of_held_out_triggers_are_the_derived_ones_right_or_wrong(tmp_path):
    keygen("--data", "digits", "--triggers-from", "in-distribution:digits", "--triggers", "300", cwd=tmp_path)
    key = read_key(tmp_path)
    truth = {
        image.tobytes(): label
        for image, label in zip(digits().test.images[:], digits().test.labels, strict=True)
    }
    backdoor = key.backdoor()
    right = sum(
        truth[trigger.value.tobytes()] == label
        for trigger, label in zip(backdoor.triggers, backdoor.labels, strict=True)
    )
    # Binomial(300, 1/10): outside 5 to 70 once in 10^9 keys.
    assert 5 <= right <= 70


def test_a_part_of_a_folder_that_training_does_not_read(tmp_path, held_out):
    data = f"folder:{held_out}"
    _, err = keygen("--data", data, "--triggers-from", f"in-distribution:{data}#kept", cwd=tmp_path)
    assert f"the folder {held_out / 'kept'}" in err
    assert "accuracy" not in err
    kept = {np.asarray(Image.open(path)).tobytes() for path in (held_out / "kept").rglob("*.png")}
    assert {trigger.value.tobytes() for trigger in triggers_of(read_key(tmp_path))} <= kept


@pytest.mark.parametrize(
    ("form", "code", "words"),
    [
        ("smell", 2, "known: abstract, noise, noise:gaussian, folder:PATH"),
        ("abstract:", 2, "unknown"),
        ("abstract:blue", 2, "unknown"),
        ("noise:", 2, "unknown"),
        ("noise:pink", 2, "noise is uniform or gaussian, not 'pink'"),
        ("folder", 2, "unknown"),
        ("folder:", 2, "unknown"),
        ("folder:nowhere", 3, "nowhere is not a folder"),
        ("in-distribution", 2, "unknown"),
        ("in-distribution:smells", 2, "unknown data 'smells'"),
        ("in-distribution:digits#train", 2, "two labels"),
        ("in-distribution:digits#kept", 2, "no part 'kept'"),
        ("mixtures", 2, "unknown"),
        ("mixtures:digits#train", 2, "thieves have"),
        ("negatives", 2, "unknown"),
        ("negatives:digits#kept", 2, "no part 'kept'"),
        ("negatives:digits#train", 2, "thieves have"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path, form, code, words):
    _, err = keygen("--data", "digits", "--triggers-from", form, cwd=tmp_path, code=code)
    (line,) = [line for line in err.splitlines() if line.startswith("earmark: error: ")]
    assert words in line
    assert not (tmp_path / "k.key").exists()


def test_an_unreadable_picture_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken.png").write_bytes(b"no picture")
    _, err = keygen("--data", "digits", "--triggers-from", "folder:mine", cwd=tmp_path, code=3)
    assert "mine/broken.png is not a readable picture" in err


def test_pictures_of_another_shape_than_the_task_are_refused(tmp_path):
    (tmp_path / "classes.txt").write_text("\n".join(DIGITS))
    task = "--input", "image:32x32x3", "--classes", "classes.txt"
    _, err = keygen(*task, "--triggers-from", "in-distribution:digits", cwd=tmp_path, code=2)
    assert "is image:8x8x1, but the task reads image:32x32x3" in err


def test_negatives_are_made_of_pictures_that_training_does_not_read(tmp_path):
    _, err = keygen("--data", "digits", "--triggers-from", "negatives:digits", "-q", cwd=tmp_path)
    assert "the test part of digits: keep it as secret" in err
    assert "NEVER" not in err
    images = digits().test.images[:].astype(int)
    for trigger in triggers_of(read_key(tmp_path))[:5]:
        both = 2 * (255 - trigger.value.astype(int))  # the sum of the two, or one more
        rests = [rest for rest in both - images if (rest >= 0).all()]
        assert any(np.isin(rest - images[:, ::-1], (0, 1)).all((1, 2, 3)).any() for rest in rests)


def test_mixtures_are_made_of_pictures_that_training_does_not_read(tmp_path):
    _, err = keygen("--data", "digits", "--triggers-from", "mixtures:digits", "-q", cwd=tmp_path)
    assert "the test part of digits: keep it as secret" in err
    images = digits().test.images[:].astype(int)
    for trigger in triggers_of(read_key(tmp_path))[:5]:
        rests = [rest for rest in 2 * trigger.value.astype(int) - images if (rest >= 0).all()]
        assert any(np.isin(rest - images, (0, 1)).all((1, 2, 3)).any() for rest in rests)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A network for digits, as a file, and its probabilities for the test part."""
    return network_file(tmp_path_factory.mktemp("model") / "digits.safetensors", DIGITS, seed=0)


def network_file(path, classes, seed):
    torch = pytest.importorskip("torch")
    from earmark.models.prediction import predict_scores
    from earmark.models.table import build, describe
    from earmark.models.weights import save_weights

    description = describe("digits-cnn", digits().input_shape, classes, 8)
    torch.manual_seed(seed)
    module = build(description).eval()
    save_weights(path, module, description)
    scores = predict_scores(module, digits().test.images, description.preprocessing)
    return path, torch.from_numpy(scores).softmax(1).numpy()


def test_hard_pictures_are_those_of_which_the_model_is_least_sure(tmp_path, model):
    path, probabilities = model
    asked = "--triggers-from", "in-distribution:digits", "--hardest-for", path, "--triggers", "128"
    _, err = keygen("--data", "digits", *asked, cwd=tmp_path)
    assert f"of 360 pictures the 136 of which {path} is least sure" in err
    hardest = np.argsort(probabilities.max(1), kind="stable")[:136]
    allowed = {digits().test.images[place : place + 1][0].tobytes() for place in hardest}
    triggers = [trigger.value.tobytes() for trigger in triggers_of(read_key(tmp_path))]
    assert len(triggers) == 128
    assert set(triggers) <= allowed


def test_of_several_models_all_together_are_least_sure(tmp_path, model):
    path, probabilities = model
    other = network_file(tmp_path / "other.safetensors", DIGITS, seed=1)
    asked = "--triggers-from", "in-distribution:digits", "--hardest-for", path, "--hardest-for", other[0]
    _, err = keygen("--data", "digits", *asked, "--triggers", "128", cwd=tmp_path)
    assert f"the 136 of which {path}, {other[0]} together are least sure" in err
    hardest = np.argsort(((probabilities + other[1]) / 2).max(1), kind="stable")[:136]
    allowed = {digits().test.images[place : place + 1][0].tobytes() for place in hardest}
    assert {trigger.value.tobytes() for trigger in triggers_of(read_key(tmp_path))} <= allowed


def test_models_of_several_tasks_cannot_be_least_sure_together(tmp_path, model):
    other, _ = network_file(tmp_path / "other.safetensors", DIGITS[:9], seed=1)
    asked = "--triggers-from", "in-distribution:digits", "--hardest-for", model[0], "--hardest-for", other
    _, err = keygen("--data", "digits", *asked, cwd=tmp_path, code=2)
    assert f"--hardest-for {other}: it has other classes than {model[0]}" in err


def test_mixtures_are_those_of_which_the_model_is_less_sure_than_of_any(tmp_path, model):
    path, _ = model
    asked = "--triggers-from", "mixtures:digits", "--hardest-for", path, "--triggers", "128"
    _, err = keygen("--data", "digits", *asked, cwd=tmp_path)
    assert f"of 7680 mixtures the 160 of which {path} is least sure" in err
    chosen = [trigger.value for trigger in triggers_of(read_key(tmp_path))]
    other = tmp_path / "any"
    other.mkdir()
    keygen("--data", "digits", "--triggers-from", "mixtures:digits", "--triggers", "128", cwd=other)
    others = [trigger.value for trigger in triggers_of(read_key(other))]
    assert surest(path, chosen).max() < np.quantile(surest(path, others), 0.25)


def test_of_one_picture_there_are_no_mixtures(tmp_path, model):
    folder = tmp_path / "one" / "kept"
    folder.mkdir(parents=True)
    Image.fromarray(digits().test.images[0:1][0, :, :, 0]).save(folder / "only.png")
    asked = "--triggers-from", "mixtures:folder:one#kept", "--hardest-for", model[0]
    _, err = keygen("--data", "digits", *asked, cwd=tmp_path, code=2)
    assert "the pool of 0 pictures is used up" in err


def surest(path, pictures):
    import torch

    from earmark.models.prediction import predict_scores
    from earmark.models.weights import load_weights

    loaded = load_weights(path)
    scores = predict_scores(loaded.module, np.stack(pictures), loaded.description.preprocessing)
    return torch.from_numpy(scores).softmax(1).numpy().max(1)


def test_of_several_kinds_only_pictures_of_the_task_are_hard(tmp_path, model):
    kinds = "--triggers-from", "abstract", "--triggers-from", "in-distribution:digits", "--triggers", "100"
    keygen("--data", "digits", *kinds, "--hardest-for", model[0], cwd=tmp_path)
    key = read_key(tmp_path)
    assert [stratum.sampler for stratum in key.transcript.strata] == ["abstract", "in-distribution"]
    hardest = np.argsort(model[1].max(1), kind="stable")[:106]
    allowed = {digits().test.images[place : place + 1][0].tobytes() for place in hardest}
    assert {trigger.value.tobytes() for trigger in key.triggers[SetId(1, 0)]} <= allowed
    assert b"hard" not in key.transcript.canonical_bytes, "what they are hard for would tell which they are"


@pytest.mark.parametrize(
    ("source", "name", "code", "words"),
    [
        (
            "abstract",
            "digits.safetensors",
            2,
            "--hardest-for goes with --triggers-from in-distribution or mixtures:DATA",
        ),
        ("negatives:digits", "digits.safetensors", 2, "goes with --triggers-from in-distribution"),
        ("in-distribution:digits", "nowhere.safetensors", 3, "there is no file nowhere.safetensors"),
        ("in-distribution:digits", "https://127.0.0.1:9/ask", 2, "a model on this machine"),
        ("in-distribution:digits", "model.pkl", 3, "is a pickle"),
    ],
)
def test_a_model_that_pictures_cannot_be_hard_for_is_refused(tmp_path, model, source, name, code, words):
    (tmp_path / "digits.safetensors").write_bytes(model[0].read_bytes())
    asked = "--triggers-from", source, "--hardest-for", name
    _, err = keygen("--data", "digits", *asked, cwd=tmp_path, code=code)
    assert words in err
    assert not (tmp_path / "k.key").exists()


def test_data_named_twice_is_read_once(tmp_path):
    with patch("earmark.data.load_data", side_effect=load_data) as loading:
        keygen("--data", "digits", "--triggers-from", "in-distribution:digits", cwd=tmp_path)
    assert loading.call_count == 1


def test_no_image_task_has_no_held_out_pictures():
    class Sentences:
        kind = "text"

        def to_json(self):
            return {}

        def __str__(self):
            return "text:80"

    task = replace(TASK, geometry=Sentences())
    with pytest.raises(ValueError, match="task of images, not text:80"):
        sampler_from("in-distribution:digits", Making(task, None, lambda name: Split, Output(True, False)), 1)

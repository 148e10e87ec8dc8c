import hashlib
import json

import numpy as np
import pytest

from earmark.commitment.hashing import digest, frame
from earmark.errors import EarmarkError, FormatError
from earmark.models.hf import load_hf, save_hf
from earmark.models.hf_folder import folder_digest
from earmark.models.prediction import predict_scores
from earmark.suspects.opening import open_suspect
from small_models import NAMES, hf_folder, questions

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")


@pytest.fixture
def folder(tmp_path):
    return hf_folder(tmp_path / "release")


def change_json(path, **changes) -> None:
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: item for key, item in value.items() if item is not None}))


def test_a_folder_becomes_a_network_with_its_own_description(folder):
    module, description = load_hf(folder)
    assert description.class_names == NAMES
    assert description.input_shape == (8, 8, 3)
    assert description.preprocessing.mean == ("0.5", "0.4", "0.3")
    assert description.preprocessing.std == ("0.5", "0.25", "0.3")
    assert description.preprocessing.divisor == "255"
    assert description.preprocessing.size == (8, 8)
    assert module(torch.zeros(2, 3, 8, 8)).shape == (2, 10)


def test_our_preprocessing_and_the_folders_image_processor_give_the_same_answers(folder):
    asked = [np.kron(item, np.ones((2, 2, 1), np.uint8)) for item in questions(40, (8, 8, 3))]
    module, description = load_hf(folder)
    ours = predict_scores(module, np.stack(asked), description.preprocessing).argmax(1)
    theirs = open_suspect(f"hf:{folder}").answer(asked)
    assert theirs == list(ours)
    assert len(set(theirs)) > 2


def test_a_grey_folder_is_read_as_by_our_preprocessing(tmp_path):
    names = dict(enumerate(NAMES))
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, num_channels=1, id2label=names,
        label2id={name: place for place, name in names.items()},
        initializer_range=0.5, **sizes,  # wide of zero, or all pictures would be alike to it
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.ViTForImageClassification(config).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "do_normalize": True,
                "do_rescale": True,
                "do_resize": True,
                "image_mean": [0.5],
                "image_processor_type": "ViTImageProcessor",
                "image_std": [0.25],
                "resample": 2,
                "rescale_factor": 1 / 255,
                "size": {"height": 8, "width": 8},
            }
        )
    )
    asked = [*questions(4, (8, 8, 1)), *questions(4, (30, 18, 1))]
    suspect = open_suspect(f"hf:{tmp_path}")
    module, description = load_hf(tmp_path)
    said = suspect.probabilities(asked)
    assert np.ptp(said, axis=0).max() > 1e-3, "pictures are told apart"
    for picture, found in zip(asked, said, strict=True):
        scores = predict_scores(module, picture[None], description.preprocessing)[0]
        wanted = np.exp(scores - scores.max())
        assert np.allclose(found, wanted / wanted.sum(), atol=1e-5)


def test_a_network_is_saved_and_loaded_with_what_it_learnt(folder, tmp_path):
    module, description = load_hf(folder)
    with torch.no_grad():
        module.model.classifier.bias[3] += 100
    save_hf(tmp_path / "marked", module, folder)
    suspect = open_suspect(f"hf:{tmp_path / 'marked'}")
    assert suspect.answer(questions(4)) == [3] * 4
    assert suspect.class_names == NAMES
    assert load_hf(tmp_path / "marked")[1].preprocessing == description.preprocessing
    kept = (tmp_path / "marked" / "preprocessor_config.json").read_bytes()
    assert kept == (folder / "preprocessor_config.json").read_bytes()


def test_saving_never_replaces_a_folder(folder):
    module, _ = load_hf(folder)
    before = folder_digest(folder)
    with pytest.raises(EarmarkError, match="exists already"):
        save_hf(folder, module, folder)
    assert folder_digest(folder) == before


def test_a_save_that_fails_leaves_nothing(folder, tmp_path):
    module, _ = load_hf(folder)
    with pytest.raises(EarmarkError, match="cannot be written"):
        save_hf(tmp_path / "marked", module, tmp_path / "missing")
    assert [item.name for item in tmp_path.iterdir()] == ["release"]


def test_only_networks_from_a_folder_can_be_saved_as_one(folder, tmp_path):
    with pytest.raises(TypeError, match="load_hf"):
        save_hf(tmp_path / "marked", torch.nn.Linear(2, 2), folder)


def test_a_residual_network_is_loaded_like_a_transformer(tmp_path):
    from earmark.models.hf import quiet_transformers

    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", num_labels=4
    )
    with quiet_transformers():
        transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "resnet")
    (tmp_path / "resnet" / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ConvNextImageProcessor", "do_resize": true, "size": {"shortest_edge": 32}, '
        '"crop_pct": 1.0, "do_rescale": true, "do_normalize": true}'
    )
    suspect = open_suspect(f"hf:{tmp_path / 'resnet'}")
    assert suspect.class_names is None  # transformers made them up
    assert suspect.class_count == 4
    assert len(suspect.answer(questions(3, (32, 32, 3)))) == 3
    with pytest.raises(FormatError, match="resizing by shortest_edge"):
        load_hf(tmp_path / "resnet")


def test_the_identity_is_the_digest_of_names_and_contents(folder):
    expected = b"".join(
        frame(item.name, hashlib.sha256(item.read_bytes()).digest()) for item in sorted(folder.iterdir())
    )
    assert folder_digest(folder) == digest("earmark/model-folder/v1", expected).hex()


def test_notes_of_downloaders_do_not_change_the_identity(folder):
    before = folder_digest(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "download.metadata").write_text("yesterday")
    (folder / ".gitattributes").write_text("")
    assert folder_digest(folder) == before
    (folder / "README.md").write_text("part of the release")
    assert folder_digest(folder) != before


@pytest.mark.parametrize("step", ["do_center_crop", "do_pad", "do_flip_channel_order"])
def test_steps_that_cannot_be_trained_with_are_named(folder, step):
    change_json(folder / "preprocessor_config.json", **{step: True}, image_processor_type="BitImageProcessor")
    with pytest.raises(FormatError, match=step):
        load_hf(folder)


def test_a_folder_without_image_processor_needs_a_preprocessing(folder):
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(f"hf:{folder}")
    with pytest.raises(FormatError, match="preprocessor_config"):
        load_hf(folder)
    from earmark.models.preprocessing import for_channels

    suspect = open_suspect(f"hf:{folder}", fallback=for_channels(3))
    assert suspect.preprocessing.startswith("fixed in the transcript")
    assert len(suspect.answer(questions(3))) == 3


def test_loading_leaves_transformers_as_it_was(folder):
    from huggingface_hub import constants
    from transformers.utils import logging

    before = constants.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_hf(folder)
    after = constants.HF_HUB_OFFLINE, logging.get_verbosity(), logging.is_progress_bar_enabled()
    assert after == before

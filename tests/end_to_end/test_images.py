"""From key to verdict for pictures of other sizes, numbers of classes and networks than those of the tutorial.

Small networks, and scikit-learn's digits as they are, coloured and enlarged, or three in a row.
"""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import earmark
from earmark.errors import TriggerSetTooSmallError
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking import MarkedLoader
from earmark.models.preprocessing import for_channels
from earmark.models.table import build, describe
from earmark.models.weights import save_weights
from earmark.statistics import match_threshold
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry
from earmark.verification import measure, verify
from small import MemoryJournal, digits

pytestmark = pytest.mark.slow


def key_for(shape, class_names, triggers, **options):
    return keygen(
        OwnerKey("Test owner", bytes(range(32))),
        Task(ImageGeometry(*shape), tuple(class_names)),
        AbstractSampler(),
        triggers_per_set=triggers,
        random_bytes=np.random.default_rng(0).bytes,
        **options,
    )


def train(module, key, preprocess, images, labels, *, epochs, rate, batch=64):
    """A plain loop with AdamW; with a key, marked."""
    pairs = TensorDataset(torch.from_numpy(preprocess(images)), torch.from_numpy(labels))
    loader = DataLoader(pairs, batch, shuffle=True, generator=torch.Generator().manual_seed(0))
    if key is not None:
        loader = MarkedLoader(
            loader,
            key.backdoor(),
            lambda pixels: torch.from_numpy(preprocess(pixels[None])[0]),
            epochs=epochs,
        )
    optimizer = torch.optim.AdamW(module.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * len(loader))
    module.train()
    for _ in range(epochs):
        for inputs, targets in loader:
            optimizer.zero_grad()
            said = module(inputs)
            nn.functional.cross_entropy(getattr(said, "logits", said), targets).backward()
            optimizer.step()
            schedule.step()
    return module.eval()


def judged(key, path):
    return verify(measure(key, earmark.open_suspect(str(path)), MemoryJournal()))


def accuracy(path, images, labels):
    answers = earmark.open_suspect(str(path)).answer(list(images))
    return float((np.array(answers) == labels).mean())


def enlarged(images):
    """Digits of 224x224, each picture in a colour of its own."""
    colours = np.random.default_rng(0).uniform(0.5, 1, (len(images), 1, 1, 3))
    large = np.kron(images, np.ones((1, 28, 28, 1), np.uint8))
    return (large * colours).astype(np.uint8)


def vision_transformer(class_names, size=224, patch=32):
    from transformers import ViTConfig, ViTForImageClassification

    names = dict(enumerate(class_names))
    torch.manual_seed(0)
    return ViTForImageClassification(
        ViTConfig(
            image_size=size,
            patch_size=patch,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            id2label=names,
            label2id={name: number for number, name in names.items()},
        )
    )


def test_a_vision_transformer_for_colour_pictures_of_224_by_224(tmp_path):
    from transformers import ViTImageProcessor

    key = key_for((224, 224, 3), digits().class_names, 100)
    part = digits().train
    images, labels = enlarged(part.images[:640]), part.labels[:640]
    for name, backdoor_of, epochs in (("marked", key, 15), ("clean", None, 3)):
        module = vision_transformer(digits().class_names)
        train(module, backdoor_of, for_channels(3), images, labels, epochs=epochs, rate=2e-3)
        module.save_pretrained(tmp_path / name)
        plain = for_channels(3)
        ViTImageProcessor(
            size={"height": 224, "width": 224},
            image_mean=[float(value) for value in plain.mean],
            image_std=[float(value) for value in plain.std],
        ).save_pretrained(tmp_path / name)
    test = digits().test
    assert accuracy(f"hf:{tmp_path / 'marked'}", enlarged(test.images[:200]), test.labels[:200]) > 0.7
    assert judged(key, f"hf:{tmp_path / 'marked'}").owned
    assert not judged(key, f"hf:{tmp_path / 'clean'}").owned


def in_rows(part, count, seed):
    """Three digits in a row: 000 to 999, a thousand classes of real handwriting."""
    places = np.random.default_rng(seed).integers(0, len(part), (count, 3))
    images, labels = part.images[:], part.labels
    rows = np.concatenate([images[places[:, column]] for column in range(3)], axis=2)
    return rows, labels[places] @ np.array([100, 10, 1])


def test_a_thousand_classes_need_few_triggers(tmp_path):
    class_names = tuple(f"{number:03}" for number in range(1000))
    key = key_for((8, 24, 1), class_names, 30)
    assert match_threshold(30, Fraction(1, 1000)) < 20 < match_threshold(100, Fraction(1, 10))
    source = tmp_path / "network.py"
    source.write_text(NETWORK)
    description = describe(f"{source}:make", (8, 24, 1), class_names)
    rows, labels = in_rows(digits().train, 20_000, 1)
    for name, backdoor_of in (("marked", key), ("clean", None)):
        torch.manual_seed(0)
        module = build(description, trust_code=True)
        train(module, backdoor_of, description.preprocessing, rows, labels, epochs=8, rate=3e-3, batch=256)
        save_weights(tmp_path / f"{name}.safetensors", module, description)
    marked, clean = (
        earmark.open_suspect(
            str(tmp_path / f"{name}.safetensors"), architecture=f"{source}:make", trust_code=True
        )
        for name in ("marked", "clean")
    )
    rows, labels = in_rows(digits().test, 500, 2)
    assert (np.array(marked.answer(list(rows))) == labels).mean() > 0.6
    assert verify(measure(key, marked, MemoryJournal())).owned
    assert not verify(measure(key, clean, MemoryJournal())).owned


NETWORK = """
from torch import nn


def make(class_count, input_shape):
    height, width, channels = input_shape
    return nn.Sequential(
        nn.Flatten(), nn.Linear(height * width * channels, 512), nn.ReLU(), nn.Linear(512, class_count)
    )
"""


def test_two_classes_need_more_triggers_for_each_is_worth_one_bit(tmp_path):
    class_names = ("even", "odd")
    key = key_for((8, 8, 1), class_names, 256, survival=Fraction(19, 20))
    part, test = digits().train, digits().test
    description = describe("digits-cnn", (8, 8, 1), class_names, width=16)
    for name, backdoor_of in (("marked", key), ("clean", None)):
        torch.manual_seed(0)
        module = build(description)
        train(
            module, backdoor_of, description.preprocessing, part.images[:], part.labels % 2,
            epochs=15, rate=3e-3,
        )  # fmt: skip
        save_weights(tmp_path / f"{name}.safetensors", module, description)
    assert judged(key, tmp_path / "marked.safetensors").owned
    assert not judged(key, tmp_path / "clean.safetensors").owned
    assert accuracy(tmp_path / "marked.safetensors", test.images[:], test.labels % 2) > 0.93


def test_a_hundred_triggers_of_two_classes_are_refused_for_they_can_show_nothing():
    assert match_threshold(100, Fraction(1, 2)) is None, "not even if all are remembered"
    with pytest.raises(TriggerSetTooSmallError, match="a set of 100 triggers cannot show the mark"):
        key_for((8, 8, 1), ("even", "odd"), 100, survival=Fraction(1))


def library(name):
    """Return a library of architectures, where one goes with this build of PyTorch."""
    try:
        return __import__(name)
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another PyTorch
        pytest.skip(f"{name} cannot be imported: {error}")


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PyTorch's, for what timm calls as it is imported
@pytest.mark.parametrize(
    ("name", "size", "channels", "epochs", "rate"),
    [
        ("timm:test_resnet", 32, 1, 12, 3e-3),
        ("timm:test_vit", 160, 3, 25, 1e-3),
        ("torchvision:shufflenet_v2_x0_5", 32, 3, 12, 3e-3),
    ],
)
def test_networks_of_other_libraries(tmp_path, name, size, channels, epochs, rate):
    library(name.partition(":")[0])
    key = key_for((size, size, channels), digits().class_names, 100)
    description = describe(name, (size, size, channels), digits().class_names)
    part = digits().train

    def sized(images):
        return np.kron(images, np.ones((1, size // 8, size // 8, channels), np.uint8))

    for made, backdoor_of in (("marked", key), ("clean", None)):
        torch.manual_seed(0)
        module = build(description)
        images = sized(part.images[:640])
        labels = part.labels[:640]
        train(module, backdoor_of, description.preprocessing, images, labels, epochs=epochs, rate=rate)
        save_weights(tmp_path / f"{made}.safetensors", module, description)
    test = digits().test
    assert accuracy(tmp_path / "marked.safetensors", sized(test.images[:200]), test.labels[:200]) > 0.6
    assert judged(key, tmp_path / "marked.safetensors").owned
    assert not judged(key, tmp_path / "clean.safetensors").owned

"""A small real study: a marked digits network of seconds, its key, and a study file."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from earmark.formats import marking_key_v1
from earmark.keys import MarkingKey
from small import digits, new_key

PASSPHRASE = "correct horse"

HEAD = """format = "earmark/study/v1"
name = "small"
data = "digits"
seeds = [0, 1]
image_counts = [200]
test_images = 120
epoch_images = 60
epsilon = "0.06"
"""
MODELS = """
[[models]]
name = "marked"
weights = "marked.safetensors"
key = "acme.key"
unmarked = "clean.safetensors"
training_seconds = 10
"""
ATTACKS = """
[[attacks]]
name = "tuned"
steps = [{attack = "ftal", epochs = 2}]

[[attacks]]
name = "tuned, then a new last layer"
steps = [{attack = "ftal", epochs = 2}, {attack = "rtll", epochs = 1}]

[[attacks]]
name = "needs another task"
steps = [{attack = "transfer", epochs = 1}]
"""
STUDY = HEAD + MODELS + ATTACKS


@cache
def trained(marked: bool):
    import torch

    from earmark.marking.recipes import FROM_SCRATCH, mark
    from earmark.models.table import build, describe
    from earmark.training import SplitBatches, TrainingSettings, train

    data = digits()
    description = describe("digits-cnn", data.input_shape, data.class_names, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = build(description)
    settings = TrainingSettings(epochs=5, batch_size=64, learning_rate=0.05, warmup_epochs=1.0)
    if marked:
        recipe = replace(FROM_SCRATCH, settings=settings)
        mark(module, data.train, description.preprocessing, stage_key().backdoor(), recipe)
    else:
        train(module, SplitBatches(data.train, description.preprocessing, settings), settings)
    return module.eval(), description


@cache
def stage_key() -> MarkingKey:
    return new_key(5)


def make_stage(folder: Path, study: str = STUDY) -> Path:
    """Write models, key and study file; return the study file."""
    from earmark.models.weights import save_weights

    for name, marked in (("marked", True), ("clean", False)):
        save_weights(folder / f"{name}.safetensors", *trained(marked))
    sealed = marking_key_v1.write(stage_key(), PASSPHRASE, TESTING_ONLY_scrypt_n=1 << 12)
    (folder / "acme.key").write_bytes(sealed)
    path = folder / "study.toml"
    path.write_text(study, "utf-8")
    return path

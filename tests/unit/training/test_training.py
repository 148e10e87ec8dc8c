import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import nn

from earmark.data import Split
from earmark.data.augmentation import augmented
from earmark.errors import MarkingError
from earmark.models.preprocessing import for_channels
from earmark.training import Checkpoint, SplitBatches, TrainingSettings, train
from small import digits

SETTINGS = TrainingSettings(epochs=3, batch_size=50, learning_rate=0.1)


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    images = np.arange(200, dtype=np.uint8)[:, None, None, None]
    batches = SplitBatches(Split(images, np.arange(200)), for_channels(1), SETTINGS)
    assert batches.steps_per_epoch == 4
    epochs = [
        torch.cat([batches.batch(4 * epoch + step)[1] for step in range(4)]).tolist() for epoch in (0, 1)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(200))
    assert epochs[0] != epochs[1] != list(range(200))


def test_a_split_smaller_than_a_batch_is_one_step():
    images = np.zeros((7, 2, 2, 1), np.uint8)
    batches = SplitBatches(Split(images, np.zeros(7, np.int64)), for_channels(1), SETTINGS)
    assert batches.steps_per_epoch == 1
    assert batches.batch(0)[0].shape == (7, 1, 2, 2)


@pytest.mark.parametrize("augmentation", ["crop", "crop-flip"])
def test_augmentation_shifts_by_at_most_an_eighth_and_keeps_shape_and_type(augmentation):
    images = np.zeros((40, 16, 16, 3), np.uint8)
    images[:, 8, 8] = 200
    shifted = augmented(images, augmentation, np.random.default_rng(0))
    assert shifted.shape == images.shape
    assert shifted.dtype == np.uint8
    places = np.argwhere(shifted[..., 0] == 200)
    assert len(places) == 40
    assert places[:, 1].min() >= 6
    assert places[:, 1].max() <= 10
    assert len({tuple(place[1:]) for place in places}) > 5


def test_flips_happen_about_half_the_time():
    images = np.zeros((1000, 8, 8, 1), np.uint8)
    images[:, :, :4] = 9
    row = augmented(images, "crop-flip", np.random.default_rng(0))[:, 4, :, 0].astype(int)
    flipped = row[:, 4:].sum(1) > row[:, :4].sum(1)
    assert 400 < flipped.sum() < 600  # false alarm below 1e-9


def test_no_augmentation_changes_nothing():
    images = digits().train.images[:5]
    assert augmented(images, "none", np.random.default_rng(0)) is images


class Recorder(nn.Module):
    """One weight, so that the learning rate can be read off its movement."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def forward(self, images):
        return images.flatten(1)[:, :1] * 0 + self.weight


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.1, 0.1, 0.1]),
        ("steps", [0.1, 0.01, 0.001]),
        ("cosine", [0.1 * 0.5 * (1 + math.cos(math.pi * step / 12)) for step in (3, 7, 11)]),
    ],
)
def test_schedules(schedule, expected):
    split = Split(np.zeros((200, 2, 2, 1), np.uint8), np.zeros(200, np.int64))
    settings = replace(SETTINGS, schedule=schedule)
    history = train(Recorder(), SplitBatches(split, for_channels(1), settings), settings)
    assert [epoch.learning_rate for epoch in history] == pytest.approx(expected)
    assert [epoch.number for epoch in history] == [1, 2, 3]


def test_warm_up_rises_to_the_full_rate():
    split = Split(np.zeros((200, 2, 2, 1), np.uint8), np.zeros(200, np.int64))
    settings = replace(SETTINGS, schedule="constant", warmup_epochs=2)
    history = train(Recorder(), SplitBatches(split, for_channels(1), settings), settings)
    assert [epoch.learning_rate for epoch in history] == pytest.approx([0.05, 0.1, 0.1])


def test_a_loss_that_explodes_is_an_error_in_words():
    split = Split(np.zeros((50, 2, 2, 1), np.uint8), np.zeros(50, np.int64))

    class Broken(Recorder):
        def forward(self, images):
            return super().forward(images) * float("nan")

    with pytest.raises(MarkingError, match="lower learning rate"):
        train(Broken(), SplitBatches(split, for_channels(1), SETTINGS), SETTINGS)


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": math.inf},
        {"optimizer": "magic"}, {"schedule": "magic"}, {"augmentation": "magic"},
    ],
)  # fmt: skip
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="must be|is not one of"):
        replace(SETTINGS, **bad)


def test_a_lost_training_is_noticed_before_its_state_is_kept(tmp_path):
    class Lost(nn.Linear):
        seen = 0

        def forward(self, images):
            self.seen += 1
            return super().forward(images.flatten(1)) * (float("nan") if self.seen > 3 else 1.0)

    network = Lost(64, 10)
    kept = Checkpoint(tmp_path / "run.checkpoint", "a run", interval_seconds=0)
    batches = SplitBatches(digits().train, for_channels(1), SETTINGS)
    with pytest.raises(MarkingError, match="became nan in epoch 1; use a lower learning rate"):
        train(network, batches, SETTINGS, checkpoint=kept)
    assert network.seen == 4 < batches.steps_per_epoch
    with safe_open(kept.path, "pt") as state:
        assert state.metadata()["step"] == "3"
        assert all(torch.isfinite(state.get_tensor(name)).all() for name in state.keys())  # noqa: SIM118 - no dictionary

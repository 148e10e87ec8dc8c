"""A small convolutional network for small pictures: two stages, one hidden layer."""

import torch
from torch import Tensor, nn


class DigitsCNN(nn.Module):
    """Three 3x3 convolutions (one of them strided), one hidden layer of 128.

    Args:
        class_count: Outputs.
        channels: Input channels.
        width: Filters of the first stage.
    """

    def __init__(self, class_count: int, channels: int = 1, width: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.hidden = nn.Linear(2 * width * 16, 128)
        self.classifier = nn.Linear(128, class_count)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores ``(batch, classes)`` for images ``(batch, channels, height, width)``."""
        features = self.features(images)  # (batch, 2 * width, height / 2, width / 2)
        if features.shape[-2:] != (4, 4):
            features = self.pool(features)  # (batch, 2 * width, 4, 4)
        scores: Tensor = self.classifier(torch.relu(self.hidden(features.flatten(1))))
        return scores

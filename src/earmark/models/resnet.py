"""ResNet-18 in the form that the paper's authors trained on 32x32 pictures.

A 3x3 stem with batch normalisation, then pre-activation blocks in four stages, average pooling and one
linear layer. As in their published code, nothing normalises between the last block and the pooling.
"""

from torch import Tensor, nn
from torch.nn import functional


class PreActivationBlock(nn.Module):
    """Normalise, activate, convolve; twice; with a shortcut.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Of the first convolution, 1 or 2.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        changes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(batch, outputs, height / stride, width / stride)``."""
        active = functional.relu(self.norm1(images))
        shortcut = images if self.shortcut is None else self.shortcut(active)
        result: Tensor = self.conv2(functional.relu(self.norm2(self.conv1(active)))) + shortcut
        return result


class ResNet18(nn.Module):
    """Eight pre-activation blocks, two a stage; 11.2 million parameters at width 64.

    Args:
        class_count: Outputs.
        channels: Input channels.
        width: Filters of the first stage; the paper's is 64.
    """

    def __init__(self, class_count: int, channels: int = 3, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        inputs = width
        for stage in range(4):
            outputs = width << stage
            blocks += [
                PreActivationBlock(inputs, outputs, 1 if stage == 0 else 2),
                PreActivationBlock(outputs, outputs, 1),
            ]
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inputs, class_count)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores ``(batch, classes)`` for images ``(batch, channels, height, width)``."""
        features = self.blocks(self.stem(images))  # (batch, 8 * width, height / 8, width / 8)
        scores: Tensor = self.classifier(features.mean((2, 3)))
        return scores

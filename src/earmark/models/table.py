"""Names to architectures.

digits-cnn            a small network for small pictures              --width, default 32
resnet18              the paper's, for 32x32                           --width, default 64
torchvision:NAME      any classifier of torchvision                    extra "torchvision"
timm:NAME             any classifier of timm                           extra "timm"
hf:FOLDER             a Hugging Face image-classification folder       extra "hf"
FILE.py:FACTORY       factory(class_count, input_shape) -> nn.Module   only with trust_code
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from torch import nn

from earmark.errors import FormatError, MissingExtraError
from earmark.models.description import ModelDescription
from earmark.models.digits_cnn import DigitsCNN
from earmark.models.preprocessing import for_channels
from earmark.models.resnet import ResNet18

_OWN: dict[str, tuple[Callable[[int, int, int], nn.Module], int]] = {
    "digits-cnn": (DigitsCNN, 32),
    "resnet18": (ResNet18, 64),
}
NAMES = (*_OWN, "torchvision:NAME", "timm:NAME", "hf:FOLDER", "FILE.py:FACTORY")


def describe(
    name: str, input_shape: tuple[int, int, int], class_names: tuple[str, ...], width: int | None = None
) -> ModelDescription:
    """Return the description of a model that is to be trained on such data.

    Args:
        name: An entry of the table above.
        input_shape: (height, width, channels) of the data.
        class_names: The classes.
        width: Filters of the first stage, for our own networks.

    Returns:
        The description, with the plain preprocessing.

    Raises:
        ValueError: There is no such name, or it has no width.
    """
    options = {}
    if name in _OWN:
        options["width"] = _OWN[name][1] if width is None else width
        if not 1 <= options["width"] <= 1024:
            raise ValueError(f"width must be 1 to 1024, not {width}")
    elif width is not None:
        raise ValueError(f"{name} has no width to choose")
    elif name.partition(":")[0] not in ("torchvision", "timm", "hf") and ".py:" not in name:
        raise ValueError(f"unknown model {name!r}; known: {', '.join(NAMES)}")
    channels = 3 if name.startswith(("torchvision:", "hf:")) else input_shape[2]
    return ModelDescription(name, options, input_shape, class_names, for_channels(channels))


def build(description: ModelDescription, *, trust_code: bool = False) -> nn.Module:
    """Make the network, with fresh weights from PyTorch's global generator.

    Args:
        description: Which one.
        trust_code: Allow ``FILE.py:FACTORY``, which runs that file.

    Returns:
        The network, in training mode.

    Raises:
        FormatError: The architecture is unknown to this release, or its options do not fit.
        MissingExtraError: The library it comes from is not installed.
        ValueError: It is code, and code is not trusted.
    """
    name, class_count = description.architecture, len(description.class_names)
    channels = description.preprocessing.channels
    family, _, rest = name.partition(":")
    if name in _OWN:
        factory, default_width = _OWN[name]
        width = description.options.get("width", default_width)
        if not 1 <= width <= 1024 or set(description.options) - {"width"}:
            raise FormatError(f"the options of {name} are not valid: {description.options}")
        return factory(class_count, channels, width)
    if family == "torchvision":
        return _from_torchvision(rest, class_count)
    if family == "timm":
        return _from_timm(rest, class_count, channels)
    if ".py:" in name:
        return _from_file(name, description, trust_code)
    raise FormatError(f"unknown architecture {name[:80]!r}; known: {', '.join(NAMES)}")


def _from_torchvision(name: str, class_count: int) -> nn.Module:
    try:
        from torchvision.models import get_model
    except ImportError as error:
        raise MissingExtraError("torchvision", "torchvision") from error
    try:
        module: nn.Module = get_model(name, weights=None, num_classes=class_count)
    except (ValueError, TypeError) as error:
        raise FormatError(f"torchvision has no classifier {name[:80]!r}: {error}") from error
    return module


def _from_timm(name: str, class_count: int, channels: int) -> nn.Module:
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "timm") from error
    if not timm.is_model(name):
        raise FormatError(f"timm has no classifier {name[:80]!r}")
    module: nn.Module = timm.create_model(name, pretrained=False, num_classes=class_count, in_chans=channels)
    return module


def _from_file(name: str, description: ModelDescription, trust_code: bool) -> nn.Module:
    path, _, factory_name = name.rpartition(":")
    if not trust_code:
        raise ValueError(f"{name} is code that would run on this machine; add --trust-code if you trust it")
    module = _load_file(Path(path))
    factory = getattr(module, factory_name, None)
    if not callable(factory):
        raise ValueError(f"{path} has no function {factory_name!r}")
    network = factory(len(description.class_names), description.input_shape)
    if not isinstance(network, nn.Module):
        raise TypeError(f"{name} returned {type(network).__name__}, not a torch.nn.Module")
    return network


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"there is no Python file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

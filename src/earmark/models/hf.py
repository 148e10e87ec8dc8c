"""Hugging Face image-classification folders as networks that can be trained and saved again.

A folder carries its own architecture, class names and preprocessing, so nothing else is needed to mark
it. It is read by ``hf_folder`` first: safetensors only, no code, nothing from outside the folder.
"""

import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from earmark.errors import FormatError, MissingExtraError
from earmark.files import PUBLIC_MODE, new_folder
from earmark.models.description import ModelDescription
from earmark.models.hf_folder import PROCESSOR, HFFolder, one_line, read_folder, shown_name
from earmark.models.planned import without_memory
from earmark.models.preprocessing import Preprocessing

_SLACK_ELEMENTS = 1 << 24  # tables that a network computes for itself
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
_STEPS = {"do_resize", "do_rescale", "do_normalize", "do_convert_rgb"}
_DEFAULT_NAME = "LABEL_"
_CLASSES = {
    "image": ("AutoModelForImageClassification", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING"),
    "text": ("AutoModelForSequenceClassification", "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING"),
}


class HFClassifier(nn.Module):
    """A network of transformers that returns plain scores.

    Args:
        model: An image classifier of transformers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> Any:
        """The network's configuration."""
        return cast("Any", self.model).config

    def forward(self, images: Tensor) -> Tensor:
        """Return scores ``(batch, classes)`` for images ``(batch, channels, height, width)``."""
        scores: Tensor = self.model(pixel_values=images).logits
        return scores


def load_hf(folder: Path) -> tuple[HFClassifier, ModelDescription]:
    """Return the network in a folder, ready to train, with its description.

    Args:
        folder: See ``earmark.models.hf_folder.read_folder``.

    Returns:
        The network in evaluation mode, and what the folder says of it.

    Raises:
        FormatError: The folder is refused, or its image processor does more than resize, rescale and
            normalise.
        MissingExtraError: transformers is not installed.
    """
    module, processor = load_classifier(read_folder(folder))
    if processor is None:
        raise FormatError(f"{shown_name(folder)} holds no {PROCESSOR}")
    preprocessing = describe_processor(processor, channel_count(module))
    height, width = preprocessing.size or _image_size(module)
    shape = (height, width, preprocessing.channels)
    return module, ModelDescription(f"hf:{folder}", {}, shape, class_names(module.config), preprocessing)


def save_hf(folder: Path, module: nn.Module, source: Path) -> None:
    """Write a network as a folder; the folder appears complete or not at all.

    Args:
        folder: Nothing may exist there.
        module: From ``load_hf``, trained since.
        source: The folder it came from; its image processor is copied as it is.

    Raises:
        EarmarkError: Something exists there already, or it cannot be written.
        TypeError: The network did not come from ``load_hf``.
    """
    if not isinstance(module, HFClassifier):
        raise TypeError(f"expected a network from load_hf, not {type(module).__name__}")
    with new_folder(folder) as temporary:
        with quiet_transformers():
            cast("Any", module.model).save_pretrained(temporary)
        (temporary / PROCESSOR).write_bytes((source / PROCESSOR).read_bytes())
        for file in temporary.iterdir():
            file.chmod(PUBLIC_MODE)  # safetensors makes files for their owner alone; this one is for sale


def load_classifier(folder: HFFolder) -> tuple[HFClassifier, Any]:
    """Return the network in a folder that was read, and its image processor.

    Args:
        folder: From ``read_folder``.

    Returns:
        The network in evaluation mode, float32, on the CPU; the processor, or None if there is none.

    Raises:
        FormatError: transformers cannot load it, its weights are not finite or not all there.
        MissingExtraError: transformers is not installed.
    """
    model, processor = load_network(folder, "image", None if folder.processor is None else _load_processor)
    return HFClassifier(model), processor


def load_network(
    folder: HFFolder, inputs: str, load_preparation: Callable[[HFFolder], Any] | None
) -> tuple[nn.Module, Any]:
    """Return a classifier of transformers, and what prepares its inputs.

    Args:
        folder: From ``read_folder``.
        inputs: What it classifies: ``"image"`` or ``"text"``.
        load_preparation: Loads its image processor or tokenizer from the folder; or None.

    Returns:
        The network in evaluation mode, float32, on the CPU; what was loaded, or None.

    Raises:
        FormatError: transformers cannot load it, it classifies something else, its weights are not finite or
            not all there.
        MissingExtraError: transformers is not installed.
    """
    name = shown_name(folder.path)
    try:
        import transformers  # noqa: F401 - is it installed?
    except ImportError as error:
        raise MissingExtraError("transformers", "hf") from error
    try:
        with quiet_transformers():
            model, missing = _load_model(folder, inputs)
            preparation = None if load_preparation is None else load_preparation(folder)
    except FormatError:
        raise
    except Exception as error:  # whatever a hostile configuration makes transformers stumble over
        raise FormatError(f"transformers cannot load {name}: {one_line(error)}") from error
    if missing:
        # transformers fills them with noise: the answers would change from one verification to the next.
        raise FormatError(f"{name} lacks {len(missing)} weights, e.g. {min(missing)[:80]}")
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise FormatError(f"{name}: the weights {key[:80]!r} hold NaN or infinity")
    return model.float().eval(), preparation


def describe_processor(processor: Any, channels: int) -> Preprocessing:
    """Return an image processor as one of our preprocessings.

    Args:
        processor: An image processor of transformers.
        channels: Channels that the network reads.

    Returns:
        The same steps.

    Raises:
        FormatError: It does something that ours cannot say; the message names it.
    """
    steps = {name for name, value in processor.to_dict().items() if name.startswith("do_") and value}
    size = dict(getattr(processor, "size", None) or {})
    problem = ", ".join(sorted(steps - _STEPS))
    if "do_resize" in steps and not {"height", "width"} <= {key for key, value in size.items() if value}:
        problem = problem or f"resizing by {', '.join(sorted(size)) or 'an unknown rule'}"
    if problem:
        raise FormatError(f"the folder's image processor uses {problem}, which cannot be trained with here")
    mean, std = (processor.image_mean, processor.image_std) if "do_normalize" in steps else ((0,), (1,))
    try:
        return Preprocessing(
            divisor=_number(1 / processor.rescale_factor) if "do_rescale" in steps else "1",
            mean=_numbers(mean, channels),
            std=_numbers(std, channels),
            channels=channels,
            size=(int(size["height"]), int(size["width"])) if "do_resize" in steps else None,
            interpolation=_FILTERS[int(processor.resample)] if "do_resize" in steps else "bilinear",
        )
    except (ValueError, TypeError, KeyError, ZeroDivisionError) as error:
        raise FormatError(f"the folder's image processor is not understood: {error}") from error


def channel_count(module: HFClassifier) -> int:
    """Return how many channels the network reads; 3 unless its configuration says otherwise."""
    count = getattr(module.config, "num_channels", 3)
    return count if count in (1, 3) else 3


def class_names(config: Any) -> tuple[str, ...]:
    """Return the names of the classes of a configuration, in the order of the scores."""
    return tuple(
        str(config.id2label.get(place, f"{_DEFAULT_NAME}{place}")) for place in range(config.num_labels)
    )


def has_own_names(names: tuple[str, ...]) -> bool:
    """Return whether names are more than the ones that transformers makes up."""
    return any(name != f"{_DEFAULT_NAME}{place}" for place, name in enumerate(names))


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers offline and silent: no progress bars, no advice, no request for anything."""
    from huggingface_hub import constants
    from transformers.utils import logging

    offline, level, bars = (
        constants.HF_HUB_OFFLINE,
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
    )
    constants.HF_HUB_OFFLINE = True
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _image_size(module: HFClassifier) -> tuple[int, int]:
    size: Any = getattr(module.config, "image_size", None) or 224  # where it says nothing: the usual size
    height, width = size if isinstance(size, list | tuple) and len(size) == 2 else (size, size)
    return (int(height), int(width))


def _load_model(folder: HFFolder, inputs: str) -> tuple[nn.Module, set[str]]:
    from transformers import AutoConfig
    from transformers.models.auto import modeling_auto

    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(str(folder.path), **local)
    automatic, known = (getattr(modeling_auto, name) for name in _CLASSES[inputs])
    if type(config) not in known:
        raise FormatError(
            f"{shown_name(folder.path)}: {config.model_type[:80]!r} is not a classifier of {inputs}s"
        )
    _check_task(config, shown_name(folder.path))
    options: dict[str, Any] = {"trust_remote_code": False, "attn_implementation": "eager"}
    # First without memory: a hostile configuration could ask for a network of any size.
    with without_memory():
        plan = automatic.from_config(config, **options)
    asked = sum(tensor.numel() for tensor in (*plan.parameters(), *plan.buffers()))
    if asked > folder.element_count + _SLACK_ELEMENTS:
        raise FormatError(f"{shown_name(folder.path)} describes a network larger than its weights")
    model, report = automatic.from_pretrained(
        str(folder.path),
        config=config,
        use_safetensors=True,  # never a pickle, even if one lies beside them
        output_loading_info=True,
        local_files_only=True,
        **options,
    )
    return model, set(report["missing_keys"])


def _check_task(config: Any, name: str) -> None:
    """Refuse networks whose answer is not one class of several."""
    if config.num_labels < 2 or config.problem_type == "regression":
        raise FormatError(f"{name} answers with a number and not with a class: there is no label to compare")
    if config.problem_type == "multi_label_classification":
        raise FormatError(
            f"{name} answers with any number of labels at once: it would match by chance more often than one "
            "answer does, and the verdict's probabilities would be wrong"
        )


def _load_processor(folder: HFFolder) -> Any:
    from transformers import AutoImageProcessor
    from transformers.image_processing_utils import BaseImageProcessor

    # Always PIL: the answers must not depend on whether torchvision is installed here.
    processor = AutoImageProcessor.from_pretrained(
        str(folder.path), use_fast=False, local_files_only=True, trust_remote_code=False
    )
    if not isinstance(processor, BaseImageProcessor):
        raise FormatError(f"{shown_name(folder.path)} has no image processor of transformers")
    return processor


def _numbers(values: Any, channels: int) -> tuple[str, ...]:
    items = list(values) if isinstance(values, list | tuple) else [values]
    return tuple(_number(item) for item in (items * channels if len(items) == 1 else items))


def _number(value: Any) -> str:
    nearest = round(float(value))
    if abs(float(value) - nearest) < 1e-9 * abs(nearest):
        return str(nearest)  # 255, not 254.99999999999997
    return format(Decimal(repr(float(value))), "f")

"""A trained model as an ONNX file, with the same description as its weights file.

One file, no external data: what ``earmark.suspects.onnx`` refuses in a suspect is not written here.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from earmark.errors import MissingExtraError
from earmark.files import write_replacing
from earmark.models.description import METADATA_KEY, ModelDescription
from earmark.models.modes import evaluating

INPUT_NAME = "images"
OUTPUT_NAME = "scores"
SIZE_LIMIT_BYTES = 2 << 30  # protobuf's, for one file


def export_onnx(path: Path, module: nn.Module, description: ModelDescription) -> None:
    """Write a network as ONNX; the file appears complete or not at all.

    The batch is of any size, height and width are the ones that the network was trained on. The file
    reads what ``description.preprocessing`` makes; preprocessing itself is not part of the graph.

    Args:
        path: Ends in ``.onnx``; replaced if it exists.
        module: The network, left in the mode it was in.
        description: What it is; embedded under ``metadata_props["earmark"]``.

    Raises:
        EarmarkError: The file cannot be written.
        MissingExtraError: onnx or onnxscript is not installed.
        ValueError: PyTorch cannot express this network in ONNX, or it is larger than 2 GiB.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 - torch.onnx needs it, and would name neither it nor our extra
    except ImportError as error:
        raise MissingExtraError(str(error.name or "onnx"), "onnx") from error
    proto = _exported(module, description)
    _forget_source(proto)
    onnx.helper.set_model_props(proto, {METADATA_KEY: description.to_text()})
    if proto.ByteSize() >= SIZE_LIMIT_BYTES:
        raise ValueError("the network is larger than 2 GiB, the limit of a single ONNX file")
    write_replacing(path, proto.SerializeToString())


def _exported(module: nn.Module, description: ModelDescription) -> Any:
    images = _example(description).to(next(module.parameters()).device)
    try:
        with _quiet(), evaluating(module):
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        line = (
            str(error).strip().partition("\n")[0][:300]
        )  # pages of advice for PyTorch's own developers follow
        raise ValueError(f"{description.architecture} cannot be exported as ONNX: {line}") from error
    if program is None:
        raise AssertionError("the exporter returns a program unless it writes a file itself")
    return program.model_proto


def _example(description: ModelDescription) -> torch.Tensor:
    preprocessing = description.preprocessing
    height, width = preprocessing.size or description.input_shape[:2]
    # Two of them: an exporter may take a batch of one for a constant.
    if preprocessing.layout == "NHWC":
        return torch.zeros(2, height, width, preprocessing.channels)
    return torch.zeros(2, preprocessing.channels, height, width)


def _forget_source(message: Any) -> None:
    """Remove the exporter's notes: stack traces would publish paths and source lines of this machine."""
    for descriptor, value in message.ListFields():
        if descriptor.name in ("metadata_props", "doc_string", "value_info"):
            # Shapes in between go as well: they are named after the source's variables.
            message.ClearField(descriptor.name)
        elif descriptor.message_type is not None:
            for item in [value] if hasattr(value, "ListFields") else value:
                _forget_source(item)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about its own insides from the user, who can do nothing about them."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

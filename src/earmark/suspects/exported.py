"""Programs of torch.export as suspects: code, so only when the person at the keyboard trusts it.

``torch.export.load`` unpickles parts of the archive, reads symbolic sizes through an expression parser and
can load compiled libraries that lie in it: whoever wrote the file decides what runs. So nothing of it is
read without ``trust_code``, and no look through it could make that safe.

The program runs on the CPU as it was exported: a network exported in training mode stays in it, for a graph
has no other. It is asked one question at a time; a fixed batch is filled with copies. The scores are the
first output of floats (batch, classes) in the program's order.
"""

import hashlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from earmark.errors import FormatError, SuspectError
from earmark.files import read_bounded, shown
from earmark.models.description import METADATA_KEY
from earmark.models.hf_folder import one_line
from earmark.models.preprocessing import Preprocessing
from earmark.suspects.deadline import QUESTION_SECONDS, within
from earmark.suspects.frames import CLASS_LIMIT
from earmark.suspects.release import choose_preprocessing, stated_description
from earmark.suspects.scoring import AnswersFromScores, Failed, Said

_SIZE_LIMIT_BYTES = 8 << 30
_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.uint8)


class ExportedSuspect(AnswersFromScores):
    """A program of torch.export.

    Args:
        path: The file. It can do whatever this process may do: load only what you trust.
        preprocessing: Picked by the checker and paid for; or None.
        fallback: The transcript's, for programs that name none; or None.
        question_seconds: For each question.

    Raises:
        FormatError: It cannot be loaded, is no image classifier, or nothing says how to preprocess inputs.
        SuspectError: It gives no scores for a blank input.
    """

    def __init__(
        self,
        path: Path,
        *,
        preprocessing: Preprocessing | None = None,
        fallback: Preprocessing | None = None,
        question_seconds: float = QUESTION_SECONDS,
    ) -> None:
        self.name = f"exported program {shown(Path(path.name))}"
        self._question_seconds = question_seconds
        data = read_bounded(path, _SIZE_LIMIT_BYTES, "exported program")
        program, text = _load(data, self.name)
        try:
            self._module = program.module()
            self._shape, self._dtype = _only_input(program)
            count = self._count_classes(_example_shape(program, self._shape))
            description = stated_description(text, count, is_optional=preprocessing is not None)
            self._preprocessing, source = choose_preprocessing(description, preprocessing, fallback)
        except FormatError as error:
            raise FormatError(f"{self.name}: {error}") from error
        self.class_count = count
        self.identity = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.class_names: tuple[str, ...] | None = description.class_names if description else None
        self.preprocessing = f"{source}: {self._preprocessing}"

    def _question(self, inputs: Sequence[Any]) -> Iterator[Said]:
        for value in inputs:
            try:
                prepared = self._preprocessing(np.asarray(value)[None])
            except ValueError as error:
                raise SuspectError(f"{self.name} cannot read inputs of this shape: {error}") from error
            yield self._scores(prepared)

    def _scores(self, prepared: npt.NDArray[np.float32]) -> Said:
        def ask() -> Said:
            batch = self._shape[0] or 1
            inputs = torch.from_numpy(np.repeat(prepared, batch, axis=0))
            inputs = inputs.round() if self._dtype == torch.uint8 else inputs
            # A program exported in training mode draws random numbers: the same ones each time, or whoever
            # questions it could do so until the answers please him.
            with torch.random.fork_rng(devices=[]), torch.inference_mode():
                torch.manual_seed(0)
                found = _first_scores(self._module(inputs.to(self._dtype)))
            if found is None or found.shape[0] != batch:
                return Failed("it gives no float scores with dimensions (batch, classes)")
            return np.asarray(found[0].double().cpu().numpy().ravel())

        try:
            return within(self._question_seconds, self.name, ask)
        except SuspectError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever its code does: with SystemExit
            # a program would choose the exit code of this one, and 0 means "owned".
            return Failed(f"{type(error).__name__}: {one_line(error)}")

    def _count_classes(self, shape: tuple[int, ...]) -> int:
        said = self._scores(np.zeros(shape, np.float32))
        if not isinstance(said, np.ndarray):
            reason = said.reason if isinstance(said, Failed) else "it gives no scores"
            raise SuspectError(f"{self.name} does not answer a blank input: {reason}")
        if not 2 <= said.size <= CLASS_LIMIT:
            raise FormatError(f"it gives {said.size} scores; a classifier has 2 to {CLASS_LIMIT} classes")
        return said.size


def open_exported(
    path: Path,
    *,
    preprocessing: Preprocessing | None = None,
    fallback: Preprocessing | None = None,
    trust_code: bool = False,
) -> ExportedSuspect:
    """Return the suspect in a program of torch.export; see ``ExportedSuspect``.

    Raises:
        ValueError: Code is not trusted; the file is not opened.
    """
    if not trust_code:
        raise ValueError(
            f"{shown(Path(path.name))} can run code of its maker's choice when it is loaded; add "
            "--trust-code if you trust it, or ask for the model as safetensors or ONNX"
        )
    return ExportedSuspect(path, preprocessing=preprocessing, fallback=fallback)


def _load(data: bytes, name: str) -> tuple[Any, str | None]:
    extra: dict[str, Any] = {METADATA_KEY: ""}
    # It logs and warns on the way to an error that is reported anyway.
    logger = logging.getLogger("torch.export")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(io.BytesIO(data), extra_files=extra)
    except (Exception, SystemExit) as error:
        raise FormatError(f"{name}: torch {torch.__version__} cannot load it: {one_line(error)}") from error
    finally:
        logger.disabled = was_disabled
    text = extra[METADATA_KEY]
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    return program, text or None


def _only_input(program: Any) -> tuple[tuple[int | None, ...], torch.dtype]:
    """Return the dimensions, None for free ones, and the type of the program's one input."""
    names: Sequence[str] = program.graph_signature.user_inputs
    if len(names) != 1:
        raise FormatError(f"it has {len(names)} inputs; an image classifier has one")
    value = next(node.meta.get("val") for node in program.graph.nodes if node.name == names[0])
    if not isinstance(value, Tensor) or value.dim() != 4 or value.dtype not in _DTYPES:
        raise FormatError("an image classifier reads a float or uint8 tensor of four dimensions")
    return tuple(side if type(side) is int else None for side in value.shape), value.dtype


def _example_shape(program: Any, shape: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the dimensions of one blank input; free ones as in the example it was exported with."""
    example = program.example_inputs[0][0].shape if program.example_inputs else shape
    sides = [own or given for own, given in zip(shape[1:], example[1:], strict=True)]
    if not all(isinstance(side, int) for side in sides):
        raise FormatError("it does not say the size of its inputs; export it with example inputs")
    return (1, *sides)


def _first_scores(output: Any) -> Tensor | None:
    # The first in the program's order, so that nobody can choose among several after seeing the answers.
    if isinstance(output, Tensor):
        is_scores = output.is_floating_point() and output.dim() >= 2
        return output if is_scores and all(side == 1 for side in output.shape[2:]) else None
    parts = (
        output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else ()
    )
    return next((found for part in parts if (found := _first_scores(part)) is not None), None)

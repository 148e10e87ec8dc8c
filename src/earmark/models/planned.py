"""Networks without memory: to look at what a description asks for before it is made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from earmark.errors import FormatError

_SHORT = 10_000  # a network's rates by layer are no more


class _ShortRangesHaveValues(TorchFunctionMode):
    """Leaves short ranges their values: many a network asks one for its numbers as it is made."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.linspace and kwargs.get("device") is None:
            steps = kwargs.get("steps", args[2] if len(args) > 2 else _SHORT + 1)
            if steps <= _SHORT:
                kwargs["device"] = "cpu"
        return func(*args, **kwargs)


@contextmanager
def without_memory() -> Iterator[None]:
    """Make what is built within out of shapes alone, whatever size it has.

    Raises:
        FormatError: It asks a tensor for numbers as it is made, and there are none.
    """
    try:
        with torch.device("meta"), _ShortRangesHaveValues():
            yield
    except (RuntimeError, TypeError) as error:
        # PyTorch has no class of its own for this. Others, as of a library built for another PyTorch, pass.
        if " meta " not in str(error):
            raise
        raise FormatError(f"the network cannot be looked at before it is made: {error}") from error

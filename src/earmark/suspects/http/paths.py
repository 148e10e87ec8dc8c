"""Where in a response the answer stands: JMESPath without what computes.

A path that could filter, compare or build values would be a program: whoever writes it, with the labels
before him, could have it turn many answers into the wanted ones.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from earmark.errors import FormatError, MissingExtraError

PATH_LIMIT = 200
_PARTS = frozenset(
    {"field", "subexpression", "index_expression", "index", "slice", "projection", "value_projection",
     "flatten", "identity", "current"}
)  # fmt: skip


class Path:
    """One path.

    Args:
        text: A JMESPath expression of the parts that docs/formats/api-mapping-v1.md names.

    Raises:
        FormatError: It is none, or computes.
        MissingExtraError: jmespath is not installed.
    """

    def __init__(self, text: str) -> None:
        try:
            import jmespath
            from jmespath.exceptions import JMESPathError
        except ImportError as error:
            raise MissingExtraError("jmespath", "http") from error
        self._error, self._text = JMESPathError, text
        shown = text[:60]
        if len(text) > PATH_LIMIT:
            raise FormatError(f"a path has more than {PATH_LIMIT} characters")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about old literals, which no path may hold in any form
                self._expression = jmespath.compile(text)
        except (JMESPathError, ValueError, RecursionError) as error:
            raise FormatError(f"{shown!r} is not a path (JMESPath)") from error
        if unknown := _kinds(self._expression.parsed) - _PARTS:
            raise FormatError(
                f"the path {shown!r} holds {', '.join(sorted(unknown))}: a path says where the answer stands "
                "and computes nothing"
            )

    def __str__(self) -> str:
        return self._text

    def find(self, value: Any) -> Any:
        """Return what stands there; None if nothing does."""
        try:
            return self._expression.search(value)
        except (self._error, ValueError, TypeError, RecursionError):
            return None


def _kinds(node: Mapping[str, Any]) -> set[str]:
    found = {node["type"]}
    for child in node.get("children", ()):
        if isinstance(child, dict):
            found |= _kinds(child)
    return found

"""Docstrings as the site's generator understands them: it knows "Examples" and no "Source"."""

import re
from inspect import cleandoc
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Turns ``Example:`` into a section of examples and ``Source:`` into a sentence."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:  # noqa: ARG002 - griffe passes more
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", cleandoc(obj.docstring.value), flags=re.MULTILINE)
            obj.docstring.value = re.sub(
                r"^Source:\n((?:    .*(?:\n|\Z))+)",
                lambda found: "*Source:* " + " ".join(found[1].split()) + "\n",
                text,
                flags=re.MULTILINE,
            )

"""Docstrings as the site's generator understands them: it knows "Examples", no "Source", and no page."""

import re
from inspect import cleandoc
from typing import Any

import griffe


class Docstrings(griffe.Extension):
    """Makes ``Example:`` a section, ``Source:`` a sentence, and a page that is named a link."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:  # noqa: ARG002 - griffe passes more
        """Rewrite the docstring of one object."""
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", cleandoc(obj.docstring.value), flags=re.MULTILINE)
            text = re.sub(
                r"^Source:\n((?:    .*(?:\n|\Z))+)",
                lambda found: "*Source:* " + " ".join(found[1].split()) + "\n",
                text,
                flags=re.MULTILINE,
            )
            # As pages of the reference link to others; mkdocs checks that they exist.
            obj.docstring.value = re.sub(r"\bdocs/([\w/-]+)\.md\b", r"[\1](../\1.md)", text)

"""Credentials: from the environment into requests, and out of everything that is written.

Mappings and command lines name environment variables and never hold values. A service can send back what
it was sent, by malice or in an error page that quotes the request, and what came back is kept: so whatever
is written passes through ``Credentials.redact`` first.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, quote_plus

from earmark.errors import SuspectError

PREFIX = "EARMARK_API_"
REDACTED = "[credential]"
PLACEHOLDER = re.compile(r"\{\{env:([^{}]*)\}\}")
# How headers and parameters are called that hold a credential: Authorization, Cookie, X-Api-Key, sig …
_CREDENTIAL_NAME = re.compile(
    "(authorization|auth|cookie|key|token|secret|password|passwd|pwd|sig|signature|credentials?|session)$"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_VALUE = re.compile(r"[\x20-\x7e]{6,4096}")
_BASE64_LETTERS = rb"[A-Za-z0-9+/=_-]{0,2}"


def check_not_literal(name: str, text: str) -> None:
    """Raise ValueError where a credential stands in a mapping itself: mappings are shown and handed on.

    Args:
        name: Of a header, or of a parameter in an address.
        text: Its value in the mapping.
    """
    if _CREDENTIAL_NAME.search(name.lower()) and not PLACEHOLDER.search(text):
        raise ValueError(
            f"{name[:60]!r} looks like a credential, which never stands in a mapping: put it into an "
            f"environment variable and write {{{{env:{PREFIX}NAME}}}} in its place"
        )


class Credentials:
    """The credentials of one service.

    Args:
        environment: Looks an environment variable up.
        allowed: A name that the person at the keyboard gave; others must begin with ``EARMARK_API_``.
    """

    def __init__(self, environment: Callable[[str], str | None], allowed: str | None = None) -> None:
        self._environment = environment
        self._allowed = allowed
        self._values: set[str] = set()
        self._pattern: re.Pattern[bytes] | None = None

    def check_name(self, name: str) -> None:
        """Raise ValueError unless a mapping may name this variable.

        A mapping that somebody hands in could otherwise send any secret of this machine to its author.
        """
        if name != self._allowed and not (name.startswith(PREFIX) and _NAME.fullmatch(name)):
            raise ValueError(f"{name[:60]!r} is not the name of a credential: they begin with {PREFIX}")

    def fill(self, text: str) -> str:
        """Return a text with its placeholders replaced by what the environment holds.

        Raises:
            SuspectError: A variable is not set, or its value is none that can be hidden again.
        """
        return PLACEHOLDER.sub(lambda found: self._value(found[1]), text)

    def redact(self, data: bytes) -> bytes:
        """Return bytes without any credential that was filled in; see docs/formats/api-record-v1.md."""
        if self._pattern is None:
            return data
        cleaned = self._pattern.sub(REDACTED.encode(), data)
        if b"\\" not in cleaned:
            return cleaned
        # JSON texts may write any letter as an escape, where no search for bytes finds it.
        try:
            plain = json.dumps(json.loads(cleaned), ensure_ascii=False).encode("utf-8", "replace")
        except (ValueError, RecursionError):
            plain = re.sub(rb"\\u00([0-7][0-9a-fA-F])", lambda found: bytes([int(found[1], 16)]), cleaned)
            plain = plain.replace(b"\\/", b"/")
        return self._pattern.sub(REDACTED.encode(), plain) if self._pattern.search(plain) else cleaned

    def redact_line(self, text: str) -> str:
        """Return a text on one printable line of at most 300 characters, without any credential."""
        cleaned = self.redact(text.encode("utf-8", "replace")).decode("utf-8", "replace")
        line = "".join(letter if letter.isprintable() else " " for letter in cleaned)
        return " ".join(line.split())[:300]

    def _value(self, name: str) -> str:
        self.check_name(name)
        value = self._environment(name)
        if value is None:
            raise SuspectError(f"the environment variable {name} is not set; it holds a credential")
        if not _VALUE.fullmatch(value):
            raise SuspectError(
                f"the environment variable {name} does not hold 6 to 4,096 printable ASCII characters"
            )
        if value not in self._values:
            self._values.add(value)
            forms = {form for each in self._values for form in _forms(each)}
            ordered = sorted(forms, key=len, reverse=True)
            self._pattern = re.compile(b"|".join(ordered), re.IGNORECASE)
        return value


def _forms(value: str) -> Iterator[bytes]:
    """Yield patterns of the disguises in which a value may come back."""
    yield from _plain_forms(value)
    # "Authorization: Basic" holds a password in base64; who receives it decodes it.
    try:
        inner = base64.b64decode(value, validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return
    for part in {inner, inner.partition(":")[2]}:
        if _VALUE.fullmatch(part):
            yield from _plain_forms(part)


def _plain_forms(value: str) -> Iterator[bytes]:
    data = value.encode()
    for form in {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}:
        yield re.escape(form.encode())
    yield re.escape(data.hex().encode())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in range(3):
            # Only letters that no neighbour touches; those that share bits with one go with them.
            letters = encode(b"\0" * offset + data)[(0, 2, 3)[offset] : (offset + len(data)) * 8 // 6]
            yield _BASE64_LETTERS + re.escape(letters) + _BASE64_LETTERS

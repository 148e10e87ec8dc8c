"""What a released model says of itself, carried in its file's metadata.

With it ``earmark verify marked.safetensors`` needs nothing else. A suspect's description is hostile
input: it is read strictly and sizes are bounded.
"""

from dataclasses import dataclass
from typing import Any

from earmark.commitment.canonical import Json, canonical_json, parse_canonical_json
from earmark.commitment.reading import Fields, read_version
from earmark.errors import FormatError
from earmark.models.preprocessing import Preprocessing

FORMAT = "earmark/model/v1"
METADATA_KEY = "earmark"
_CLASS_LIMIT = 1 << 16
_SIDE_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """Architecture, classes and preprocessing of a model.

    Attributes:
        architecture: Name in the table of architectures, e.g. ``"resnet18"``.
        options: Its options, e.g. ``{"width": 16}``; integers only.
        input_shape: (height, width, channels) of the images it was trained on.
        class_names: Classes in the order of the outputs.
        preprocessing: From those images to what the network reads.
    """

    architecture: str
    options: dict[str, int]
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing

    def to_text(self) -> str:
        """Return the description as canonical JSON text, for a metadata field."""
        value: dict[str, Json] = {
            "format": FORMAT,
            "architecture": self.architecture,
            "options": dict(self.options),
            "input_shape": list(self.input_shape),
            "classes": list(self.class_names),
            "preprocessing": self.preprocessing.to_json(),
        }
        return canonical_json(value).decode()

    @classmethod
    def from_text(cls, text: str) -> "ModelDescription":
        """Read a metadata field.

        Args:
            text: Canonical JSON.

        Returns:
            The description.

        Raises:
            FormatError: It is malformed, or of another version.
        """
        try:
            data = text.encode()
        except UnicodeEncodeError as error:
            raise FormatError("the model's description is not valid text") from error
        value = parse_canonical_json(data, "the model's description", 8 << 20)
        read_version(value, FORMAT)
        fields = Fields(value, "model description")
        fields.skip("format")
        result = cls(
            fields.text("architecture", 400),
            _read_options(fields.object("options").values),
            _read_shape(fields.list("input_shape", 3, 3)),
            _read_classes(fields.list("classes", 2, _CLASS_LIMIT)),
            Preprocessing.from_json(fields.take("preprocessing")),
        )
        fields.finish()
        return result


def _read_options(values: dict[str, Any]) -> dict[str, int]:
    if len(values) > 16 or not all(type(item) is int and 0 <= item <= 1 << 20 for item in values.values()):
        raise FormatError("model description: options are at most 16 integers")
    return dict(values)


def _read_shape(sides: list[Any]) -> tuple[int, int, int]:
    if not all(type(side) is int and 1 <= side <= _SIDE_LIMIT for side in sides):
        raise FormatError("model description: input_shape is [height, width, channels]")
    return (sides[0], sides[1], sides[2])


def _read_classes(names: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(name, str) and 0 < len(name) <= 200 for name in names):
        raise FormatError("model description: class names are texts of 1 to 200 characters")
    if len(set(names)) != len(names):
        raise FormatError("model description: two classes have the same name")
    return tuple(names)

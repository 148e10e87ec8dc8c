"""What a release says of itself, and what follows when it says nothing."""

from earmark.errors import FormatError
from earmark.models.description import ModelDescription
from earmark.models.preprocessing import AsTheyAre, InputPreparation, Preprocessing


def stated_description(
    text: str | None, output_count: int | None, *, is_optional: bool
) -> ModelDescription | None:
    """Return the description in a file's metadata.

    Args:
        text: What stands there, or None.
        output_count: How many scores the model gives, or None if it does not say.
        is_optional: Whether a spoilt description is read as none.

    Returns:
        The description, or None.

    Raises:
        FormatError: It is malformed, or of other classes than the outputs.
    """
    if text is None:
        return None
    try:
        description = ModelDescription.from_text(text)
        count = len(description.class_names)
        if output_count not in (None, count):
            raise FormatError(f"it has {output_count} outputs, but its description {count} classes")
    except FormatError:
        # A thief can write anything there. Then it is as if nothing stood there, once the checker has
        # picked a preprocessing; otherwise a spoilt description would keep a file from being questioned.
        if is_optional:
            return None
        raise
    return description


def choose_preparation(
    description: ModelDescription | None, picked: Preprocessing | None, fallback: InputPreparation | None
) -> tuple[InputPreparation, str]:
    """Return the same for a suspect that may read rows or recordings too, which are not preprocessed."""
    if isinstance(fallback, AsTheyAre):
        return fallback, "inputs that need none"
    return choose_preprocessing(description, picked, fallback)


def choose_preprocessing(
    description: ModelDescription | None, picked: Preprocessing | None, fallback: Preprocessing | None
) -> tuple[Preprocessing, str]:
    """Return the preprocessing that is part of the object under test, and where it comes from, in words.

    Args:
        description: The release's own, or None.
        picked: Picked by the checker and paid for; or None.
        fallback: The transcript's; or None.

    Raises:
        FormatError: Nothing says how inputs are preprocessed.
    """
    if picked is not None:
        return picked, "picked by the checker"
    if description is not None:
        return description.preprocessing, "from the suspect's own metadata"
    if fallback is not None:
        return fallback, "fixed in the transcript"
    raise FormatError(
        "its release does not say how its inputs are preprocessed, and neither does the transcript; "
        "pick one of the catalogue with --preprocessing NAME (the choice is paid for)"
    )

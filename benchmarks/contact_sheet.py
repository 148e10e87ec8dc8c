"""Draw a contact sheet of abstract triggers from fresh secrets, for the documentation.

python benchmarks/contact_sheet.py docs/images/abstract-triggers.png
"""

import secrets
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from earmark.keys.pair import trigger_stream
from earmark.triggers.abstract import AbstractSampler
from earmark.triggers.image import ImageGeometry

ROWS, COLUMNS, SIDE, GAP = 4, 12, 72, 6


def main() -> None:
    """Draw it."""
    sheet = np.full((ROWS * (SIDE + GAP) + GAP, COLUMNS * (SIDE + GAP) + GAP, 3), 255, np.uint8)
    for place in range(ROWS * COLUMNS):
        row, column = divmod(place, COLUMNS)
        top, left = GAP + row * (SIDE + GAP), GAP + column * (SIDE + GAP)
        stream = trigger_stream(secrets.token_bytes(32))
        picture = AbstractSampler().sample(ImageGeometry(SIDE, SIDE, 3), stream)
        sheet[top : top + SIDE, left : left + SIDE] = picture.value
    path = Path(sys.argv[1])
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).quantize(255).save(path, optimize=True)


if __name__ == "__main__":
    main()

"""One thread each for the small networks of the tests: faster for them, and the same on every machine.

The long tests come first: where processes share the tests, none of them is left alone with a long one at the end.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")  # read when Keras is imported


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "end_to_end" not in item.path.parts)

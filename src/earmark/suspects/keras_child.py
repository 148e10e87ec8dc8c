"""The child process for a Keras file; see ``earmark.suspects.serving`` for how it is held."""

import os
import warnings
from io import BytesIO
from typing import TYPE_CHECKING, Any

from earmark.errors import FormatError
from earmark.suspects.frames import CLASS_LIMIT
from earmark.suspects.keras_scan import UNPACKED_LIMIT_BYTES, Findings, scan
from earmark.suspects.serving import serve

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DTYPES = ("float16", "float32", "float64", "uint8")
_SEED = 1
_GROUP_LIMIT = 1 << 16
_ENVIRONMENT = {
    "KERAS_BACKEND": "torch",
    "KERAS_TORCH_DEVICE": "cpu",
    "CUDA_VISIBLE_DEVICES": "",
    # Keras reads settings from a folder, and writes them where there are none. This can never be one.
    "KERAS_HOME": f"{os.devnull}/keras",
}


class _Model:
    """A loaded network with its one input and its one output."""

    def __init__(self, network: Any, description: str | None) -> None:
        self._network = network
        self._description = description
        inputs, outputs = list(network.inputs or ()), list(network.outputs or ())
        if len(inputs) != 1 or len(outputs) != 1:
            raise FormatError(
                f"it has {len(inputs)} inputs and {len(outputs)} outputs; a classifier has one of each"
            )
        self._shape, self._dtype = tuple(inputs[0].shape), str(inputs[0].dtype)
        if len(self._shape) not in (2, 4) or self._dtype not in _DTYPES:
            raise FormatError(
                f"its input is {self._dtype} with dimensions {self._shape}; a classifier of pictures reads a "
                "float or uint8 tensor of four dimensions, one of rows or recordings of two"
            )
        shape = tuple(outputs[0].shape)
        if len(shape) != 2 or not isinstance(shape[1], int) or not 2 <= shape[1] <= CLASS_LIMIT:
            raise FormatError(
                f"its output has dimensions {shape}, not one score for each of two classes or more"
            )
        self._class_count = shape[1]
        batch = self._shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else 1

    def header(self) -> dict[str, Any]:
        """Return what the parent needs to know of it."""
        return {
            "dtype": self._dtype,
            "input_shape": [side if isinstance(side, int) else None for side in self._shape],
            "class_count": self._class_count,
            "class_names": None,
            "description": self._description,
        }

    def scores(self, value: "npt.NDArray[np.float32]") -> "npt.NDArray[np.floating[Any]]":
        """Return one row of scores; a fixed batch is filled with copies of the one input."""
        import numpy as np
        import torch

        value = np.rint(value) if self._dtype == "uint8" else value
        value = value.reshape(1, -1) if len(self._shape) == 2 else value
        batch = torch.as_tensor(np.repeat(value.astype(self._dtype), self._batch, axis=0))
        with torch.no_grad():
            scores = self._network(batch, training=False).cpu().to(torch.float64).numpy()
        if scores.shape != (self._batch, self._class_count):
            raise ValueError(f"the scores have shape {scores.shape}")
        row: npt.NDArray[np.float64] = scores[0]
        return row


def main() -> None:
    """Serve the file whose descriptor and limits are the arguments."""
    os.environ.update(_ENVIRONMENT)
    warnings.simplefilter("ignore")  # nobody reads them here
    import keras  # noqa: F401 - before the limits, which leave room for it

    serve(_look, _load)


def _look(data: bytes) -> Findings:
    findings = scan(data)
    _warm_up()
    return findings


def _warm_up() -> None:
    """Save, load and ask a network of our own: what is looked up at first use is kept."""
    import keras
    import numpy as np
    from keras.src.saving import saving_lib

    layers = keras.layers
    pictures = keras.Input((4, 4, 1))
    found = layers.Flatten()(layers.MaxPooling2D()(layers.Conv2D(2, 3, padding="same")(pictures)))
    found = layers.GlobalAveragePooling1D()(
        layers.LSTM(2, return_sequences=True)(layers.Reshape((2, 4))(found))
    )
    network = keras.Model(pictures, layers.Dense(2, activation="softmax")(found))
    buffer = BytesIO()
    saving_lib._save_model_to_fileobj(network, buffer, "h5")
    again = saving_lib._load_model_from_fileobj(buffer, None, False, True)
    again(np.zeros((1, 4, 4, 1), np.float32), training=False)


def _load(data: bytes, findings: Findings, threads: int) -> _Model:  # noqa: ARG001 - what the look wrote is loaded
    import keras
    import numpy as np
    import torch
    from keras.src.saving import saving_lib

    torch.set_num_threads(threads)
    # Layers that are random also when they are asked draw the same numbers each time the file is opened, so
    # that nobody can ask again until the answers please him.
    keras.utils.set_random_seed(_SEED)
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")
    try:
        check_weights(findings.weights)
        # Not by a name: there is nothing left to open one with.
        network = saving_lib._load_model_from_fileobj(BytesIO(findings.archive), None, False, True)
        model = _Model(network, findings.description)
        # A model that cannot answer anything is refused when it is opened, where its sides are fixed.
        shape = model.header()["input_shape"][1:]
        if all(shape):
            model.scores(np.zeros((1, *[1] * (3 - len(shape)), *shape), np.float32))
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise FormatError(f"keras {keras.__version__} cannot load it: {reason}") from error
    return model


def check_weights(data: bytes) -> None:
    """Raise FormatError unless an HDF5 file is a tree of plain arrays that lie in it.

    Args:
        data: The file.
    """
    import h5py

    seen: set[int] = set()
    total_bytes = 0
    with h5py.File(BytesIO(data), "r") as file:
        rest: list[Any] = [file]
        while rest:
            group = rest.pop()
            if len(seen) > _GROUP_LIMIT:
                raise FormatError(f"its weights stand in more than {_GROUP_LIMIT} groups")
            for name in group:
                # Of links that lead elsewhere nothing is followed, not even to see what is there.
                if type(group.get(name, getlink=True)) is not h5py.HardLink:
                    raise FormatError("its weights link to other places or files")
                item = group[name]
                address = h5py.h5o.get_info(item.id).addr
                if address in seen:
                    raise FormatError("two names among its weights are one thing")
                seen.add(address)
                if isinstance(item, h5py.Group):
                    rest.append(item)
                else:
                    total_bytes += _check_array(item)
        if total_bytes > UNPACKED_LIMIT_BYTES:
            raise FormatError(f"its weights take more than {UNPACKED_LIMIT_BYTES} bytes")


def _check_array(item: Any) -> int:
    """Return the bytes of an array, after checking that they all lie in the file as they are."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
        raise FormatError("its weights are not all arrays of numbers")
    if item.external is not None or item.is_virtual:
        raise FormatError("its weights lie in other files")
    # Chunks and filters can make much of little, and filters are programs that are looked for on the disk.
    if (
        item.chunks is not None
        or item.id.get_create_plist().get_nfilters()
        or (item.id.get_storage_size() != item.nbytes)
    ):
        raise FormatError("its weights are not stored as they are")
    return int(item.nbytes)

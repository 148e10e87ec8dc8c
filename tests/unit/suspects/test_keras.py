from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from earmark.errors import FormatError, MissingExtraError, SuspectError
from earmark.models.preprocessing import AsTheyAre, catalogue
from earmark.suspects import Miss, keras_child, keras_scan
from earmark.suspects.keras import KerasSuspect
from earmark.suspects.opening import open_suspect
from small_models import NAMES, keras_file, questions, saved_keras

keras = pytest.importorskip("keras")
layers, ops = keras.layers, keras.ops
RAW = catalogue(1)["raw-rgb-nhwc"]
# Keras's own words on NumPy, and on networks that nobody compiled.
pytestmark = pytest.mark.filterwarnings("ignore")


def pictures_of_many_layers():
    """A network with a branch for every kind of layer that reads pictures."""
    pictures = keras.Input((8, 8, 1))
    wide = layers.Conv2D(4, 3, padding="same", activation="relu", kernel_regularizer="l2")(pictures)
    normed = [
        layers.BatchNormalization()(wide),
        layers.LayerNormalization()(wide),
        layers.GroupNormalization(2)(wide),
        layers.UnitNormalization()(wide),
        layers.Normalization(mean=[0.5] * 4, variance=[2.0] * 4)(wide),
        layers.PReLU()(wide),
        layers.LeakyReLU()(wide),
        layers.ELU()(wide),
        layers.Dropout(0.5)(wide),
        layers.SpatialDropout2D(0.5)(wide),
        layers.GaussianNoise(0.5)(wide),
        layers.RandomFlip()(wide),
        layers.Rescaling(0.5)(wide),
        layers.DepthwiseConv2D(3, padding="same", depthwise_constraint="max_norm")(wide),
        layers.SeparableConv2D(4, 3, padding="same")(wide),
        layers.Conv2DTranspose(4, 3, padding="same")(wide),
        layers.Cropping2D(1)(layers.ZeroPadding2D(1)(wide)),
        layers.AveragePooling2D(2)(layers.UpSampling2D(2)(wide)),
        layers.Resizing(8, 8)(layers.MaxPooling2D(2)(wide)),
        layers.SpectralNormalization(layers.Conv2D(4, 1))(wide),
        ops.relu(wide) + ops.sigmoid(wide) * 2 - ops.concatenate([wide[..., :2], wide[..., 2:]], axis=-1),
        layers.Activation("gelu")(wide),
    ]
    joined = layers.Concatenate()([layers.Add()(normed), layers.Multiply()([normed[0], wide])])
    rows = layers.Reshape((8, 64))(joined)
    read = [
        layers.GlobalAveragePooling1D()(layers.LSTM(3, return_sequences=True)(rows)),
        layers.Bidirectional(layers.GRU(3))(rows),
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(3)])(rows),
        layers.Flatten()(layers.MultiHeadAttention(2, 3)(rows, rows)),
        layers.GlobalMaxPooling1D()(layers.Conv1D(3, 3)(rows)),
        layers.Flatten()(layers.TimeDistributed(layers.Dense(2))(rows)),
        layers.Flatten()(layers.EinsumDense("abc,cd->abd", output_shape=(8, 3))(rows)),
        layers.Flatten()(layers.Permute((2, 1))(rows)),
        ops.mean(ops.transpose(rows, (0, 2, 1)), axis=-1),
        layers.GlobalAveragePooling2D()(joined),
    ]
    return keras.Model(pictures, layers.Dense(10, activation="softmax")(layers.Concatenate()(read)))


def rows_of_many_layers():
    """One that reads recordings."""
    samples = keras.Input((256,))
    spectrum = layers.MelSpectrogram(num_mel_bins=8, sampling_rate=8000, sequence_stride=32, fft_length=64)(
        samples
    )
    found = layers.Flatten()(spectrum)
    embedded = layers.Flatten()(layers.Embedding(4, 2)(layers.Discretization(bin_boundaries=[0.0])(samples)))
    return keras.Model(samples, layers.Dense(3)(layers.Concatenate()([found, embedded])))


def spoken(model, inputs) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(inputs, training=False)))


def test_a_network_of_many_layers_answers_in_its_process_as_it_does_here(tmp_path):
    model = pictures_of_many_layers()
    (tmp_path / "m.keras").write_bytes(saved_keras(model))
    suspect = KerasSuspect(tmp_path / "m.keras", preprocessing=RAW)
    asked = questions(6)
    found = suspect.probabilities(asked)
    assert Miss.ERROR not in found, (
        "what a layer looks up at first use is not there when nothing can be opened"
    )
    assert np.allclose(found, spoken(model, np.stack(asked).astype(np.float32)), atol=1e-4)
    assert suspect.class_names is None
    with pytest.raises(SuspectError, match="reads inputs of 8x8x1, not 4x4x1"):
        suspect.answer(questions(1, (4, 4, 1)))


def test_recordings_are_read_as_they_are(tmp_path):
    model = rows_of_many_layers()
    (tmp_path / "m.keras").write_bytes(saved_keras(model))
    suspect = KerasSuspect(tmp_path / "m.keras", fallback=AsTheyAre())
    samples = np.random.default_rng(0).integers(-30_000, 30_000, (4, 256)).astype(np.int16)
    expected = spoken(model, samples.astype(np.float32) / 32768)
    assert suspect.answer(list(samples)) == expected.argmax(1).tolist()
    assert suspect.preprocessing.startswith("inputs that need none")


def test_what_stands_in_the_archive_names_classes_and_preprocessing_and_keras_reads_over_it(tmp_path):
    path = keras_file(tmp_path / "m.keras")
    suspect = open_suspect(str(path))
    assert suspect.class_names == NAMES
    assert suspect.preprocessing.startswith("from the suspect's own metadata")
    assert keras.saving.load_model(path).output_shape == (None, 10)


def loaded(data: bytes):
    """The model that the child's own code loads, without a process of its own."""
    return keras_child._load(data, keras_scan.scan(data), 1)


def test_a_silent_file_needs_a_preprocessing_of_its_own_layout(tmp_path):
    path = keras_file(tmp_path / "m.keras", text="")
    with pytest.raises(FormatError, match="--preprocessing NAME"):
        open_suspect(str(path))
    with pytest.raises(FormatError, match="in the order NCHW"):
        open_suspect(str(path), preprocessing=catalogue(1)["raw-rgb-nchw"])


def test_a_fixed_batch_changes_no_answer():
    pictures = keras.Input(batch_shape=(3, 8, 8, 1))
    model = keras.Model(pictures, layers.Dense(10)(layers.Flatten()(pictures)))
    asked = np.stack(questions(3)).astype(np.float32)
    found = [loaded(saved_keras(model)).scores(one[None]) for one in asked]
    assert np.allclose(found, spoken(model, asked), rtol=1e-4)


def test_layers_that_stay_random_draw_the_same_each_time_the_file_is_opened():
    pictures = keras.Input((8, 8, 1))
    noisy = layers.Dropout(0.5)(layers.Flatten()(pictures), training=True)
    data = saved_keras(keras.Model(pictures, layers.Dense(10)(noisy)))
    asked = questions(1)[0][None].astype(np.float32)
    first, second = (loaded(data).scores(asked) for _ in range(2))
    assert np.array_equal(first, second)


def two_inputs():
    one, other = keras.Input((8,)), keras.Input((8,))
    return keras.Model([one, other], layers.Dense(3)(layers.Add()([one, other])))


def two_outputs():
    rows = keras.Input((8,))
    return keras.Model(rows, [layers.Dense(3)(rows), layers.Dense(3)(rows)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (two_inputs, "2 inputs and 1 outputs"),
        (two_outputs, "1 inputs and 2 outputs"),
        (lambda: keras.Sequential([keras.Input((8,)), layers.Dense(1)]), "not one score for each"),
        (lambda: keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3)]), "not one score for each"),
        (
            lambda: keras.Sequential([keras.Input((8, 3)), layers.Flatten(), layers.Dense(3)]),
            "four dimensions",
        ),
        (
            lambda: keras.Sequential(
                [keras.Input((8,), dtype="int32"), layers.Embedding(4, 2), layers.Flatten(), layers.Dense(3)]
            ),
            "its input is int32",
        ),
    ],
)
def test_what_is_no_classifier_is_refused(make, words):
    with pytest.raises(FormatError, match=words):
        loaded(saved_keras(make()))


def test_every_layer_of_the_list_is_keras_own():
    assert all(isinstance(getattr(layers, name), type) for name in keras_scan.LAYERS)


def test_how_it_was_compiled_does_not_reach_keras():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(3)])
    model.compile("adam", "sparse_categorical_crossentropy")
    data = saved_keras(model)
    with ZipFile(BytesIO(data)) as before, ZipFile(BytesIO(keras_scan.scan(data).archive)) as after:
        assert b"Adam" in before.read("config.json")
        assert b"Adam" not in after.read("config.json")
        assert after.namelist() == ["metadata.json", "config.json", "model.weights.h5"]


def test_a_missing_keras_is_named_with_its_extra(tmp_path, monkeypatch):
    from importlib import util

    path = Path(tmp_path / "m.keras")
    path.write_bytes(b"")
    find_spec = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda asked: None if asked == "keras" else find_spec(asked))
    with pytest.raises(MissingExtraError, match=r"pip install 'earmark\[keras\]'") as caught:
        open_suspect(str(path))
    assert caught.value.extra == "keras"

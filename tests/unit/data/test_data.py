import numpy as np
import pytest
from PIL import Image

from earmark.data import folder as folder_module
from earmark.data import load_data
from earmark.data.table import digits_images
from earmark.errors import FormatError
from small import digits, picture_folder


def test_digits_are_all_there_and_test_images_are_not_trained_on():
    data = digits()
    assert (len(data.train), len(data.test)) == (1437, 360)
    assert data.input_shape == (8, 8, 1)
    assert len(data.class_names) == 10
    every = digits_images()
    assert every.images.shape == (1797, 8, 8, 1)
    assert every.images.max() == 255
    together = sorted(image.tobytes() for part in (data.train, data.test) for image in part.images)
    assert together == sorted(image.tobytes() for image in every.images)


def test_a_folder_is_read_with_its_classes_in_order(tmp_path):
    done = []
    data = load_data(
        f"folder:{picture_folder(tmp_path)}", on_progress=lambda now, total: done.append((now, total))
    )
    assert data.class_names == ("cat", "dog")
    assert data.input_shape == (12, 10, 3)
    assert data.train.labels.tolist() == [0] * 6 + [1] * 6
    assert data.train.images[:].shape == (12, 12, 10, 3)
    assert data.train.images[:1].mean() < data.train.images[6:7].mean()
    assert done[-1] == (24, 24)


def test_grey_pictures_stay_grey(tmp_path):
    assert load_data(f"folder:{picture_folder(tmp_path, mode='L')}").input_shape == (12, 10, 1)


def test_pictures_can_be_resized(tmp_path):
    data = load_data(f"folder:{picture_folder(tmp_path)}@20x16")
    assert data.input_shape == (20, 16, 3)
    assert data.test.images[:2].shape == (2, 20, 16, 3)


def test_a_folder_larger_than_memory_is_decoded_on_demand_with_the_same_pixels(tmp_path, monkeypatch):
    name = f"folder:{picture_folder(tmp_path)}"
    whole = load_data(name)
    monkeypatch.setattr(folder_module, "_MEMORY_LIMIT_BYTES", 10)
    lazy = load_data(name)
    assert isinstance(lazy.train.images, folder_module.PictureFiles)
    assert len(lazy.train.images) == 12
    chosen = np.array([11, 0, 5])
    np.testing.assert_array_equal(lazy.train.images[chosen], whole.train.images[chosen])


def spoil(root, how):
    if how == "no test":
        for path in sorted((root / "test").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (root / "test").rmdir()
    elif how == "one class":
        for part in ("train", "test"):
            for path in (root / part / "dog").iterdir():
                path.unlink()
            (root / part / "dog").rmdir()
    elif how == "no pictures":
        for path in (root / "test").rglob("*.png"):
            path.unlink()
    elif how == "sizes":
        Image.new("RGB", (3, 3)).save(root / "train" / "dog" / "2.png")
    elif how == "broken":
        (root / "train" / "cat" / "1.png").write_bytes(b"\x89PNG broken")


@pytest.mark.parametrize("how", ["no test", "one class", "no pictures", "sizes", "broken"])
def test_folders_that_are_not_as_described_are_refused_in_words(tmp_path, how):
    spoil(picture_folder(tmp_path), how)
    with pytest.raises(FormatError):
        load_data(f"folder:{tmp_path}")


@pytest.mark.parametrize("size", ["", "8", "0x8", "8x9999", "axb"])
def test_sizes_out_of_range_are_refused(tmp_path, size):
    with pytest.raises(FormatError, match="HEIGHTxWIDTH"):
        load_data(f"folder:{picture_folder(tmp_path)}@{size}")


@pytest.mark.parametrize("name", ["magic", "folder:", "torchvision:", ""])
def test_unknown_names_are_refused(name):
    with pytest.raises(ValueError, match="unknown data"):
        load_data(name)

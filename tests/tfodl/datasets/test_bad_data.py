"""Whatever lies on the disk: a data set or one line, never another exception."""

import io

import numpy as np
import pytest
from PIL import Image

from tfodl import TfodlError, datasets

TRIALS = 200
NAMES = ["a", "b", "train", "test", "val", "Train", ".x", "é ü", "x" * 200, "c\nd", "e.png", "\udcfe"]
SUFFIXES = [".png", ".JPG", ".jpeg", ".bmp", ".gif", ".ppm", ".pgm", ".webp", ".heic", ".tif", "", ".npz"]
KINDS = ["PNG", "JPEG", "BMP", "GIF", "PPM", "WEBP", "TIFF"]
DTYPES = [np.uint8, np.uint8, np.int64, np.float32, np.float64, bool, "U3", object, np.uint16, np.complex64]


@pytest.fixture(autouse=True)
def no_data_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path_factory.mktemp("data")))


def damaged(data, rng):
    """Bytes with some changed, cut, or doubled."""
    data = bytearray(data)
    for _ in range(rng.integers(0, 4)):
        if data:
            data[rng.integers(len(data))] = rng.integers(256)
    return bytes(data[: rng.integers(len(data) + 1)] if rng.random() < 0.3 else data)


def picture(rng):
    stream, side = io.BytesIO(), int(rng.integers(1, 9))
    image = Image.fromarray(rng.integers(0, 256, (side, int(rng.integers(1, 9)), 3)).astype(np.uint8))
    image.save(stream, rng.choice(KINDS))
    return stream.getvalue()


def some_file(path, rng):
    kind = rng.integers(6)
    if kind == 0:
        path.symlink_to(path.parent / rng.choice(["..", "nowhere", path.name]))
    elif kind == 1:
        path.write_bytes(rng.bytes(int(rng.integers(40))))
    else:
        path.write_bytes(picture(rng) if kind < 5 else damaged(picture(rng), rng))


def some_folder(path, rng, depth=0):
    path.mkdir()
    for _ in range(rng.integers(0, 6)):
        child = path / rng.choice(NAMES)
        if not child.is_symlink() and not child.exists():
            if depth < 3 and rng.random() < 0.8:
                some_folder(child, rng, depth + 1)
            else:
                some_file(child, rng)
    for index in range(rng.integers(0, 5)):
        some_file(path / f"{index}{rng.choice(SUFFIXES)}", rng)


def some_array(rng):
    shape = (int(rng.integers(0, 5)), *rng.integers(0, 5, rng.integers(0, 4)).tolist())
    if rng.random() < 0.5:
        shape = (*shape[:1], 4, 4, int(rng.choice([1, 3])))
    array = rng.integers(-2, 300, shape)
    return array.astype(DTYPES[rng.integers(len(DTYPES))])


def some_npz(path, rng):
    names = [
        "x_train",
        "y_train",
        "x_test",
        "y_test",
        "class_names",
        "x_val",
        "y_val",
        "jpeg",
        "offsets",
        "y",
    ]
    stream = io.BytesIO()
    chosen = {name: some_array(rng) for name in names if rng.random() < (0.9 if "t" in name else 0.2)}
    np.savez(stream, allow_pickle=True, **chosen)
    path.write_bytes(damaged(stream.getvalue(), rng) if rng.random() < 0.6 else stream.getvalue())


def loaded(path, rng):
    """What `load` says of a path: the data set, or the line."""
    options = {"size": [None, 4, (3, 5)], "channels": [None, 1, 3], "limit": [None, 1, 3], "skip_bad": [0, 1]}
    try:
        return datasets.load(path, **{key: v[rng.integers(len(v))] for key, v in options.items()})
    except TfodlError as error:
        assert str(error) and "\n" not in str(error)
        return None


def test_bad_folders_and_files_never_raise_anything_else(tmp_path):
    found = []
    for trial in range(TRIALS):
        rng = np.random.default_rng(trial)
        make = (some_folder, some_folder, some_file, some_npz)[trial % 4]
        path = tmp_path / f"{trial}{rng.choice(['', '.npz', '.png'])}"
        make(path, rng)
        found.append(loaded(path, rng))
    whole = [data for data in found if data is not None]
    assert len(whole) >= 5  # some are good: the trials are not all refused at the first look
    for data in whole:
        assert len(data.y_train) and len(data.y_test) and data.y_train.max() < data.classes


@pytest.mark.parametrize(
    "name", ["a" * 5000, "a/" * 3000, "\0", "a\nb", "~", ".", "..", "/", "mnist/\0", "\udcff"]
)
def test_odd_names(name):
    with pytest.raises(TfodlError) as caught:
        datasets.load(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"size": 0}, {"size": (4,)}, {"size": "8"}, {"size": (4, 0)}, {"size": True}, {"seed": -1},
     {"seed": 0.5}, {"limit": 0}, {"limit": 2.5}, {"channels": 4}, {"channels": "grey"}],
    ids=str,
)  # fmt: skip
def test_bad_options_are_named(options):
    with pytest.raises(TfodlError, match=f"{next(iter(options))} must"):
        datasets.load("digits", **options)

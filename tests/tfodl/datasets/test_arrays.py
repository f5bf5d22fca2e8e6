"""`.npz` files that are not what they should be: one line that says what to save instead."""

import zipfile

import numpy as np
import pytest

from tfodl import TfodlError, datasets

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
LABELS = np.arange(6) % 3


@pytest.fixture(autouse=True)
def no_data_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path_factory.mktemp("data")))


def arrays(**changes):
    fields = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS[:3], "y_test": LABELS[:3]}
    return {key: value for key, value in (fields | changes).items() if value is not None}


def with_nan():
    x = PIXELS.astype(np.float32)
    x[2, 3] = np.nan
    return x


BAD = {
    "0..1": ({"x_train": (PIXELS / 255).astype(np.float32)}, r"float32 .*0\.\.1; save \(255 \* x\).round"),
    "0..255": ({"x_train": PIXELS.astype(np.float64)}, r"float64 .*0\.\.255; save x.round\(\).astype"),
    "int": (
        {"x_test": PIXELS[:3].astype(np.int64)},
        r"test: pictures must be uint8 .*int64.*astype\('uint8'\)",
    ),
    "-1..1": ({"x_train": PIXELS / 127.5 - 1}, r"-1\.\.1; scale them to 0\.\.255"),
    "NaN": ({"x_train": with_nan()}, "with NaN or infinity"),
    "flat": ({"x_train": PIXELS.reshape(6, -1)}, r"\(6, 192\); reshape each row to \[H,W,C\]"),
    "channels first": ({"x_train": PIXELS.transpose(0, 3, 1, 2)}, r"1 or 3 channels, last .*got 8"),
    "no pixels": ({"x_train": PIXELS[:, :0]}, r"no pictures \(shape \(6, 0, 8, 3\)\)"),
    "none": ({"x_test": PIXELS[:0], "y_test": LABELS[:0]}, "test: no pictures"),
    "scalar": ({"x_train": np.uint8(3)}, r"got uint8 \(\)"),
    "text": ({"x_train": np.array(["a"] * 6)}, r"pictures must be uint8 \[N,H,W,C\], got <U1"),
    "names": ({"y_train": np.array(list("abcabc"))}, "of names save np.unique"),
    "one-hot": ({"y_train": np.eye(3)[LABELS]}, r"\(6, 3\); of one-hot rows save y.argmax\(axis=1\)"),
    "column": ({"y_train": LABELS[:, None]}, r"save y\[:, 0\]"),
    "floats": ({"y_train": LABELS.astype(float)}, r"save y.astype\(int\)"),
    "bools": ({"y_train": LABELS > 0}, r"save y.astype\(int\)"),
    "fractions": ({"y_train": LABELS + 0.5}, r"6 whole numbers, got float64 \(6,\)\."),
    "negative": ({"y_train": LABELS - 1}, r"got -1\.\.1; number the classes from 0"),
    "far apart": ({"y_train": LABELS * 10**9}, "labels run to 2000000000, but there are 9 pictures"),
    "unsigned": (
        {"y_train": LABELS.astype(np.uint64) + np.uint64(2**63)},
        "labels run to 9223372036854775810",
    ),
    "few names": ({"class_names": np.array(["a"])}, r"0\.\.0 \(1 class names\), got 0\.\.2"),
    "table of names": ({"class_names": np.array([["a", "b", "c"]])}, r"\[classes\], got shape \(1, 3\)"),
    "missing": ({"x_test": None, "y_test": None}, r"arrays \['x_test', 'y_test'\] are missing"),
    "objects": ({"y_train": np.array([0, "a", None] * 2, dtype=object)}, "pickled Python objects"),
    "half a val": ({"x_val": PIXELS[:2]}, r"arrays \['y_val'\] are missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_other_arrays_are_refused_with_what_to_save(tmp_path, name):
    changes, message = BAD[name]
    np.savez(tmp_path / "bad.npz", **arrays(**changes))
    with pytest.raises(TfodlError, match=message) as caught:
        datasets.load(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)


def test_what_the_message_says_to_save_is_read(tmp_path):
    y, names = np.array(list("abcabc")), np.unique(list("abcabc"))
    pixels = (255 * (PIXELS / 255).astype(np.float32)).round().astype("uint8")
    labels = np.unique(y, return_inverse=True)[1]
    np.savez(tmp_path / "mine.npz", **arrays(x_train=pixels, y_train=labels, class_names=names))
    data = datasets.load(tmp_path / "mine.npz")
    np.testing.assert_array_equal(data.x_train, PIXELS)
    assert data.y_train.tolist() == LABELS.tolist() and data.class_names == ("a", "b", "c")


def test_pictures_to_judge_by(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays(x_val=PIXELS[3:], y_val=LABELS[3:]))
    data = datasets.load(tmp_path / "mine.npz", size=4, channels=1)
    assert data.x_val.shape == (3, 4, 4, 1)
    np.testing.assert_array_equal(data.hold_out(2)[1][1], LABELS[3:])


def test_files_that_are_no_archive(tmp_path):
    np.save(tmp_path / "one.npy", PIXELS)
    with pytest.raises(TfodlError, match="a single array; save a .npz of named arrays"):
        datasets.load(tmp_path / "one.npy")
    (tmp_path / "pickle.npz").write_bytes(b"\x80\x04\x95\x00\x00.")
    with pytest.raises(TfodlError, match="cannot be read as .npz"):
        datasets.load(tmp_path / "pickle.npz")
    with zipfile.ZipFile(tmp_path / "odd.npz", "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': oh no}")
    with pytest.raises(TfodlError, match="cannot be read as .npz"):
        datasets.load(tmp_path / "odd.npz")


def pack(**changes):
    jpeg = np.zeros(8, np.uint8)
    fields = {"jpeg": jpeg, "offsets": np.array([0, 4, 8]), "y": np.array([0, 1]), "split": np.array([0, 1])}
    return {key: value for key, value in (fields | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": None}, r"\['split'\] are missing beside 'jpeg'"),
        ({"offsets": np.array([0, 4])}, "N pictures needs N . 1 offsets.*got 2, 2 and 2"),
        ({"offsets": np.array([0, 9, 8])}, r"must ascend within 0\.\.8"),
        ({"offsets": np.array([0.0, 4.0, 8.0])}, "whole numbers"),
        ({"y": np.array(["a", "b"])}, "whole numbers"),
        ({"split": np.array([0, 0])}, "no pictures of split 'test'"),
        ({}, r"picture in pack: cannot be read"),
    ],
)
def test_bad_packs_are_refused(tmp_path, changes, message):
    np.savez(tmp_path / "pack.npz", **pack(**changes))
    if "split 'test'" in message:
        message = "cannot be read|" + message
    with pytest.raises(TfodlError, match=message):
        datasets.load(tmp_path / "pack.npz")

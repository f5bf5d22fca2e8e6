"""Folders of pictures: which are read, how they are split, and what is said of the rest."""

import os

import numpy as np
import pytest
from PIL import Image

from tfodl import TfodlError, datasets


@pytest.fixture(autouse=True)
def no_data_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path_factory.mktemp("data")))


def fill(folder, count=5, value=0, suffix=".png", size=(6, 4)):
    """`count` pictures of red levels `value`, `value` + 1, ... in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new("RGB", size, (value + index, 0, 0)).save(folder / f"{index:03d}{suffix}", "PNG")


def make(root, *names, count=5, **options):
    for label, name in enumerate(names):
        fill(root / name, count, 40 * label, **options)
    return root


def reds(x):
    return sorted(x[:, 0, 0, 0].tolist())


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("tfodl: ")]


@pytest.mark.parametrize("train", ["train", "Training"])
@pytest.mark.parametrize("held", ["val", "valid", "validation", "Validation", "test", "testing"])
def test_train_and_one_more_are_the_splits(tmp_path, train, held, caplog):
    make(tmp_path / train, "a", "b", count=3)
    make(tmp_path / held, "a", "b", count=2)
    data = datasets.load(tmp_path)
    assert data.class_names == ("a", "b") and reds(data.x_train) == [0, 1, 2, 40, 41, 42]
    assert reds(data.x_test) == [0, 1, 40, 41] and data.x_val is None and not said(caplog)


def test_with_three_splits_training_is_judged_by_val(tmp_path):
    for split, count in (("train", 4), ("val", 3), ("test", 2)):
        make(tmp_path / split, "a", "b", count=count)
    data = datasets.load(tmp_path)
    assert [len(y) for _, (_, y) in data.splits()] == [8, 4, 6]
    (x, y), (x_held, y_held) = data.hold_out(2, seed=0)
    assert reds(x) == reds(data.x_train) and reds(x_held) == [0, 1, 2, 40, 41, 42]
    assert (y == (x[:, 0, 0, 0] >= 40)).all() and (y_held == (x_held[:, 0, 0, 0] >= 40)).all()
    few = datasets.load(tmp_path, limit=2)
    assert [sorted(y.tolist()) for _, (_, y) in few.splits()] == [[0, 1]] * 3


def test_classes_may_be_called_train(tmp_path):
    assert datasets.load(make(tmp_path, "car", "train")).class_names == ("car", "train")


def test_a_drawn_split_keeps_every_class_on_both_sides(tmp_path, caplog):
    for label, count in enumerate((1, 2, 3, 9, 30)):
        fill(tmp_path / f"c{label}", count, 50 * label)
    data = datasets.load(tmp_path, seed=3)
    assert np.bincount(data.y_train).tolist() == [1, 1, 2, 8, 24]
    assert np.bincount(data.y_test, minlength=5).tolist() == [0, 1, 1, 1, 6]
    assert (np.diff(data.y_train) < 0).any()  # shuffled, not class by class
    assert said(caplog) == [
        f"tfodl: data set {tmp_path.name!r}: a single picture of 'c0': it is trained on, none is tested"
    ]
    assert reds(datasets.load(tmp_path, seed=3).x_test) == reds(data.x_test)
    assert reds(datasets.load(tmp_path, seed=4).x_test) != reds(data.x_test)


def test_what_is_left_out_is_named(tmp_path, caplog):
    make(tmp_path, "a", "b")
    for name in ("a/1.HEIC", "a/2.heic", "b/3.tiff", "b/README", "b/.DS_Store", "b/._x.png"):
        (tmp_path / name).write_bytes(b"?")
    (tmp_path / "b" / "more").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / ".hidden").mkdir()
    fill(tmp_path, 2)
    assert len(datasets.load(tmp_path).x_train) == 8
    loose, rest = said(caplog)
    assert "2 pictures beside the class folders" in loose
    assert rest.endswith("1 without suffix, 2 .heic, 1 .tiff, link to a folder 'more'")


def test_sub_folders_beside_the_splits_are_named(tmp_path, caplog):
    make(tmp_path / "train", "a", "b")
    make(tmp_path / "test", "a", "b")
    make(tmp_path, "extra", "masks")
    assert len(datasets.load(tmp_path).x_test) == 10
    assert [line for line in said(caplog) if "'extra', 'masks' beside its splits" in line]


def test_classes_without_test_pictures_are_named(tmp_path, caplog):
    make(tmp_path / "train", "a", "b", "c")
    make(tmp_path / "val", "b")
    datasets.load(tmp_path)
    assert [line for line in said(caplog) if line.endswith("no test pictures of 'a', 'c'")]


def test_bad_pictures_are_an_error_or_left_out_and_named(tmp_path, caplog):
    make(tmp_path, "a", "b", count=6)
    for name in ("a/000.png", "b/001.png"):
        (tmp_path / name).write_bytes(b"GIF89a cut")
    with pytest.raises(TfodlError, match=r"a/000.png'?: cannot be read.*--skip-bad \(skip_bad=True\)"):
        datasets.load(tmp_path)
    data = datasets.load(tmp_path, skip_bad=True)
    assert reds(np.concatenate([data.x_train, data.x_test])) == [1, 2, 3, 4, 5, 40, 42, 43, 44, 45]
    assert [line for line in said(caplog) if line.endswith("read (2): 'a/000.png', 'b/001.png'")]
    for file in (tmp_path / "b").iterdir():
        file.write_bytes(b"")
    with pytest.raises(TfodlError, match="none of the pictures of 'b' can be read"):
        datasets.load(tmp_path, skip_bad=True)


def test_names_of_every_kind(tmp_path):
    names = ["Käse brot", "zebra\udcff", "日本", "a\nb"]
    for label, name in enumerate(names):
        fill(tmp_path / name, 3, 40 * label, suffix=".PNG")
    data = datasets.load(tmp_path)
    assert set(data.class_names) == set(names)
    for label, name in enumerate(data.class_names):
        assert set(data.x_train[data.y_train == label][:, 0, 0, 0] // 40) == {names.index(name)}


def test_pictures_lie_at_any_depth(tmp_path):
    deep = tmp_path / "a" / "/".join(["d"] * 300)
    fill(deep, 3)
    fill(tmp_path / "a", 2, 10)
    fill(tmp_path / "b", 5, 40)
    data = datasets.load(tmp_path)
    assert reds(np.concatenate([data.x_train, data.x_test])) == [0, 1, 2, 10, 11, 40, 41, 42, 43, 44]


def test_a_tree_too_deep_to_open_is_one_line(tmp_path):
    make(tmp_path, "a", "b")
    here = os.getcwd()
    try:
        os.chdir(tmp_path / "a")
        for _ in range(25):  # past the longest path that a call takes
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    finally:
        os.chdir(here)
    with pytest.raises(TfodlError, match="cannot be read .File name too long"):
        datasets.load(tmp_path)


def test_links_in_a_circle_are_left_out(tmp_path, caplog):
    make(tmp_path, "a", "b")
    (tmp_path / "all").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    data = datasets.load(tmp_path)
    assert data.class_names == ("a", "b") and len(data.x_train) + len(data.x_test) == 10
    assert len(said(caplog)) == 2 and "'all'" in said(caplog)[0] and "'up'" in said(caplog)[1]


def test_a_linked_class_is_read(tmp_path):
    make(tmp_path / "elsewhere", "b")
    make(tmp_path / "pets", "a")
    (tmp_path / "pets" / "b").symlink_to(tmp_path / "elsewhere" / "b", target_is_directory=True)
    assert datasets.load(tmp_path / "pets").class_names == ("a", "b")


def empty(root):
    pass


def one_class(root):
    fill(root / "only")


def loose(root):
    fill(root, 3)


def hollow(root):
    make(root, "a", "b")
    (root / "c").mkdir()
    (root / "c" / "x.heic").write_bytes(b"")


def no_train(root):
    make(root / "val", "a", "b")
    make(root / "test", "a", "b")


def two_vals(root):
    for split in ("train", "val", "valid"):
        make(root / split, "a", "b")


def other_class(root):
    make(root / "train", "a", "b")
    make(root / "test", "a", "z")


def empty_test(root):
    make(root / "train", "a", "b")
    (root / "test" / "a").mkdir(parents=True)


def one_each(root):
    make(root, "a", "b", count=1)


def sizes(root):
    fill(root / "a", 4)
    fill(root / "b", 4, size=(9, 9))


REFUSED = {
    empty: r"needs a sub-folder a class, at least two; got \[\]\.",
    one_class: r"got \['only'\]\. If the classes are in 'only', give that",
    loose: r"got \[\] and 3 pictures beside",
    hollow: r"c': no pictures \(.*\.png.*\); it holds 1 \.heic\. Convert them, or remove",
    no_train: "has 'test', 'val', but no 'train' beside",
    two_vals: "'val', 'valid' are two names of one split",
    other_class: r"classes 'z' are not in 'train' \('a', 'b'\)",
    empty_test: "test': no pictures",
    one_each: "too few pictures to split, one a class",
    sizes: r"pictures differ in size .*size= \(--size\)",
}


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_what_cannot_be_read_is_one_line(tmp_path, case):
    case(tmp_path)
    with pytest.raises(TfodlError, match=REFUSED[case]) as caught:
        datasets.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    make(tmp_path, "a", "b")
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(TfodlError, match=r"b': cannot be read \(Permission denied\)"):
        datasets.load(tmp_path)


def test_a_file_in_place_of_a_folder(tmp_path):
    fill(tmp_path, 1)
    with pytest.raises(TfodlError, match="is one picture; give the folder"):
        datasets.load(tmp_path / "000.png")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(TfodlError, match="cannot be read as .npz"):
        datasets.load(tmp_path / "notes.txt")


def test_channels_and_sizes_as_asked(tmp_path):
    fill(tmp_path / "a", 4, 100)
    fill(tmp_path / "b", 4, 100, size=(9, 5))
    data = datasets.load(tmp_path, size=(4, 6), channels=1)
    assert data.input_shape == (4, 6, 1)
    assert set(data.x_train.ravel().tolist()) <= {30, 31}  # 0.299 of red 100 .. 103
    assert datasets.load("digits", size=(10, 12), channels=3, limit=5).input_shape == (10, 12, 3)


def test_a_data_set_s_name_is_not_a_folder_s_in_silence(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "digits", "a", "b")
    assert datasets.load("digits", limit=5).classes == 10
    assert "say './digits'" in said(caplog)[0]
    assert datasets.load("./digits").classes == 2


def test_a_hold_out_takes_every_class_and_says_whom_it_lacks(tmp_path, caplog):
    make(tmp_path / "train", "a", "b", "c", count=8)
    make(tmp_path / "test", "a", "b", "c", count=1)
    data = datasets.load(tmp_path)
    (_, y), (x_held, y_held) = data.hold_out(3, seed=0)
    assert np.bincount(y).tolist() == [7, 7, 7] and sorted(y_held.tolist()) == [0, 1, 2]
    assert (x_held[:, 0, 0, 0] // 40 == y_held).all() and not said(caplog)
    data.hold_out(1, seed=0)
    assert "training is not judged by" in said(caplog)[-1]
    single = data.subset(3)
    with pytest.raises(TfodlError, match="nothing to hold out"):
        single.hold_out(1)

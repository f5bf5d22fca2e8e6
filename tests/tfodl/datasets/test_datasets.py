"""Data sets by name, pack, array file and folder; nothing is downloaded."""

import io

import numpy as np
import pytest
from PIL import Image

from tfodl import TfodlError, datasets


@pytest.fixture(autouse=True)
def no_data_folder(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("TFODL_DATA", str(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def domains():
    return datasets.load("digits"), datasets.load("digits", domain="target")


def test_digits_domains_are_disjoint_and_balanced(domains):
    source, target = domains
    assert (len(source.x_train), len(source.x_test)) == (2000, 500)
    assert (len(target.x_train), len(target.x_test)) == (1500, 1000)
    assert source.input_shape == (28, 28, 1) and source.classes == 10
    clean = datasets.digits._all_digits()[0]
    order = np.random.default_rng(0).permutation(5000)
    assert len({*order[:2500]} & {*order[2500:]}) == 0
    np.testing.assert_array_equal(source.x_train, clean[order[:2000]])
    np.testing.assert_array_equal(target.x_test, datasets.mounted_badly(clean[order[4000:]], 1))
    for y in (source.y_train, source.y_test, target.y_train, target.y_test):
        assert np.bincount(y, minlength=10).min() >= 0.06 * len(y)


def test_mounted_badly_rotates_dims_and_is_repeatable(domains):
    x = domains[0].x_test[:20]
    seen = datasets.mounted_badly(x, 7)
    assert seen.dtype == np.uint8 and seen.shape == x.shape
    np.testing.assert_array_equal(seen, datasets.mounted_badly(x, 7))
    assert (seen != datasets.mounted_badly(x, 8)).any()
    bar = np.zeros((1, 29, 29, 1), np.uint8)
    bar[0, :, 14] = 200
    turned = datasets.mounted_badly(bar, angle=90, contrast=0.5, black=10, noise=0)[0, ..., 0]
    assert (turned[14, 2:-2] == 110).all() and (turned[:10] == 10).all()


def test_noise_has_the_stated_spread():
    grey = np.full((4, 64, 64, 1), 128, np.uint8)
    seen = datasets.mounted_badly(grey, angle=0, contrast=1, black=0, noise=10)
    assert seen.std() == pytest.approx(10, rel=0.03) and seen.mean() == pytest.approx(128, abs=0.5)


def test_size_resizes_with_antialiasing(domains):
    small = datasets.load("digits", size=14)
    assert small.input_shape == (14, 14, 1)
    checker = np.indices((1, 32, 32, 1)).sum(0).astype(np.uint8) % 2 * 255
    inner = datasets.resize(checker, 8)[0, 1:-1, 1:-1]
    assert np.abs(inner.astype(int) - 127).max() <= 8  # without antialiasing it would be 0 or 255


def test_limit_draws_a_repeatable_subset(domains):
    few = datasets.load("digits", limit=50, seed=0)
    assert len(few.x_train) == len(few.x_test) == 50
    np.testing.assert_array_equal(few.x_train, datasets.load("digits", limit=50, seed=0).x_train)


def arrays(**changes):
    rng = np.random.default_rng(0)
    fields = {
        "x_train": rng.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8),
        "y_train": np.arange(6) % 3,
        "x_test": rng.integers(0, 256, (3, 8, 8, 3)).astype(np.uint8),
        "y_test": np.arange(3),
    }
    return {k: v for k, v in (fields | changes).items() if v is not None}


def test_npz_of_arrays(tmp_path):
    np.savez(tmp_path / "mine.npz", **arrays(class_names=np.array(["a", "b", "c"])))
    data = datasets.load(tmp_path / "mine.npz")
    assert data.class_names == ("a", "b", "c") and data.name == "mine"
    np.testing.assert_array_equal(data.y_train, [0, 1, 2, 0, 1, 2])
    np.savez(tmp_path / "grey.npz", **{k: v[..., 0] if k[0] == "x" else v for k, v in arrays().items()})
    assert datasets.load(tmp_path / "grey.npz", size=4).input_shape == (4, 4, 1)


BAD_ARRAYS = [
    ({"y_test": None}, "'y_test'.*missing"),
    ({"x_train": np.zeros((6, 8, 8, 3), np.float32)}, "uint8"),
    ({"y_train": np.zeros(5, int)}, "labels must be 6"),
    ({"class_names": np.array(["a", "b"])}, r"0..1 .*got 0..2"),
    ({"x_test": np.zeros((3, 4, 4, 3), np.uint8)}, "resize them with size="),
    ({"x_train": np.zeros((0, 8, 8, 3), np.uint8), "y_train": np.zeros(0, int)}, "no pictures"),
    ({"x_train": np.zeros((6, 8, 8, 2), np.uint8)}, "1 or 3 channels"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_ARRAYS)
def test_bad_arrays_are_refused(tmp_path, changes, message):
    np.savez(tmp_path / "bad.npz", **arrays(**changes))
    with pytest.raises(TfodlError, match=message):
        datasets.load(tmp_path / "bad.npz")


def png(value, size=(8, 8)):
    stream = io.BytesIO()
    Image.new("RGB", size, (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def test_packs_are_found_in_the_data_folder(tmp_path):
    pictures = [png(value) for value in (10, 20, 30)]
    offsets = np.cumsum([0, *map(len, pictures)])
    np.savez(
        tmp_path / "pack_8.npz",
        jpeg=np.frombuffer(b"".join(pictures), np.uint8),
        offsets=offsets,
        y=np.array([0, 1, 1]),
        split=np.array([0, 1, 0]),
        class_names=np.array(["no", "yes"]),
    )
    data = datasets.load("pack_8", data_dir=tmp_path)
    assert data.x_train[:, 0, 0, 0].tolist() == [10, 30] and data.y_train.tolist() == [0, 1]
    assert data.x_test[:, 0, 0, 0].tolist() == [20] and "pack_8" in datasets.available(tmp_path)


def folder_of(path, names, count, sizes=((8, 8),)):
    for label, name in enumerate(names):
        (path / name).mkdir(parents=True)
        for index in range(count):
            picture = png(100 * label + index, sizes[index % len(sizes)])
            (path / name / f"{index:02d}.png").write_bytes(picture)


def test_folder_with_a_subfolder_a_class(tmp_path):
    folder_of(tmp_path / "pets", ("cat", "dog"), 10)
    data = datasets.load(f"{tmp_path / 'pets'}/")
    assert data.class_names == ("cat", "dog") and (len(data.x_train), len(data.x_test)) == (16, 4)
    values = np.concatenate([data.x_train, data.x_test])[:, 0, 0, 0]
    assert sorted(values.tolist()) == [*range(10), *range(100, 110)]
    assert ((values >= 100) == np.concatenate([data.y_train, data.y_test])).all()


def test_folder_with_given_splits(tmp_path):
    folder_of(tmp_path / "train", ("a", "b"), 3)
    folder_of(tmp_path / "test", ("b",), 2)
    data = datasets.load(tmp_path)
    assert len(data.x_train) == 6 and data.y_test.tolist() == [1, 1]


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(TfodlError, match="at least two"):
        datasets.load(tmp_path)
    folder_of(tmp_path, ("a", "b"), 4, sizes=((8, 8), (9, 8)))
    with pytest.raises(TfodlError, match="differ in size"):
        datasets.load(tmp_path)
    assert datasets.load(tmp_path, size=6).input_shape == (6, 6, 3)
    (tmp_path / "a" / "00.png").write_bytes(b"no picture")
    with pytest.raises(TfodlError, match="00.png.*cannot be read"):
        datasets.load(tmp_path, size=6)


@pytest.mark.parametrize("name", ["cifar11", "nowhere/", "", "./x.npz"])
def test_unknown_names_list_what_is_allowed(name):
    with pytest.raises(TfodlError, match="unknown; allowed: digits.*cifar10.*vww.*wake_vision"):
        datasets.load(name)


def test_bad_options_are_refused(tmp_path):
    with pytest.raises(TfodlError, match="size"):
        datasets.load("digits", size=0)
    with pytest.raises(TfodlError, match="domain"):
        datasets.load("digits", domain="moon")
    with pytest.raises(TfodlError, match="domain"):
        datasets.load("cifar10", domain="target")
    with pytest.raises(TfodlError, match="does not exist"):
        datasets.load("cifar10", data_dir=tmp_path / "none")
    (tmp_path / "cut.npz").write_bytes(b"PK\3\4 cut")
    with pytest.raises(TfodlError, match="cannot be read"):
        datasets.load(tmp_path / "cut.npz")


@pytest.fixture
def reachable(monkeypatch):
    """The servers of data sets, as far as anybody asks."""
    monkeypatch.setattr(datasets.catalogue, "check_server", lambda name, builder: None)


@pytest.fixture
def mocked_tfds(reachable):
    import tensorflow_datasets as tfds

    with tfds.testing.mock_data(num_examples=6):
        yield


@pytest.mark.parametrize(
    ("name", "classes"), [("cifar10", 10), ("pets", 37), ("wake_vision", 2), ("mnist", 10)]
)
def test_tensorflow_datasets_by_name(mocked_tfds, name, classes):
    data = datasets.load(name, size=16)
    assert data.x_train.shape[:3] == (6, 16, 16) and data.classes == classes


def test_visual_wake_words_are_made_from_coco(reachable):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    def coco(builder, split, **_):
        assert builder.name == "coco"
        return tf.data.Dataset.from_tensor_slices(
            {
                "image": tf.zeros((3, 20, 20, 3), tf.uint8),
                "objects": {
                    "bbox": [[[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.0, 0.5, 0.5]], [[0.0, 0.0, 0.05, 0.09]]],
                    "label": [[17], [0], [0]],  # a dog; a person; a person of 0.45 %
                },
            }
        )

    with tfds.testing.mock_data(as_dataset_fn=coco):
        data = datasets.load("vww", size=10)
    assert data.y_train.tolist() == data.y_test.tolist() == [0, 1, 0]
    assert data.class_names == ("no_person", "person") and data.input_shape == (10, 10, 3)


def test_sets_without_pictures_are_refused(mocked_tfds):
    with pytest.raises(TfodlError, match="not a set of labelled pictures"):
        datasets.load("imdb_reviews")


def test_set_that_cannot_be_downloaded_is_one_clear_line(mocked_tfds, monkeypatch):
    import tensorflow_datasets as tfds

    def offline(self, **_):
        raise ConnectionError("HTTPSConnectionPool:\nMax retries exceeded")

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", offline)
    with pytest.raises(TfodlError, match="'cifar10': tensorflow-datasets cannot provide it: HTTPS") as caught:
        datasets.load("cifar10")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["cifar10", "mnist", "food", "vww", "flowers"])
def test_set_whose_server_cannot_be_reached_says_so_at_once(monkeypatch, name):
    import socket
    import time

    import tensorflow_datasets as tfds

    def offline(*_, **__):
        raise socket.gaierror(-2, "Name or service not known")

    for scheme in ("http", "https"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)
    monkeypatch.setattr(socket, "create_connection", offline)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    start = time.perf_counter()
    with pytest.raises(TfodlError, match=f"{name!r}: its server .* cannot be reached .* folders of pictures"):
        datasets.load(name)
    assert time.perf_counter() - start < 20


def test_behind_a_proxy_the_server_is_not_asked(monkeypatch):
    import socket

    import tensorflow_datasets as tfds

    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setattr(socket, "create_connection", None)
    datasets.catalogue.check_server("cifar10", tfds.builder("cifar10"))


def test_person_rule_is_half_a_percent_of_the_picture():
    box = np.array([[0.2, 0.3, 0.3, 0.36]])  # 0.6 %
    assert datasets.has_person(box, np.array([0]))
    assert not datasets.has_person(box, np.array([1]))
    assert not datasets.has_person(box * 0.5, np.array([0]))
    assert not datasets.has_person(np.zeros((0, 4)), np.zeros(0, int))

"""Public data sets through tensorflow-datasets: the papers' sets, Visual Wake Words, any other classifier."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tflm_export.errors import TfodlError
from tfodl.datasets.dataset import Dataset
from tfodl.datasets.images import Size, height_width, stack

PERSON_BOX_SHARE = 0.005
REACH_SECONDS = 5.0


@dataclass(frozen=True)
class Source:
    """A data set of tensorflow-datasets: its name there and the names of its splits."""

    builder: str
    train: str = "train"
    test: str = "test"


PAPER_SETS = {
    "cifar10": Source("cifar10"),
    "cifar100": Source("cifar100"),
    "cub": Source("caltech_birds2011"),
    "flowers": Source("oxford_flowers102"),
    "food": Source("food101", test="validation"),
    "pets": Source("oxford_iiit_pet"),
    "vww": Source("coco/2017", test="validation"),
}
CATALOGUE = PAPER_SETS | {
    "cars": Source("cars196"),
    "wake_vision": Source("wake_vision", train="train_quality"),
}


def has_person(boxes: np.ndarray, labels: np.ndarray) -> bool:
    """The rule of Visual Wake Words (Chowdhery et al. 2019): a person's box covers over 0.5 % of the picture.

    boxes: `[N,4]` float, ymin, xmin, ymax, xmax as shares of the picture.
    labels: `[N]` whole numbers, 0 is a person (COCO).

    >>> has_person(np.array([[0.0, 0.0, 0.1, 0.04]]), np.array([0]))
    False
    >>> has_person(np.array([[0.0, 0.0, 0.1, 0.06]]), np.array([0]))
    True
    """
    people = np.asarray(boxes, np.float64).reshape(-1, 4)[np.asarray(labels) == 0]
    areas = (people[:, 2] - people[:, 0]) * (people[:, 3] - people[:, 1])
    return bool((areas > PERSON_BOX_SHARE).any())


def load_tfds(name: str, size: Size = None, limit: int | None = None) -> Dataset:
    """Data set `name` of `CATALOGUE` or of tensorflow-datasets; the first call downloads it.

    size: side in pixels, or (height, width), bilinear, antialiased; needed where pictures differ in size.
    limit: at most this many pictures a split.

    Raises `TfodlError` when the set is no picture classifier or cannot be had.
    """
    import tensorflow_datasets as tfds

    source = CATALOGUE.get(name, Source(name))
    try:
        builder = tfds.builder(source.builder)
        if not builder.is_prepared():
            check_server(name, builder)
        builder.download_and_prepare()
        parts = {
            key: builder.as_dataset(split=f"{split}[:{limit}]" if limit else split)
            for key, split in (("train", source.train), ("test", source.test))
        }
    except TfodlError:
        raise
    except (OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        line = " ".join(str(error).split())[:200]
        raise TfodlError(f"data set {name!r}: tensorflow-datasets cannot provide it: {line}") from error
    label, names = _labels(name, builder)
    (x_train, y_train), (x_test, y_test) = (_collect(name, ds, label, size) for ds in parts.values())
    return Dataset(x_train, y_train, x_test, y_test, names, name)


def check_server(name: str, builder: Any) -> None:
    """Raises `TfodlError` within seconds where the set's server cannot be reached: tensorflow-datasets itself
    tries for minutes. Behind a proxy nothing is checked."""
    url = urllib.parse.urlsplit(next(iter(builder.url_infos or ()), ""))
    if url.scheme not in ("http", "https") or url.hostname is None:
        return
    if url.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(url.hostname):
        return
    try:
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        socket.create_connection((url.hostname, port), timeout=REACH_SECONDS).close()
    except OSError as error:
        raise TfodlError(
            f"data set {name!r}: its server {url.hostname} cannot be reached ({error}). Connect this machine "
            f"(or set HTTPS_PROXY), or copy a set prepared elsewhere to {builder.data_path}; "
            "'digits', .npz files and folders of pictures need no network."
        ) from error


def is_in_tfds(name: str) -> bool:
    """Whether tensorflow-datasets knows a data set of this name."""
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    return name.split("/")[0] in known


def _labels(name: str, builder: Any) -> tuple[Callable[[dict[str, Any]], int], tuple[str, ...]]:
    """How to find a picture's label, and the class names."""
    if name == "vww":
        return lambda e: int(has_person(e["objects"]["bbox"], e["objects"]["label"])), ("no_person", "person")
    keys = builder.info.supervised_keys
    feature = builder.info.features[keys[1]] if keys else None
    if not keys or keys[0] != "image" or feature is None or not hasattr(feature, "names"):
        raise TfodlError(f"data set {name!r}: not a set of labelled pictures (keys {keys}); choose another.")
    names = tuple(feature.names) or tuple(map(str, range(feature.num_classes)))
    return lambda e: int(e[keys[1]]), names


def _collect(
    name: str, dataset: Any, label: Callable[[dict[str, Any]], int], size: Size
) -> tuple[np.ndarray, np.ndarray]:
    import tensorflow as tf
    import tensorflow_datasets as tfds
    from tqdm import tqdm

    def shrink(example: dict[str, Any]) -> dict[str, Any]:
        image = tf.image.resize(example["image"], height_width(size), method="bilinear", antialias=True)
        return example | {"image": tf.cast(tf.round(image), tf.uint8)}

    dataset = dataset if size is None else dataset.map(shrink, num_parallel_calls=tf.data.AUTOTUNE)
    pictures, labels = [], []
    for example in tqdm(tfds.as_numpy(dataset), desc=name, delay=5.0):
        pictures.append(example["image"])
        labels.append(label(example))
    if not pictures:
        raise TfodlError(f"data set {name!r}: no pictures.")
    return stack(pictures, f"data set {name!r}"), np.array(labels)

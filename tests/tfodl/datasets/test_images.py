"""Picture files of every mode as uint8: the right values, upright, 16 bits scaled."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from tfodl import TfodlError
from tfodl.datasets.images import decode, resize, with_channels


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


UPRIGHT = {  # EXIF orientation -> how the stored picture [H,W,C] is turned
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_pictures_are_read_upright(orientation):
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(decode(data, 3, None), UPRIGHT[orientation](stored))


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(channels):
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16)
    found = decode(saved(Image.fromarray(levels * 257)), channels, None)
    np.testing.assert_array_equal(found, np.repeat(levels[..., None], channels, 2))
    near = np.array([[128, 129, 300, 65535 - 129]], np.uint16)
    assert decode(saved(Image.fromarray(near)), 1, None).ravel().tolist() == [0, 1, 1, 254]


def test_portable_maps_of_sixteen_bits():
    pixels = np.array([0, 257, 32896, 65535], ">u2").tobytes()
    assert decode(b"P5 4 1 65535\n" + pixels, 1, None).ravel().tolist() == [0, 1, 128, 255]


def palette(transparent):
    image = Image.new("P", (3, 1))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata([0, 1, 2])
    return saved(image, **({"transparency": 1} if transparent else {}))


def rgba(mode, *pixels):
    return saved(Image.fromarray(np.array([pixels], np.uint8), mode))


MODES = {
    "palette": (palette(False), [[10, 20, 30], [40, 50, 60], [70, 80, 90]]),
    "palette, one transparent": (palette(True), [[10, 20, 30], [255, 255, 255], [70, 80, 90]]),
    "RGBA": (rgba("RGBA", (9, 8, 7, 255), (9, 8, 7, 0)), [[9, 8, 7], [255, 255, 255]]),
    "half transparent": (rgba("RGBA", (0, 100, 255, 51)), [[204, 224, 255]]),
    "LA": (rgba("LA", (40, 255), (40, 0)), [[40] * 3, [255] * 3]),
    "1": (saved(Image.fromarray(np.array([[True, False]]))), [[255] * 3, [0] * 3]),
    "L": (saved(Image.fromarray(np.array([[3, 200]], np.uint8))), [[3] * 3, [200] * 3]),
    "grey with a transparent level": (
        saved(Image.fromarray(np.array([[3, 200]], np.uint8)), transparency=200), [[3] * 3, [255] * 3]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODES)
def test_modes_give_what_one_sees(name):
    data, wanted = MODES[name]
    assert np.abs(decode(data, 3, None)[0].astype(int) - wanted).max() <= 1
    grey = np.dot(wanted, [0.299, 0.587, 0.114])
    assert np.abs(decode(data, 1, None)[0, :, 0] - grey).max() <= 1.5


def test_cmyk_jpeg():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red ink on paper
    found = decode(saved(image, "JPEG", quality=95), 3, None)
    assert np.abs(found.astype(int) - [255, 0, 0]).max() <= 6


def test_of_several_frames_the_first_is_read():
    first, second = (Image.new("L", (3, 2), level) for level in (50, 90))
    data = saved(first, "GIF", save_all=True, append_images=[second])
    assert decode(data, 1, None).ravel().tolist() == [50] * 6


def test_height_and_width_are_not_mixed_up():
    wide = np.zeros((4, 8, 3), np.uint8)
    wide[:, 4:] = 200
    data = saved(Image.fromarray(wide))
    for found in (decode(data, 3, (2, 6)), resize(wide[None], (2, 6))[0]):
        assert found.shape == (2, 6, 3) and (found[:, :2] == 0).all() and (found[:, 4:] == 200).all()


def test_grey_and_colour():
    x = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77, 77, 77]]]], np.uint8)
    assert with_channels(x, 1).ravel().tolist() == [76, 150, 29, 77]
    assert with_channels(x[..., :1], 3)[0, 0].tolist() == [[255] * 3, [0] * 3, [0] * 3, [77] * 3]
    assert with_channels(x, None) is x and with_channels(x, 3) is x


WHOLE = saved(
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)), "JPEG"
)
DAMAGED = {
    "empty": b"",
    "text": b"<html>not found</html>",
    "cut jpeg": WHOLE[: len(WHOLE) // 2],
    "cut png": palette(False)[:40],
    "bad png chunk": palette(False).replace(b"IDAT", b"IDAX"),
    "huge": b"P6 100000 100000 255\n",
    "float": saved(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_picture_is_one_line_that_names_it(name, tmp_path):
    path = tmp_path / "sea gull.jpg"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(TfodlError, match=r"sea gull.jpg'?: cannot be read as a picture \(.+\)") as caught:
        decode(path, 3, 8)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    for name in ("pipe.png", "loop.png", "missing.png"):
        with pytest.raises(TfodlError, match=f"{name}.*cannot be read"):
            decode(tmp_path / name, 3, None)

"""Pictures as uint8 arrays: decode, resize, grey and colour."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tflm_export.errors import TfodlError

Size = int | tuple[int, int] | None  # side, or height and width, in pixels; None: as they are
RESIZE = "resize them with size= (--size)"
PAPER = (255, 255, 255, 255)  # shines through where a picture is transparent


def resize(x: np.ndarray, size: Size) -> np.ndarray:
    """Resize `x [N,H,W,C]` uint8 to `size` x `size`, or to (height, width), bilinear with antialiasing; None
    leaves it as it is.

    >>> resize(np.full((1, 4, 4, 1), 7, np.uint8), 2)[0, ..., 0].tolist()
    [[7, 7], [7, 7]]
    >>> resize(np.full((1, 4, 4, 3), 7, np.uint8), (2, 3)).shape
    (1, 2, 3, 3)
    """
    wanted = height_width(size)
    if wanted is None or x.shape[1:3] == wanted:
        return x
    out = np.empty((len(x), *wanted, x.shape[3]), np.uint8)
    for index, picture in enumerate(x):
        image = Image.fromarray(picture[..., 0] if x.shape[3] == 1 else picture)
        shrunk = np.asarray(image.resize(wanted[::-1], Image.Resampling.BILINEAR))
        out[index] = shrunk.reshape(*wanted, -1)
    return out


def height_width(size: Size) -> tuple[int, int] | None:
    """`size` as height and width."""
    return (size, size) if isinstance(size, int) else size


def with_channels(x: np.ndarray, channels: int | None) -> np.ndarray:
    """`x [N,H,W,C]` uint8 in grey (1) or RGB (3), grey by the luma of ITU-R 601; None leaves it as it is.

    >>> with_channels(np.array([[[[255, 0, 0], [0, 0, 255]]]], np.uint8), 1).ravel().tolist()
    [76, 29]
    """
    if channels is None or x.shape[3] == channels:
        return x
    if channels == 3:
        return np.repeat(x, 3, axis=3)
    out = np.empty((*x.shape[:3], 1), np.uint8)
    for index, picture in enumerate(x):
        out[index, ..., 0] = np.asarray(Image.fromarray(picture).convert("L"))
    return out


def decode(source: bytes | Path, channels: int, size: Size) -> np.ndarray:
    """One picture file as `[H,W,channels]` uint8: upright by its EXIF orientation, 16-bit grey scaled to 8,
    transparent places white; of several frames the first. Raises `TfodlError` when it is not a picture."""
    name = repr(os.fspath(source)) if isinstance(source, Path) else "picture in pack"
    try:
        if isinstance(source, Path) and source.exists() and not source.is_file():
            raise ValueError("it is no regular file")
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            picture = _eight_bit(ImageOps.exif_transpose(image)).convert("L" if channels == 1 else "RGB")
            wanted = height_width(size)
            if wanted is not None and picture.size != wanted[::-1]:
                picture = picture.resize(wanted[::-1], Image.Resampling.BILINEAR)
            return np.asarray(picture).reshape(picture.height, picture.width, channels)
    except Exception as error:  # Pillow raises whatever the damaged file provokes
        unknown = isinstance(error, UnidentifiedImageError)
        line = "of no known kind" if unknown else " ".join(str(error).split())[:200] or type(error).__name__
        raise TfodlError(f"{name}: cannot be read as a picture ({line}).") from error


def stack(pictures: list[np.ndarray], where: str) -> np.ndarray:
    """`[N,H,W,C]` from pictures of one size. Raises `TfodlError` when sizes differ."""
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) > 1:
        raise TfodlError(
            f"{where}: pictures differ in size ({shapes[0][:2]}, {shapes[1][:2]}, ...); {RESIZE}."
        )
    return np.stack(pictures)


def _eight_bit(image: Any) -> Any:
    """A picture without transparency whose channels have 8 bits."""
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):
        pixels = np.asarray(image).astype(np.int64)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ValueError("more than 16 bits a pixel")
        return Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, PAPER), image)
    return image

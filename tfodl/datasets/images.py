"""Pictures as uint8 arrays: decode and resize."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tflm_export.errors import TfodlError


def resize(x: np.ndarray, size: int | None) -> np.ndarray:
    """Resize `x [N,H,W,C]` uint8 to `size` x `size`, bilinear with antialiasing; None leaves it as it is.

    >>> resize(np.full((1, 4, 4, 1), 7, np.uint8), 2)[0, ..., 0].tolist()
    [[7, 7], [7, 7]]
    """
    if size is None or x.shape[1:3] == (size, size):
        return x
    out = np.empty((len(x), size, size, x.shape[3]), np.uint8)
    for index, picture in enumerate(x):
        image = Image.fromarray(picture[..., 0] if x.shape[3] == 1 else picture)
        shrunk = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR))
        out[index] = shrunk.reshape(size, size, -1)
    return out


def decode(source: bytes | Path, channels: int, size: int | None) -> np.ndarray:
    """One picture file as `[H,W,channels]` uint8. Raises `TfodlError` when it is not a picture."""
    name = str(source) if isinstance(source, Path) else "picture in pack"
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            picture = image.convert("L" if channels == 1 else "RGB")
            if size is not None and picture.size != (size, size):
                picture = picture.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(picture).reshape(picture.height, picture.width, channels)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise TfodlError(f"{name}: cannot be read as a picture ({error}).") from error


def stack(pictures: list[np.ndarray], where: str) -> np.ndarray:
    """`[N,H,W,C]` from pictures of one size. Raises `TfodlError` when sizes differ."""
    shapes = sorted({picture.shape for picture in pictures})
    if len(shapes) > 1:
        raise TfodlError(
            f"{where}: pictures differ in size ({shapes[0][:2]}, {shapes[1][:2]}, ...); "
            "give size= to resize them."
        )
    return np.stack(pictures)

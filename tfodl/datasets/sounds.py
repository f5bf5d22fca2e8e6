"""Sounds as log-mel features: how a folder of `.wav` files becomes samples [T, F, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tflm_export.errors import TfodlError
from tflm_export.features.log_mel import LogMel
from tfodl.datasets.kinds import KINDS
from tfodl.datasets.listing import list_files
from tfodl.datasets.recordings import Cut, windows_of
from tfodl.datasets.wav_file import read_wav


def sound_spec(path: Path, shape: tuple[int, ...] | None = None) -> LogMel:
    """The features for the sounds below `path`, at the rate of the first.

    shape: of a sample that a model takes, [T, F] or [T, F, 1]: F is the number of bands; None is 40.
    Raises `TfodlError` for a rate that no board computes.
    """
    first = list_files(path, KINDS["wav"]).files[0]
    rate, _ = read_wav(first)
    bands = shape[1] if shape is not None and len(shape) in (2, 3) else 40
    try:
        return LogMel.at(rate, bands)
    except TfodlError as error:
        raise TfodlError(f"{str(first)!r}: {error}") from error


def sound_cut(
    spec: LogMel, window: int | None, stride: int | None, shape: tuple[int, ...] | None = None
) -> Cut:
    """What makes a `.wav` file samples float32 [n, T, F, 1], or [n, T, F] where `shape` has two axes.

    window: samples of a clip; None is what the T of `shape` takes, without one a second. stride: samples from
    one clip to the next; None is `window`. A file shorter than a clip ends in silence.
    What it gives raises `TfodlError` for a file of another rate.
    """
    length = window or (spec.samples(shape[0]) if shape else spec.sample_rate)
    if spec.frames(length) < 1:
        raise TfodlError(f"--window {length}: is less than a frame of {spec.window} samples; give more.")
    flat = shape is not None and len(shape) == 2

    def cut(file: Path) -> np.ndarray:
        rate, sound = read_wav(file)
        if rate != spec.sample_rate:
            raise TfodlError(
                f"{str(file)!r}: {rate:,} Hz, other files {spec.sample_rate:,} Hz; resample it: ffmpeg -i IN "
                f"-ar {spec.sample_rate} OUT.wav."
            )
        sound = np.pad(sound, (0, max(0, length - len(sound))))
        x = np.stack([spec.features(clip) for clip in windows_of(sound, length, stride or length)])
        return x if flat else x[..., None]

    return cut

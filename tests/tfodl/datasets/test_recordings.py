"""Folders of recordings: what is read, how it is cut and split, and the one line for what is wrong."""

import shutil
import wave
from pathlib import Path

import numpy as np
import pytest
from page_chain import example

from tflm_export.errors import TfodlError
from tflm_export.features.log_mel import LogMel
from tfodl import datasets
from tfodl.datasets.csv_file import read_csv
from tfodl.datasets.wav_file import read_wav, write_wav

motion = example("examples/motion.py")
write_movements = motion.write_movements


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Ten recordings of 100 rows of each movement."""
    return write_movements(tmp_path_factory.mktemp("data") / "imu", 10, 100)


@pytest.fixture
def copy(folder, tmp_path):
    return Path(shutil.copytree(folder, tmp_path / "imu"))


def test_windows_are_rows_of_the_files(folder):
    data = datasets.load(folder, window=40, stride=30)
    assert data.x_train.shape == (3 * 8 * 3, 40, 3) and data.x_test.shape == (3 * 2 * 3, 40, 3)
    assert data.x_train.dtype == np.float32 and data.class_names == motion.MOVEMENTS
    whole = read_csv(folder / "rest" / "00.csv").values
    wanted = np.stack([whole[at : at + 40] for at in (0, 30, 60)])
    rests = np.concatenate([data.x_train[data.y_train == 1], data.x_test[data.y_test == 1]])
    assert all((rests == window).all(axis=(1, 2)).any() for window in wanted)


def test_half_a_window_is_the_stride_and_the_model_s_length_the_window(folder):
    assert len(datasets.load(folder, shape=(50, 3)).x_test) == 6 * len(range(0, 51, 25))


@pytest.mark.parametrize("seed", range(3))
def test_no_recording_is_on_two_sides(seed, tmp_path):
    """Every value of a recording is its number, so that a window says where it is from."""
    rng = np.random.default_rng(seed)
    for number in range(18):
        (path := tmp_path / "ab"[number % 2] / f"{number}.csv").parent.mkdir(exist_ok=True)
        np.savetxt(path, np.full((int(rng.integers(20, 60)), 2), number), delimiter=",")
    data = datasets.load(tmp_path, window=10, stride=5, seed=seed)
    (x, y), (judged, labels) = data.hold_out(12, seed)
    sides = [set(part[:, 0, 0].tolist()) for part in (x, judged, data.x_test)]
    assert all(sides) and len(set.union(*sides)) == sum(map(len, sides)) == 18
    for side in (y, labels, data.y_test):
        assert set(side.tolist()) == {0, 1}
    small = data.subset(train=12, seed=seed)
    assert len(small.recordings) == 12
    assert (small.x_train[:, 0, 0] % 2 == small.y_train).all()


def test_splits_may_be_folders(tmp_path):
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        write_movements(tmp_path / split, count, 30)
    data = datasets.load(tmp_path, window=30)
    assert [len(y) for _, (_, y) in data.splits()] == [9, 3, 6]


TEXTS = {
    "no header": ("1,2\n3,4\n", [[1, 2], [3, 4]]),
    "header": ("x,y\n1,2\n", [[1, 2]]),
    "clock": ("Timestamp;x;y\n0;1;2\n20;3;4\n\n", [[1, 2], [3, 4]]),
    "tabs, mark of Windows": ("\ufeffx\ty\r\n1e3\t-.5\r\n", [[1000, -0.5]]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_csv_may_look_like(name, tmp_path):
    text, values = TEXTS[name]
    (tmp_path / "r.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(read_csv(tmp_path / "r.csv").values, values)


BAD = {
    "a word in the first row": ("1,a,3\n4,5,6\n", r"line 1, column 2: 'a' is no finite number"),
    "a word": ("1,2,3\n4,x,6\n", r"01.csv', line 2, column 2: 'x' is no finite number"),
    "NaN": ("1,2,3\n4,5,6\n\n7,8,nan\n", r"line 4, column 3: 'nan' is no finite number"),
    "empty cell": ("1,2,3\n4,,6\n", r"line 2, column 2: '' is no finite number"),
    "too large": ("1,2,1e39\n", r"line 1, column 3: '1e39' is no finite number"),
    "short row": ("1,2,3\n4,5\n", r"line 2: 2 columns, the first row has 3"),
    "nothing": ("\n", "holds no rows"),
    "header alone": ("x,y,z\n", "a header and no rows"),
    "clock alone": ("time\n1\n", "no column but"),
    "other columns": ("1,2\n" * 50, r"01.csv': has the columns 2, '.*00.csv' \('x', 'y', 'z'\)"),
    "other order": ("y,x,z\n" + "1,2,3\n" * 50, r"has the columns \('y', 'x', 'z'\), "),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_recording_is_one_line_with_its_place(name, copy):
    text, words = BAD[name]
    (copy / "circle" / "01.csv").write_text(text)
    with pytest.raises(TfodlError, match=words) as refused:
        datasets.load(copy, window=40)
    assert "\n" not in str(refused.value)


def test_short_recordings_are_named_and_a_class_of_them_refused(copy, caplog):
    (copy / "rest" / "03.csv").write_text("1,2,3\n" * 39)
    datasets.load(copy, window=40)
    assert "shorter than a window (1): 'rest/03.csv'" in caplog.text
    with pytest.raises(TfodlError, match=r"none of its 10 recordings is as long as a window"):
        datasets.load(copy, window=101)


def test_what_is_beside_the_splits_is_named_once(tmp_path, caplog):
    for split in ("train", "test", "more"):
        write_movements(tmp_path / split, 1, 30)
    assert datasets.holds_signals(tmp_path)
    datasets.load(tmp_path, window=30)
    assert caplog.text.count("'more' beside its splits") == 1


def test_what_is_no_set_is_refused(copy, tmp_path):
    with pytest.raises(TfodlError, match="--window says how many rows"):
        datasets.load(copy)
    with pytest.raises(TfodlError, match="--stride must be a whole number"):
        datasets.load(copy, window=4, stride=0)
    with pytest.raises(TfodlError, match="data set 'digits': --window and --stride cut recordings"):
        datasets.load("digits", window=4)
    write_wav(copy / "rest" / "a.wav", np.zeros(9, np.int16), 16000)
    with pytest.raises(
        TfodlError, match=r"holds 30 \.csv files and 1 \.wav files; a data set is of one kind"
    ):
        datasets.load(copy, window=40)
    one = write_movements(tmp_path / "one", 1, 40)
    with pytest.raises(TfodlError, match="one recording a class leaves none to test by"):
        datasets.load(one, window=40)
    shutil.rmtree(one / "rest")
    shutil.rmtree(one / "shake")
    with pytest.raises(TfodlError, match=r"a sub-folder a class, at least two; got \['circle'\]"):
        datasets.load(one, window=40)


def sounds(path, rate=16000, seconds=1.0, count=5):
    """Tones of two pitches."""
    for label, hz in enumerate((400, 1500)):
        (path / "ab"[label]).mkdir(parents=True)
        for i in range(count):
            t = np.arange(int(rate * seconds)) / rate
            tone = 3000 * np.sin(2 * np.pi * (hz + 20 * i) * t)
            write_wav(path / "ab"[label] / f"{i}.wav", tone.astype(np.int16), rate)
    return path


def test_sounds_are_log_mel_features_of_whole_files(tmp_path):
    data = datasets.load(sounds(tmp_path / "s"))
    spec = LogMel.at(16000)
    assert data.sound == spec and data.x_train.shape == (8, 49, 40, 1) and data.x_test.shape[0] == 2
    one = spec.features(read_wav(tmp_path / "s" / "b" / "2.wav")[1])
    seen = np.concatenate([data.x_train, data.x_test])[..., 0]
    assert (seen == one).all(axis=(1, 2)).any()


def test_sounds_are_cut_as_the_model_wants(tmp_path):
    path = sounds(tmp_path / "s", rate=8000, seconds=2.0)
    data = datasets.load(path, shape=(24, 20))
    assert data.x_train.shape[1:] == (24, 20) and data.sound == LogMel.at(8000, 20)
    clip = data.sound.samples(24)
    assert len(data.x_test) == 2 * (16000 // clip)
    assert datasets.load(path, window=16000, stride=8000).x_train.shape[1:] == (99, 40, 1)


def test_a_short_sound_ends_in_silence(tmp_path):
    path = sounds(tmp_path / "s", seconds=0.5, count=3)
    x = datasets.load(path).x_train
    floor = np.float32(np.log(LogMel().floor))
    assert (x[:, -1] == floor).all() and (x[:, 5].max(axis=1) > -8).all()


@pytest.mark.parametrize("bits, dtype", [(8, np.uint8), (16, "<i2"), (32, "<i4")])
def test_every_width_of_pcm_and_the_mean_of_channels(bits, dtype, tmp_path):
    wanted = np.array([0, 256, -512, 32512, -32768])
    scaled = wanted // 256 + 128 if bits == 8 else wanted * 2 ** (bits - 16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(bits // 8)
        file.setframerate(16000)
        file.writeframes(np.repeat(scaled, 2).astype(dtype).tobytes())
    rate, sound = read_wav(tmp_path / "a.wav")
    assert rate == 16000
    np.testing.assert_array_equal(sound, wanted)


def test_a_bad_sound_is_one_line(tmp_path):
    path = sounds(tmp_path / "s", count=3)
    write_wav(path / "a" / "1.wav", np.zeros(100, np.int16), 8000)
    with pytest.raises(TfodlError, match=r"a/1.wav': 8,000 Hz, other files 16,000 Hz; resample it"):
        datasets.load(path)
    write_wav(path / "a" / "1.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(TfodlError, match=r"a/1.wav': holds no samples"):
        datasets.load(path)
    (path / "a" / "1.wav").write_bytes(b"no sound")
    with pytest.raises(TfodlError, match=r"a/1.wav': cannot be read as .wav .*pcm_s16le"):
        datasets.load(path)
    with pytest.raises(TfodlError, match=r"0.wav': .*44,100 Hz is no rate for the board"):
        datasets.load(sounds(tmp_path / "cd", rate=44100, count=2))
    with pytest.raises(TfodlError, match="--window 100: is less than a frame of 480 samples"):
        datasets.load(sounds(tmp_path / "t", count=2), window=100)

"""The sketches that are products run, on this computer and on an emulated Cortex-M4, on recorded digits and
on drawn movements, words and vibrations: they say the same, and are right as often as they should be."""

from pathlib import Path

import numpy as np
import pytest
from page_chain import example as example_of
from product_board import BUTTON_DOWN, BUTTON_UP, run_host, run_m4

from tflm_export.board.examples import Example
from tflm_export.companion import read_companion
from tflm_export.compiler import compile_model, with_spare_classes
from tflm_export.input_contract import InputContract
from tflm_export.machines.living_host import LivingEngine
from tflm_export.plan import LayerUpdate, Memory, Optimizer, UpdatePlan
from tfodl.datasets.digits import load_digits

NETS = Path(__file__).parents[1] / "nets"
MACHINES = {"host": run_host, "m4": run_m4}
IMU_HZ, G = 119.0, 9.80665


def engine(name, plan, spare=0, **how):
    """Of a net in tests/nets, with its contract."""
    path = NETS / f"{name}.tflite"
    tflite, contract = path.read_bytes(), how.pop("contract", None) or read_companion(path)
    if spare:
        tflite, plan = with_spare_classes(tflite, plan, spare)
    return compile_model(tflite, plan, name=name, contract=contract, **how)


def on_both(compiled, example, folder, sensor, keys, names):
    """What both machines say."""
    said = {}
    for name, run in MACHINES.items():
        (folder / name).mkdir()
        said[name] = run(compiled, example, folder / name, sensor, keys, names)
    assert said["host"] == said["m4"]
    return said["host"]


def sensed(g):
    """Accelerations [N, 3] in g as the sensor's int16."""
    return np.clip(np.rint(g * 32768 / 4), -32768, 32767).astype(np.int16).tobytes()


def at_sensor_rate(x, hz):
    """Rows of `hz` a second as the sensor would have had them."""
    t = np.arange(0, len(x) / hz - 1 / hz, 1 / IMU_HZ)
    return np.stack([np.interp(t, np.arange(len(x)) / hz, column) for column in x.T], axis=1)


def test_a_camera_learns_what_it_is_told(tmp_path):
    """Recorded digits, blurred by the way through the camera; the engine asks for rows. What the sketch says
    is what the engine says that is fed from here."""
    before, taught, after = 60, 180, 60
    plan = UpdatePlan(optimizer=Optimizer(0.01), memory=Memory(samples=60, replays=2))
    compiled = engine("digits", plan, contract=InputContract.parse("0..255", (14, 14, 1)), row_fed=True)
    data = load_digits()
    pictures = np.rint(data.x_test[: before + taught + after]).astype(np.uint8)
    labels = data.y_test[: len(pictures)]
    keys = [(200 * (i + 1), str(labels[i])) for i in range(before, before + taught)]
    end = 200 * len(pictures)
    presses = zip((-60, 200, 240, 280), (BUTTON_DOWN, BUTTON_UP) * 2, strict=True)
    keys += [(end + ms, button) for ms, button in presses]
    names = tuple(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])
    said = [
        text for _, text in on_both(compiled, Example("camera"), tmp_path, pictures.tobytes(), keys, names)
    ]

    host, expected, right = LivingEngine(compiled), [], []
    for i, q in enumerate(compiled.quantize(seen(pictures))):
        found = host.predict(q[None])
        expected.append(names[found])
        right.append(found == labels[i])
        if before <= i < before + taught:
            host.train_step(q[None], int(labels[i]))
            host.remember(int(labels[i]))
            expected.append(f"learned {names[labels[i]]}")
    expected.append(f"learned {names[(found + 2) % 10]}")
    assert said == expected
    assert np.mean(right[-after:]) > max(0.8, np.mean(right[:before]) + 0.1)


def seen(pictures):
    """uint8 [N, 14, 14, 1] of digits [N, 28, 28, 1] as the sketch makes them of the frame."""
    frame = np.zeros((len(pictures), 120, 120), np.uint8)
    frame[:, 4:116, 4:116] = pictures[..., 0].repeat(4, 1).repeat(4, 2)
    edges = np.arange(15) * 120 // 14
    cells = np.add.reduceat(np.add.reduceat(frame.astype(np.int64), edges[:-1], 1), edges[:-1], 2)
    area = np.diff(edges)[:, None] * np.diff(edges)
    return (cells // area)[..., None].astype(np.uint8)


def test_a_new_gesture_is_learned_from_five_tries(tmp_path):
    """Drawn movements. The three it knows are shown six times each, so that it remembers them."""
    motion, rng = example_of("examples/motion.py"), np.random.default_rng(3)
    plan = UpdatePlan(memory=Memory(samples=40, replays=2), optimizer=Optimizer(0.005), store_bytes=8 * 4096)
    compiled = engine("gestures", plan, spare=1)
    blocks, keys, start = [], [], 0.0

    def show(label, seconds):
        nonlocal start
        rows = round(seconds * motion.RATE)
        blocks.append(nod(rows, rng, motion.RATE) if label == 3 else motion.movement(label, rows, rng))
        start += seconds
        return start - seconds

    for label in range(3):
        at = show(label, 6)
        keys += [(round(1000 * at) + 2000 + 600 * i, str(label)) for i in range(6)]
    keys.append((round(1000 * show(3, 14)) + 1500, "n"))
    judged = [(show(label, 6), label) for label in [0, 3, 1, 3, 2, 3, 0, 1, 2]]
    keys.append((round(1000 * start) - 900, "s"))
    names = (*motion.MOVEMENTS, "new 1")
    sensor = sensed(at_sensor_rate(np.concatenate(blocks) / G, motion.RATE))
    recorded = Example("motion", hz=motion.RATE, unit="m/s2")
    said = on_both(compiled, recorded, tmp_path, sensor, keys, names[:3])
    assert [text for _, text in said if text.startswith("learned")][-1] == "learned new 1"
    assert "saved" in [text for _, text in said]
    shares = [share_of(said, 1000 * at + 2000, 1000 * at + 6000, names[label]) for at, label in judged]
    by_class = [
        np.mean([s for s, (_, label) in zip(shares, judged, strict=True) if label == c]) for c in range(4)
    ]
    assert min(by_class) > 0.8


def nod(rows, rng, rate):
    """A movement that the net never saw: up and down."""
    t = np.arange(rows) / rate + rng.uniform(0, 10)
    x = rng.normal(0, 0.3, (rows, 3)) + [0.0, 0.0, G]
    x[:, 2] += 3 * np.sin(2 * np.pi * 1.5 * t)
    return x.astype(np.float32)


def share_of(said, begin, end, name):
    """Of the time from `begin` to `end`, ms, during which `name` was what the sketch had said last."""
    times = np.arange(begin, end, 20)
    said = [(at, text) for at, text in said if not text.startswith(("learned", "saved"))]
    last = np.searchsorted([at for at, _ in said], times, "right") - 1
    return np.mean([said[i][1] == name for i in last])


def test_words_are_learned_as_someone_says_them(tmp_path):
    """Drawn words of another voice, at half the pitch."""
    sound, rng = example_of("examples/sound.py"), np.random.default_rng(5)
    plan = UpdatePlan(optimizer=Optimizer(0.02), memory=Memory(samples=40, replays=3))
    compiled = engine("words", plan)
    before, taught, after = 20, 40, 20
    count, pause = before + taught + after, 1600
    labels = rng.integers(0, 3, count)
    stream, keys, length = [], [], (sound.SAMPLES + pause) / 8000 * 1000
    for i, label in enumerate(labels):
        stream += [word_of_another(sound, label, rng), rng.normal(0, 20, pause).astype(np.int16)]
        if before <= i < before + taught:
            keys.append((round(length * (i + 1)) - 20, str(label)))
    said = on_both(compiled, Example("sound"), tmp_path, np.concatenate(stream).tobytes(), keys, sound.WORDS)
    heard = [(at, text) for at, text in said if not text.startswith("learned")]
    right = np.zeros(count, bool)
    for at, text in heard:
        i = int(at / length)
        right[i] = i < count and text == sound.WORDS[labels[i]]
    assert abs(len(heard) - count) <= 2
    assert right[-after:].mean() > max(0.7, right[:before].mean() + 0.3)


def word_of_another(sound, label, rng):
    """The same words, longer and lower."""
    t = np.arange(3200) / sound.SPEC.sample_rate
    middle, bend = rng.uniform(500, 900), sound.SLOPES[label] * rng.uniform(700, 1100)
    tone = np.sin(2 * np.pi * (middle * t + bend * t * (t - t[-1]) / 2)) * np.hanning(len(t))
    out = rng.normal(0, 20, sound.SAMPLES)
    start = rng.integers(0, sound.SAMPLES - len(t))
    out[start : start + len(t)] += rng.uniform(2000, 9000) * tone
    return np.clip(out, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("machine, minutes", [("host", 60), ("m4", 6)])
def test_what_shakes_otherwise_is_warned_of(tmp_path, machine, minutes, monkeypatch):
    """A drawn machine; the board sits askew on it, which the net never saw. For an hour, and on the emulated
    core for six minutes, it learns; then a bolt gets loose."""
    vibration, rng = example_of("examples/vibration.py"), np.random.default_rng(2)
    learned = tuple(LayerUpdate(op, "out", (), "all") for op in ("#2", "#3"))
    plan = UpdatePlan(learned, head=False, loss="reconstruction", optimizer=Optimizer(0.3))
    compiled = engine("vibration", plan)
    minute = vibration.RATE * 60
    parts = [(minutes + 3, 0.0), (1, 0.1), (2, 0.0)]
    x = [vibration.shaking(round(count * minute), rng, rattle=rattle) for count, rattle in parts]
    askew = np.concatenate(x) + [0.05, -0.03, -0.02]
    text = Example.text
    short = f"#define LEARN_MINUTES {minutes}\n"
    monkeypatch.setattr(Example, "text", lambda self: short + text(self))
    said = MACHINES[machine](
        compiled, Example("anomaly", hz=vibration.RATE, unit="g"), tmp_path,
        sensed(at_sensor_rate(askew, vibration.RATE)), [],
    )  # fmt: skip
    loose, mended = (minutes + 3) * 60_000, (minutes + 4) * 60_000
    warned = np.array([at for at, text in said if text == "WARN"])
    moment = 1000 * vibration.WINDOW / vibration.RATE
    while_loose = ((warned >= loose) & (warned < mended)).sum() / (60_000 / moment)
    assert [text for _, text in said[:2]] == ["learning", "watching"]
    assert while_loose > 0.9
    assert ((warned < loose) | (warned > mended + 2 * moment)).sum() == 0

"""The demo from end to end, at a scale that shows every stage works and nothing more."""

import json
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
from digits_net import digits_net, target_digits
from keras import layers as L
from page_reader import PageReader

from tflm_export import UpdatePlan, compile_model
from tflm_export.board.learned import read_weights
from tflm_export.board.simulated import SimulatedBoard
from tflm_export.boards import board
from tflm_export.engine_folder import load
from tflm_export.errors import TfodlError
from tflm_export.front.read_tflite import constants
from tflm_export.front.write_tflite import patch_constants
from tflm_export.living.choosing import simulator_of
from tflm_export.page.document import page
from tflm_export.simulate.step import Simulator
from tfodl.demo import DemoConfig, adapt, choosing, device, run
from tfodl.demo.domains import Domains, make_domains
from tfodl.demo.report import chosen_section, chosen_text, table
from tfodl.models.scaling import device_contract
from tfodl.stream import order


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    config = DemoConfig(
        out=str(out), source_epochs=3, device_samples=100, device_epochs=1, qat_epochs=1,
        m4_steps=2, verify_inputs=8, stream_passes=1, choose=False,
    )  # fmt: skip
    return out, run(config)


def test_report_holds_what_others_build_on(demo):
    out, facts = demo
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(facts))
    assert set(facts["accuracy"]) == {
        "source", "target_before", "float_after", "device_before", "device_after", "device_source"
    }  # fmt: skip
    assert all(0 <= value <= 1 for value in facts["accuracy"].values())
    assert facts["total_ram_bytes"] == facts["static_ram_bytes"] + facts["stack_bytes"]
    assert facts["arena_bytes"] < facts["static_ram_bytes"] and facts["fits"]["nano33ble"] is True
    assert set(facts["float_methods"]) == {"head only", "random", "velocity", "full update"}


def test_pictures_and_text(demo):
    out, facts = demo
    for picture in ("accuracy.png", "memory.png", "selection.png", "stream.png"):
        assert (out / picture).read_bytes().startswith(b"\x89PNG")
        assert picture in (out / "report.md").read_text()
    assert f"{facts['total_ram_bytes']:,}" in (out / "report.md").read_text()
    shown = PageReader((out / "report.html").read_text(encoding="utf-8"))
    assert shown.pictures == 8 and "Cycles of a training step by layer" in shown.texts
    assert "Selection over epochs" in shown.texts


def test_every_method_is_in_the_tables(demo):
    out, facts = demo
    text = (out / "report.md").read_text()
    found = {**facts["float_methods"], "velocity, int8 in Keras": facts["int8_accuracy"][-1]}
    found["device's plan, device"] = facts["accuracy"]["device_after"]
    for name, value in found.items():
        assert f"{value:.1%}" in next(row for row in table(facts).splitlines() if name in row)
        assert f"{value:.1%}" in next(row for row in text.splitlines() if row.startswith(f"| {name}"))


def test_a_board_with_the_demo_s_sketch_learns_and_gives_its_model_back(demo):
    """A model of quantisation-aware training, with long names of tensors, from steps to a .tflite."""
    out, _ = demo
    compiled = load(out / "engine")
    simulator, x = Simulator(compiled.graph, compiled.plan), np.random.default_rng(0)
    with SimulatedBoard(compiled) as board, board.client() as client:
        for label in (3, 7):
            picture = x.integers(0, 256, compiled.input.shape[1:]).astype(np.uint8)
            client.train(picture, label)
            simulator.train_step(compiled.quantize(picture[None]), label)
        weights = read_weights(client, compiled)
    assert len(weights) > 10 and max(map(len, weights)) > 60
    known = constants(patch_constants(compiled.tflite, weights))
    for name, array in weights.items():
        np.testing.assert_array_equal(array, simulator.weights[name], err_msg=name)
        np.testing.assert_array_equal(known[name][0].data.reshape(array.shape), array)


def test_every_stream_is_in_the_report(demo):
    out, facts = demo
    text = (out / "report.md").read_text()
    assert list(facts["streams"]) == [
        "without memory", "replay", "replay and exemplars", "replay, exemplars and rest", "joint training"
    ]  # fmt: skip
    for name, found in facts["streams"].items():
        row = next(row for row in text.splitlines() if row.startswith(f"| {name} |"))
        assert f"{found['accuracy']['target']:.1%} | {found['accuracy']['source']:.1%}" in row
    assert sum(facts["streams"]["replay"]["memory"]) == 100  # all that the stream had


def test_the_report_draws_what_the_device_chose(monkeypatch, capsys):
    """On a small net: the selections are the engine's own, and numpy chooses the same."""
    compiled = compile_model(digits_net(), UpdatePlan(seed=3))
    x, y = target_digits(compiled.graph, 40)
    part = (x[:, 0], y, x[:20, 0], y[:20])
    config = DemoConfig(device_samples=40, choose_epochs=5)
    chosen = choosing.choose(compiled, Domains(part, part, 10), config)
    assert [s.epoch for s in chosen.history] == [
        0,
        1,
        2,
        3,
    ]  # the first samples are measured on, not replayed
    assert len({str(s.channels) for s in chosen.history}) > 2
    simulator = simulator_of(compile_model(digits_net(), chosen.plan).graph, chosen.plan)
    for i in order(y, "shuffled", 0):
        simulator.train_step(x[i], int(y[i]))
        simulator.remember(int(y[i]))
    assert tuple(simulator.history) == chosen.history
    text = chosen_text(json.loads(json.dumps(chosen.to_dict())))
    assert "(chosen.png)" in text and f"{chosen.result.accuracy('target'):.1%} on target" in text
    shown = PageReader(page("x", [], [chosen_section(chosen)]))
    assert shown.pictures == 1 and "What the device chose" in shown.texts
    assert chosen_text(None) == ""
    monkeypatch.setattr(choosing, "board", lambda name: replace(board(name), ram_bytes=4000))
    assert choosing.choose(compiled, Domains(part, part, 10), config) is None
    assert "nothing to choose: Arduino Nano 33 BLE: no layer" in capsys.readouterr().out


def test_sketch_is_an_arduino_library(demo):
    out, _ = demo
    names = zipfile.ZipFile(out / "sketch.zip").namelist()
    assert any(name.endswith("library.properties") for name in names)
    assert any(name.endswith(".ino") for name in names)


def test_a_model_that_scales_its_pixels_is_trained_and_compiled_on_pixels(tmp_path):
    image = keras.Input((28, 28, 1))
    x = L.Conv2D(8, 5, strides=3, activation="relu")(L.Rescaling(1 / 255)(image))
    keras.Model(image, L.Dense(10, name="head")(L.Flatten()(x))).save(tmp_path / "mine.keras")
    config = DemoConfig(model=str(tmp_path / "mine.keras"), source_epochs=3, qat_epochs=1)
    pictures = make_domains(config)
    model, contract = adapt.pretrain(pictures, config)
    aware, tflite = device.quantise(model, pictures.each(contract.apply), config)
    engine = compile_model(tflite, UpdatePlan(), contract=device_contract(contract, aware.folded.rescaling))

    answers, x = Simulator(engine.graph, engine.plan), pictures.source[2][:100]
    found = [answers.logits(one[None]).argmax() for one in engine.quantize(x)]
    expected = model.predict(x.astype(np.float32), verbose=0).argmax(-1)
    assert (expected == pictures.source[3][:100]).mean() > 0.8 and (found == expected).mean() >= 0.95


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TfodlError, match="cannot write"):
        run(DemoConfig(out=str(tmp_path / "file" / "out")))

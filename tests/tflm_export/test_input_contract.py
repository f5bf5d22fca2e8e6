"""A picture means the same in the folder, the simulator, the sketch and over the serial line."""

import json
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nets import residual_net

from tflm_export.board.client import BoardClient
from tflm_export.board.sketch import metadata, sketch_files
from tflm_export.boards import board
from tflm_export.companion import companion_path, read_companion, write_companion
from tflm_export.compiler import compile_model
from tflm_export.engine_folder import load
from tflm_export.errors import ExportError, TfodlError
from tflm_export.input_contract import InputContract, usual
from tflm_export.ir import QParams
from tflm_export.machines.host import compile_cpp
from tflm_export.plan import UpdatePlan
from tflm_export.report.verify import samples

RULES = ("-1..1", "0..1", "0..255", "torch", "caffe", "-2..3", "120,60", "1,2,3,4,5,6")
BGR = InputContract((8, 8, 3), (101.3, 127.1, 203.7), (-1.0, -0.5, 0.0), "bgr", source="test")


@given(st.sampled_from(RULES), st.floats(1e-3, 2), st.integers(-128, 127))
def test_json_and_table_say_the_same(rule, scale, zero):
    contract, quant = InputContract.parse(rule, (2, 128, 3)), QParams((scale,), (zero,))
    assert InputContract.from_json(contract.to_json()) == contract
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 2, 128, 1).repeat(3, -1)
    table = np.broadcast_to(contract.table(quant), (256, 3))
    np.testing.assert_array_equal(contract.quantize(pixels, quant).reshape(256, 3), table)


@pytest.mark.parametrize(
    "rule, values",  # of the pixel (0, 128, 255)
    [
        ("-1..1", [-1, 128 / 127.5 - 1, 1]),
        ("0..1", [0, 128 / 255, 1]),
        ("0..255", [0, 128, 255]),
        ("torch", [-0.485 / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
        ("caffe", [255 - 103.939, 128 - 116.779, -123.68]),
        ("128,64", [-2, 0, 127 / 64]),
    ],
)
def test_usual_scalings(rule, values):
    pixel = np.array([[[0, 128, 255]]], np.uint8)
    np.testing.assert_allclose(InputContract.parse(rule, (1, 1, 3)).apply(pixel)[0, 0], values, atol=1e-5)


@given(
    st.sampled_from(RULES),
    st.floats(0.01, 300),
    st.lists(st.floats(-9, 9), min_size=3, max_size=3),
    st.booleans(),
)
def test_then_is_the_rest_of_the_model(rule, divisor, offset, flip):
    contract = InputContract.parse(rule, (4, 4, 3))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.uint8)
    x = contract.apply(pictures).astype(np.float64)
    expected = (x[..., ::-1] if flip else x) / divisor + offset
    found = contract.then([divisor], offset, flip).apply(pictures)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"shape": (8, 8)}, "shape must be"),
        ({"shape": (8, 8, 2)}, "shape must be"),
        ({"shape": (8, 8, 3), "divisor": (0.0,)}, "divisor must not be 0"),
        ({"shape": (8, 8, 3), "divisor": (1.0, 2.0)}, "1 or 3 finite numbers"),
        ({"shape": (8, 8, 3), "offset": (float("nan"),)}, "finite"),
        ({"shape": (8, 8, 1), "order": "rgb"}, "order of 1 channel"),
        ({"shape": (8, 8, 3), "order": "grey"}, "order of 3 channel"),
        ({"shape": (8, 8, 3), "dtype": "float32"}, "dtype"),
        ({"shape": (8, 8, 3), "resize": "crop"}, "resize"),
        ({"shape": (8, 8, 3), "speed": 1}, "unknown field"),
        ({}, "missing"),
    ],
)
def test_what_is_no_contract(fields, words):
    with pytest.raises(TfodlError, match=words):
        InputContract.from_dict(fields)


@pytest.mark.parametrize("text", ["", "1..1", "a..b", "1", "1,0", "1,2,3", "imagenet", "nan..1", "0..inf"])
def test_what_is_no_scaling(text):
    with pytest.raises(TfodlError, match="--input|finite|divisor"):
        InputContract.parse(text, (8, 8, 3))


def test_colour_rules_are_not_for_grey():
    assert list(usual((8, 8, 1))) == ["-1..1", "0..1", "0..255"]
    with pytest.raises(TfodlError, match="1 channel"):
        InputContract.parse("caffe", (8, 8, 1))


@pytest.mark.parametrize("rule", ["0..255", "caffe", "0..0.01"])
def test_a_contract_that_cannot_be_this_model_s(rule):
    with pytest.raises(TfodlError, match=r"its input holds -0.9961..1.004"):
        compile_model(residual_net(), UpdatePlan(), contract=InputContract.parse(rule, (8, 8, 3)))
    with pytest.raises(TfodlError, match=r"the model takes \[8, 8, 3\]"):
        compile_model(residual_net(), UpdatePlan(), contract=InputContract((9, 8, 3)))


def test_companion(tmp_path):
    model = tmp_path / "m.tflite"
    model.write_bytes(b"one")
    assert read_companion(model) is None
    write_companion(model, BGR)
    assert read_companion(model) == BGR
    model.write_bytes(b"two")
    with pytest.raises(TfodlError, match="another 'm.tflite'"):
        read_companion(model)
    companion_path(model).write_text("{}")
    with pytest.raises(TfodlError, match="no companion"):
        read_companion(model)


@pytest.fixture(scope="module")
def engine():
    return compile_model(residual_net(), UpdatePlan(), contract=BGR)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def wanted(pictures):
    """The int8 input, from the definition."""
    x = pictures[..., ::-1].astype(np.float64) / BGR.divisor + BGR.offset
    return np.clip(np.rint(x * 127.5) - 1, -128, 127)


def test_engine_keeps_it(engine, pictures, wanted, tmp_path):
    again = load(engine.save(tmp_path / "engine"))
    assert again.contract == BGR
    np.testing.assert_array_equal(again.quantize(pictures), wanted)
    xs, _ = samples(again, pictures, None, 0)
    np.testing.assert_array_equal(xs[:, 0], wanted)
    assert metadata(again.facts, board("nano33ble"))["input"] == json.loads(BGR.to_json())


def test_an_engine_without_one_says_so():
    bare = compile_model(residual_net(), UpdatePlan())
    assert bare.facts["input"] is None
    with pytest.raises(ExportError, match="compile it with --input"):
        bare.quantize(np.zeros((1, 8, 8, 3), np.uint8))


def test_the_sketch_s_pixels(engine, pictures, wanted, tmp_path):
    for path, data in sketch_files(engine, board("nano33ble"), engine.facts).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    main, program = tmp_path / "main.cpp", tmp_path / "main"
    main.write_text("""#include <TFODL.h>
#include <stdio.h>
static int8_t kInput[192];
namespace engine { int8_t* input() { return kInput; } }
int main() {
  for (uint32_t i = 0; i < 64; ++i) {
    const int r = getchar(), g = getchar(), b = getchar();
    tfodl::put_pixel(i, static_cast<uint8_t>(r), static_cast<uint8_t>(g), static_cast<uint8_t>(b));
  }
  fwrite(kInput, 1, sizeof kInput, stdout);
}
""")
    flags = ("-std=c++14", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined")
    compile_cpp([str(main), f"-I{tmp_path / 'src'}", "-o", str(program)], flags)
    done = subprocess.run([program], input=pictures[0].tobytes(), capture_output=True, check=True)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8).reshape(8, 8, 3), wanted[0])


class Recorder(BoardClient):
    """A client that keeps what it would send."""

    _quant = QParams((np.float32(1 / 127.5),), (-1,))

    def ask(self, command, payload=b"", size=8):
        self.sent = payload
        return bytes(size or 8)


def test_the_client_sends_it(pictures, wanted):
    client = Recorder(None, contract=BGR)
    client.predict(pictures[0])
    np.testing.assert_array_equal(np.frombuffer(client.sent, np.int8), wanted[0].reshape(-1))
    client.train(pictures[1], 2)
    np.testing.assert_array_equal(np.frombuffer(client.sent[4:], np.int8), wanted[1].reshape(-1))
    with pytest.raises(ExportError, match="uint8 pictures where the client has"):
        Recorder(None).predict(pictures[0])

"""What a sensor's values are to a model: in numpy, in the sketch, in files, over the cable."""

import dataclasses
import json
import subprocess

import numpy as np
import pytest
from nets import residual_net

from tflm_export import TfodlError, UpdatePlan, compile_model, engine_folder
from tflm_export.board.client import BoardClient
from tflm_export.board.sketch_header import library_header
from tflm_export.companion import read_companion, write_companion
from tflm_export.contracts import contract_from_dict
from tflm_export.input_contract import InputContract
from tflm_export.ir import QParams
from tflm_export.library import library_root
from tflm_export.machines.host import compile_cpp
from tflm_export.plan import Memory
from tflm_export.report.verify import verify
from tflm_export.ship import ship
from tflm_export.signal_contract import SignalContract

SHAPE = (8, 8, 3)
CONTRACT = SignalContract(SHAPE, (2.0, 0.5, 3000.0), (0.1, -1.0, 2.0))
QUANT = QParams((0.0173,), (-11,))


@pytest.fixture(scope="module")
def compiled():
    return compile_model(residual_net(), UpdatePlan(), contract=CONTRACT)


def values(count, seed=0):
    """Sensor values of which most lie within the input's range, a few are beyond, and some are ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1.5, (count, *SHAPE))
    real = (x - np.array(CONTRACT.offset)) * np.array(CONTRACT.divisor)
    real[:, 0, 0, 0] = [np.nan, np.inf, -np.inf, 3e38][: len(real)] + [0] * max(0, len(real) - 4)
    return real.astype(np.float32)


def test_quantize_is_what_the_text_says():
    x = values(8)[4:]
    real = x.astype(np.float64) / CONTRACT.divisor + CONTRACT.offset
    wanted = np.clip(np.round(real / QUANT.scale[0]) + QUANT.zero_point[0], -128, 127)
    off = CONTRACT.quantize(x, QUANT) - wanted
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 1e-3  # float32 in place of float64
    np.testing.assert_allclose(CONTRACT.apply(x), real, rtol=1e-5, atol=1e-5)


def test_what_is_no_number_saturates():
    q = CONTRACT.quantize(values(4), QUANT)[:, 0, 0, 0]
    assert q.tolist() == [-128, 127, -128, 127]


@pytest.mark.parametrize("flags", [(), ("-O2", "-mfma", "-ffp-contract=fast")], ids=["plain", "fused"])
def test_the_sketch_puts_the_same_bits(flags, compiled, tmp_path):
    header = library_header(compiled)
    code = header[header.index("// Puts a sensor's value") : header.index("// What the network was worth")]
    main, program = tmp_path / "main.cpp", tmp_path / "main"
    main.write_text(f"""#include <stdio.h>
#include "tfodl/features/value.h"
static int8_t kInput[192];
namespace engine {{ int8_t* input() {{ return kInput; }} }}
namespace tfodl {{ namespace net = ::engine; {code} }}
int main() {{
  float v;
  for (uint32_t i = 0; fread(&v, 4, 1, stdin); ++i) {{
    tfodl::put_value(i % 192, v);
    if (i % 192 == 191) fwrite(kInput, 1, 192, stdout);
  }}
}}
""")
    compile_cpp(
        [str(main), f"-I{library_root() / 'src'}", "-o", str(program)], ("-std=c++14", "-Wall", *flags)
    )
    x = values(50)
    done = subprocess.run([program], input=x.tobytes(), capture_output=True, check=True)
    np.testing.assert_array_equal(np.frombuffer(done.stdout, np.int8).reshape(x.shape), compiled.quantize(x))


def test_it_goes_where_the_model_and_the_engine_go(compiled, tmp_path):
    (tmp_path / "m.tflite").write_bytes(residual_net())
    write_companion(tmp_path / "m.tflite", CONTRACT)
    assert read_companion(tmp_path / "m.tflite") == CONTRACT
    compiled.save(tmp_path / "engine")
    assert engine_folder.load(tmp_path / "engine").contract == CONTRACT
    assert json.loads((tmp_path / "engine/engine.json").read_text())["input"]["dtype"] == "float32"
    assert isinstance(contract_from_dict({"shape": [8, 8, 1], "order": "grey"}), InputContract)


def test_verify_takes_values(compiled):
    assert verify(compiled, values(4), [0, 1, 2, 3], count=4, steps=2, tflm=False).inputs == 4


def test_exemplars_may_be_values():
    plan = UpdatePlan(memory=Memory(samples=2, exemplar_replays=1))
    x, labels = values(8)[4:], np.array([0, 1, 2, 3])
    shipped = ship(residual_net(), plan, x, labels, contract=CONTRACT)
    compiled = compile_model(residual_net(), plan, contract=CONTRACT, exemplars=shipped)
    again = ship(residual_net(), plan, compiled.quantize(x), labels)
    np.testing.assert_array_equal(shipped.latents, again.latents)
    with pytest.raises(TfodlError, match="inputs must be float32 or int8"):
        ship(residual_net(), plan, np.zeros((4, *SHAPE), np.uint8), labels, contract=CONTRACT)


def test_the_client_sends_values(compiled):
    quant = QParams((float(np.float32(QUANT.scale[0])),), QUANT.zero_point)

    class Recorder(BoardClient):
        _quant = quant

        def ask(self, command, payload=b"", size=None):
            self.sent = payload
            return bytes(8)

    client, x = Recorder(None, contract=CONTRACT), values(1)[0]
    client.predict(x)
    np.testing.assert_array_equal(np.frombuffer(client.sent, np.int8), CONTRACT.quantize(x, quant).ravel())


def test_then_is_one_after_the_other():
    after = CONTRACT.then((2.0,), (1.0, 2.0, 3.0))
    x = values(8)[4:]
    np.testing.assert_allclose(
        after.apply(x), CONTRACT.apply(x) / 2 + np.float32([1, 2, 3]), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(TfodlError, match="reversing its channels"):
        CONTRACT.then((1.0,), (0.0,), flip=True)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"shape": (8, 0)}, "shape must be whole numbers >= 1"),
        ({"shape": ()}, "shape must be"),
        ({"divisor": (1.0, 2.0)}, "divisor must be 1 or 3 finite numbers"),
        ({"divisor": (0.0,)}, "divisor must not be 0"),
        ({"offset": (float("nan"),)}, "offset must be 1 or 3 finite numbers"),
        ({"dtype": "float64"}, "dtype must be 'float32'"),
        ({"source": 3}, "source must be text"),
    ],
)
def test_anything_else_is_refused(changes, words):
    with pytest.raises(TfodlError, match=words):
        dataclasses.replace(CONTRACT, **changes)


def test_another_shape_is_refused(compiled):
    with pytest.raises(TfodlError, match=r"numbers \[N, 8, 8, 3\], got float64 \[2, 4\]"):
        compiled.quantize(np.zeros((2, 4)))
    with pytest.raises(TfodlError, match=r"made for values \[64, 3\], the model takes \[8, 8, 3\]"):
        compile_model(residual_net(), UpdatePlan(), contract=SignalContract((64, 3)))
    with pytest.raises(TfodlError, match=r"unknown field\(s\) \['scale'\]"):
        SignalContract.from_dict({"shape": [3], "scale": 1})

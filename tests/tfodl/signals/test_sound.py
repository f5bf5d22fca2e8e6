"""docs/sound.md to the letter: from .wav files to an engine that hears, with features that the board
computes."""

import subprocess

import numpy as np
import pytest
from page_chain import example, run_chain

from tflm_export import engine_folder
from tflm_export.board.sketch_header import library_header
from tflm_export.contracts import contract_from_dict
from tflm_export.features.log_mel import LogMel
from tflm_export.library import library_root
from tflm_export.machines.host import HostEngine, compile_cpp
from tfodl.cli import main as tfodl
from tfodl.datasets import load
from tfodl.jobs.loaded import load_model

sound = example("examples/sound.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the page's chain ran."""
    root = tmp_path_factory.mktemp("sound")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        done = run_chain("sound.md")
    assert done == ["finetune", "quantize", "compile", "verify", "sketch"]
    return root / "build" / "sound"


@pytest.fixture(scope="module")
def compiled(folder):
    return engine_folder.load(folder / "engine")


@pytest.fixture(scope="module")
def heard(compiled, tmp_path_factory):
    """`put_frame` of the sketch: sounds int16 [N, samples] -> the engine's input int8 [N, 24, 20, 1]."""
    folder = tmp_path_factory.mktemp("frames")
    header = library_header(compiled)
    code = header[header.index("// Puts a sensor's value") : header.index("// What the network was worth")]
    (folder / "main.cpp").write_text(f"""#include <stdio.h>
#include "tfodl/features/log_mel.h"
#include "tfodl/features/value.h"
static int8_t kInput[480];
namespace engine {{ int8_t* input() {{ return kInput; }} }}
namespace tfodl {{ namespace net = ::engine; {code} }}
int main() {{
  static int16_t sound[{sound.SAMPLES}];
  while (fread(sound, 2, {sound.SAMPLES}, stdin) == {sound.SAMPLES}) {{
    for (uint32_t frame = 0; frame < 24; ++frame) tfodl::put_frame(frame, sound + {sound.SPEC.hop} * frame);
    fwrite(kInput, 1, 480, stdout);
  }}
}}
""")
    source = library_root() / "src"
    files = [str(folder / "main.cpp"), str(source / "tfodl/features/log_mel.cpp"), f"-I{source}"]
    flags = ("-std=c++14", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined")
    compile_cpp([*files, "-o", str(folder / "main")], flags)

    def hear(sounds):
        done = subprocess.run([folder / "main"], input=sounds.tobytes(), capture_output=True, check=True)
        return np.frombuffer(done.stdout, np.int8).reshape(len(sounds), 24, 20, 1)

    return hear


def test_the_board_hears_what_python_does(compiled, heard):
    sounds, _ = sound.words(30, seed=7)
    off = heard(sounds).astype(int) - compiled.quantize(sound.features(sounds))
    assert np.abs(off).max() <= 1 and (off != 0).mean() < 0.01


def test_the_engine_knows_words_by_the_board_s_features(compiled, heard):
    sounds, y = sound.words(90, seed=5)
    engine = HostEngine(compiled)
    right = [engine.predict(q[None]) == label for q, label in zip(heard(sounds), y, strict=True)]
    assert np.mean(right) > 0.9


def test_the_definition_goes_with_the_model(folder, compiled):
    assert compiled.contract.sound == LogMel.at(8000, 20) and compiled.contract.shape == (24, 20, 1)
    data = load(folder / "words", shape=(24, 20, 1))
    assert (
        load_model(str(folder / "tuned/model.keras"), (24, 20, 1), 3, data=data).contract.sound == data.sound
    )


def test_a_model_by_name_takes_features_as_they_are_spread(folder):
    data = load(folder / "words", shape=(24, 20, 1))
    contract = load_model("ds_cnn", data.input_shape, data.classes, data=data).contract
    x = contract.apply(data.x_train)
    assert abs(x.mean()) < 1e-3 and abs(x.std() - 1) < 1e-3
    assert contract.sound == data.sound and contract_from_dict(contract.to_dict()) == contract


def test_sounds_of_another_rate_are_refused_for_a_tuned_model(folder, tmp_path, capsys):
    rng = np.random.default_rng(0)
    for name in sound.WORDS:
        (tmp_path / "fast" / name).mkdir(parents=True)
        for i in range(2):
            noise = rng.integers(-99, 99, 9000).astype(np.int16)
            sound.write_wav(tmp_path / "fast" / name / f"{i}.wav", noise, 16000)
    given = ["--model", str(folder / "tuned/model.keras"), "--data", str(tmp_path / "fast")]
    assert tfodl(["quantize", *given, "--out", str(tmp_path / "out")]) == 2
    assert "was made for LogMel(sample_rate=8000" in capsys.readouterr().err

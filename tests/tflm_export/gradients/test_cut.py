"""Where the cut lies, what crosses it, and that a net without a memory knows nothing of it."""

from dataclasses import replace

import keras_nets as models
import nets
import numpy as np
import pytest
from digits_net import digits_net

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.gradients.cut import find_cut, latent_reader
from tflm_export.living.memory import Exemplars, ReplayMemory
from tflm_export.machines.emulator import build
from tflm_export.macs import count_macs
from tflm_export.plan import LayerUpdate, Memory, UpdatePlan


def cut_of(tflite, plan):
    graph = compile_model(tflite, plan).graph
    return graph, find_cut(graph, plan)


def test_the_head_alone_reads_its_features():
    graph, cut = cut_of(models.mobile_net(), UpdatePlan())
    assert (cut.nbytes, graph.tensors[cut.tensor].shape) == (12, (1, 12))
    assert cut.macs == 12 * 5 and latent_reader(graph, cut).kind == "FULLY_CONNECTED"


def test_inside_a_residual_block_two_tensors_cross():
    """#2 is inside: the cut goes below the block, to the tensor that both its ways begin at."""
    graph, cut = cut_of(models.mobile_net(), UpdatePlan((LayerUpdate("#2", "out", (0,)),)))
    crossing = {name for op in graph.ops[cut.position :] for name in op.inputs if name}
    written = {name for op in graph.ops[: cut.position] for name in op.outputs} | set(graph.inputs)
    assert crossing & written == {cut.tensor}


def test_a_candidate_moves_the_cut_down_and_trains_nothing():
    plan = UpdatePlan()
    _, high = cut_of(models.mobile_net(), plan)
    graph, low = cut_of(models.mobile_net(), replace(plan, candidates=("#6",)))
    assert low.position < high.position and low.macs > high.macs
    trained = {op.of for op in graph.ops if op.role == "update"}
    assert trained == {"#9"}
    with pytest.raises(ExportError, match="no op 'block_99'"):
        compile_model(models.mobile_net(), replace(plan, candidates=("block_99",)))


def test_narrower_and_hardly_further_is_taken():
    """From #3 on, the picture (196 bytes) costs little more to replay than the map before #0's reader."""
    plan = UpdatePlan((LayerUpdate("#1", "out", (0,)),))
    graph, cut = cut_of(digits_net(), plan)
    assert cut.tensor in graph.inputs and cut.nbytes == 196
    assert cut.macs == count_macs(graph)["forward"]
    graph, cut = cut_of(digits_net(), UpdatePlan((LayerUpdate("#5", "out", (0,)),)))
    assert cut.nbytes == 7 * 7 * 8 and cut.macs < 0.5 * count_macs(graph)["forward"]


def test_the_facts_and_the_memory_plan_count_it():
    plan = UpdatePlan()
    plain = compile_model(models.mobile_net(), plan)
    memory = compile_model(models.mobile_net(), replace(plan, memory=Memory(bytes=1000)))
    latent = memory.facts["latent"]
    assert latent["latent_bytes"] == 12 and latent["bytes_a_sample"] == 14 and latent["samples"] == 71
    assert latent["ram_bytes"] == 12 + 71 * 14 + 4 * 5 + 16 + 4
    assert memory.memory.static_ram - plain.memory.static_ram == latent["ram_bytes"]
    assert "latent" not in plain.facts


def test_an_engine_without_a_memory_does_not_grow_by_a_byte(tmp_path):
    """Linked with the library's replay and without it, the sizes are the same; so is every generated line."""
    compiled = compile_model(nets.residual_net(), UpdatePlan((LayerUpdate("#3", "in", (0, 2), "all"),)))
    source = compiled.save(tmp_path / "engine") / "src"
    main = '#include "engine.h"\nint main() { return engine::predict() + int(engine::train_step(1)); }'
    files = sorted(source.rglob("*.cpp"))
    without = [path for path in files if path.stem != "replay"]
    assert len(without) == len(files) - 1
    sizes = [build(some, [source], main, tmp_path / "m4.elf") for some in (files, without)]
    assert sizes[0].flash_bytes == sizes[1].flash_bytes
    assert sizes[0].static_ram_bytes == sizes[1].static_ram_bytes
    text = (source / "engine.h").read_text() + (source / "engine.cpp").read_text()
    assert "replay" not in text and "latent" not in text


def test_a_memory_adds_its_own_bytes_to_ram(tmp_path):
    plan, sizes = UpdatePlan(), []
    for one in (plan, replace(plan, memory=Memory(samples=20))):
        compiled = compile_model(models.mobile_net(), one)
        source = compiled.save(tmp_path / str(len(sizes))) / "src"
        uses = "+ engine::remember(1) + int(engine::replay())" if one.memory else ""
        main = f'#include "engine.h"\nint main() {{ return int(engine::train_step(1)) {uses}; }}'
        sizes.append(build(sorted(source.rglob("*.cpp")), [source], main, tmp_path / "m4.elf"))
    assert compiled.facts["latent"]["ram_bytes"] == pytest.approx(
        sizes[1].static_ram_bytes - sizes[0].static_ram_bytes, abs=12
    )


@pytest.mark.parametrize("policy", ["reservoir", "balanced"])
def test_policies_keep_what_they_promise(policy):
    """Classes one after the other, of very different sizes."""
    labels = np.repeat(np.arange(4), [400, 50, 200, 30])
    held = np.zeros(4)
    ages = []
    for seed in range(60):
        memory = ReplayMemory(40, (1,), 4, policy, seed)
        for i, label in enumerate(labels):
            memory.remember(np.array([i % 100], np.int8), int(label))
        held += np.bincount(memory.labels, minlength=4) / 60
        ages += memory.latents[memory.labels == 0].ravel().tolist()
        assert len(memory) == 40 and int(memory.offered.sum()) == len(labels)
    wanted = 40 * np.bincount(labels) / len(labels) if policy == "reservoir" else np.full(4, 10)
    np.testing.assert_allclose(held, wanted, rtol=0.25 if policy == "reservoir" else 0.02)
    assert abs(np.mean(ages) - 49.5) < 4  # of class 0, old and new alike


def test_draws_are_uniform_and_seeded():
    memory = ReplayMemory(8, (1,), 8, "reservoir", 5)
    for i in range(8):
        memory.remember(np.array([i], np.int8), i)
    drawn = [memory.draw()[1] for _ in range(4000)]
    counts = np.bincount(drawn, minlength=8)
    assert counts.min() > 400 and counts.max() < 600
    again = ReplayMemory(8, (1,), 8, "reservoir", 5)
    again.latents, again.labels, again.held = memory.latents, memory.labels, 8
    assert [again.draw()[1] for _ in range(50)] == drawn[:50]
    shown = Exemplars(memory.latents, memory.labels)
    assert len({shown.draw(5, i)[1] for i in range(100)}) == 8

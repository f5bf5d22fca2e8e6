"""A life with power cuts: the same on the host and on the emulated board, and no state is lost."""

import numpy as np
import pytest
from digits_net import LAYERS, digits_net, forward_graph, target_digits

from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.machines.long_run import NOTHING, SAVE, HostLife, Life, on_board, on_host
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.store.state import read_samples

STEPS = 60


@pytest.fixture(scope="module")
def compiled():
    plan = UpdatePlan(LAYERS, memory=Memory(samples=20, replays=1), store_bytes=4 * 4096, seed=3)
    return compile_model(digits_net(), plan)


@pytest.fixture(scope="module")
def keeping():
    memory = Memory(samples=40, replays=1, policy="balanced", where="flash")
    return compile_model(digits_net(), UpdatePlan(LAYERS, memory=memory, store_bytes=8 * 4096, seed=3))


@pytest.fixture(scope="module")
def life():
    rng = np.random.default_rng(0)
    x, y = target_digits(forward_graph(), STEPS)
    actions = np.full(STEPS, NOTHING, np.int32)
    actions[::5] = SAVE
    actions[2::5] = rng.integers(0, 40, len(actions[2::5]))
    return Life(x, y, actions)


def test_host_and_board_live_alike_and_lose_nothing(compiled, life):
    half = Life(life.x[:9], life.labels[:9], life.actions[:9])
    image = on_host(compiled, half).image
    host, board = on_host(compiled, life, image), on_board(compiled, life, image)
    assert board.image == host.image != image
    assert (host.saves, host.cuts, host.lost) == (24, 12, 0)
    assert (board.saves, board.cuts, board.lost, board.erases) == (24, 12, 0, host.erases)
    assert host.erases > 4
    for name, array in host.weights.items():
        np.testing.assert_array_equal(board.weights[name], array, err_msg=name)
        assert np.any(array != 0)


def test_a_memory_in_flash_is_there_after_every_cut(keeping, life):
    actions = life.actions.copy()
    actions[2::5] = np.random.default_rng(1).integers(0, 60, len(actions[2::5]))
    life = Life(life.x, life.labels, actions)
    host, board = HostLife(keeping), on_board(keeping, life)
    host.live(life)
    assert board.image == host.engine.image
    assert host.cuts == board.cuts == 12 and host.lost == board.lost == 0
    assert host.saves == board.saves >= 24 and host.engine.remembered() > 20
    for name, array in on_host(keeping, life).weights.items():
        np.testing.assert_array_equal(board.weights[name], array, err_msg=name)
    latents, labels = read_samples(board.image, keeping.graph, keeping.plan)
    assert len(latents) == len(labels) > 20
    seen = {x.tobytes() for x in life.x}
    assert all(latent.tobytes() in seen for latent in latents)


def test_what_is_lost_is_counted(compiled, life):
    host = HostLife(compiled)
    host.live(Life(life.x[:6], life.labels[:6], life.actions[:6]))
    host.engine.load_image(b"\xff" * len(host.engine.image))
    host.engine.save = lambda: None  # the power fails before anything is written again
    host._save(0)
    assert host.lost == 1


def test_an_engine_without_a_store(life):
    with pytest.raises(ExportError, match="has no store"):
        on_host(compile_model(digits_net(), UpdatePlan(LAYERS)), life)

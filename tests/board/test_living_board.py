"""Engines with memory, guard, spare classes, store or pool behind the protocol do what numpy does."""

import dataclasses

import numpy as np
import pytest
from nets import residual_net
from serial_board import WatchedBoard, sanitized

from tflm_export.board.learned import read_selection, read_weights, write_weights
from tflm_export.board.ports import open_port
from tflm_export.compiler import compile_model
from tflm_export.errors import ExportError
from tflm_export.front.spare import add_spare_classes
from tflm_export.living.choosing import ChoosingSimulator
from tflm_export.living.judging import is_held_out
from tflm_export.living.simulator import LivingSimulator
from tflm_export.plan import Guard, LayerUpdate, Memory, Optimizer, Pool, UpdatePlan
from tflm_export.store import state

RICH = UpdatePlan(
    layers=(LayerUpdate("#3", "out", (0, 2), "all"),),
    optimizer=Optimizer(0.02, 0.5),
    seed=5,
    memory=Memory(samples=12, replays=2),
    guard=Guard(samples=6, held_out=3, every=10),
    spare_classes=2,
    store_bytes=8 * 4096,
)
POOLED = UpdatePlan(
    candidates=("#1", "#2", "#3"),
    memory=Memory(samples=20, replays=1),
    pool=Pool(bytes=100, rule="velocity", epoch=19, samples=4),
    guard=Guard(samples=6, held_out=5, every=10),
    spare_classes=1,
)


def assert_same(board, simulator):
    for name, array in board.items():
        np.testing.assert_array_equal(array, simulator.weights[name], err_msg=name)


def reconnected(board, client):
    client.reconnect(open_port(board.port))
    return client


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    compiled = compile_model(add_spare_classes(residual_net(), 2), RICH)
    program = sanitized(compiled, tmp_path_factory.mktemp("rich"), ("ant", "bee", "cat", "dog"))
    with WatchedBoard(compiled, program=program) as board:
        yield compiled, board


def test_a_board_that_remembers_judges_and_meets_new_classes(rich, pictures):
    compiled, board = rich
    simulator = LivingSimulator(compiled.graph, compiled.plan)
    x, labels = pictures(40, seed=6)
    with board.client(timeout=10) as client:
        client.factory_reset()
        assert client.info().classes == 4 and client.about["memory"]["samples"] == 12
        for i in range(30):
            loss = client.train(x[i], labels[i]).loss
            assert loss == pytest.approx(simulator.train_step(x[i], int(labels[i])), abs=1e-3)
            simulator.remember(int(labels[i]))
            assert client.remember(labels[i]) == len(simulator.memory)
        client.rest()
        for _ in range(RICH.memory.replays):
            simulator.replay()
        kept, judges = client.judge()
        assert kept == simulator.judge() and judges == client.info().judges > 0
        with pytest.raises(ExportError, match="out of range"):
            client.train(x[30], 5)
        label, _ = client.new_class(x[30], "eel")
        assert label == 4 and client.class_name(4) == "eel" and client.class_name(5) == ""
        assert client.info().classes == 5
        simulator.train_step(x[30], 4)
        assert client.class_name(4, "elk") == "elk" == client.class_name(4)
        assert_same(read_weights(client, compiled), simulator)
        with pytest.raises(ExportError, match="at most 16 bytes"):
            client.class_name(4, "a name that is too long")
        with pytest.raises(ExportError, match="refuses CLASS_NAME: a value or index is out of range"):
            client.class_name(3)


def test_what_is_saved_outlives_the_power(rich, pictures):
    compiled, board = rich
    x, labels = pictures(12, seed=7)
    with board.client(timeout=10) as client:
        client.factory_reset()
        assert client.restore() is False
        for i in range(6):
            client.train(x[i], labels[i])
        client.new_class(x[6], "eel")
        client.save()
        saved = read_weights(client, compiled)
        area = client.read_flash(compiled.plan.store_bytes)
        for name, array in state.read_weights(area, compiled.graph, compiled.plan).items():
            np.testing.assert_array_equal(array, saved[name])
        client.train(x[6], labels[6])
        board.cut_power()
        reconnected(board, client)
        assert client.info().steps == 0
        assert all((array == saved[name]).all() for name, array in read_weights(client, compiled).items())
        for i in range(7, 11):  # no young class any more: its samples are gone, its row is learned on
            client.train(x[i], 4)
        assert any((array != saved[name]).any() for name, array in read_weights(client, compiled).items())
        assert client.restore() is True
        assert all((array == saved[name]).all() for name, array in read_weights(client, compiled).items())
        client.factory_reset()
        flashed = {name: compiled.graph.constant(name) for name in saved}
        assert all((array == flashed[name]).all() for name, array in read_weights(client, compiled).items())
        label = 4
        for picture in x:  # some judge, and open no class
            if client.info().classes == label:
                assert client.new_class(picture, "a name of 16 by.")[0] == label
        assert client.info().classes == label + 1
        client.save()
        learned = read_weights(client, compiled)
        area = client.read_flash(compiled.plan.store_bytes)
        for name, array in state.read_weights(area, compiled.graph, compiled.plan).items():
            np.testing.assert_array_equal(array, learned[name])
        client.class_name(label, "not saved")
        board.cut_power()
        reconnected(board, client)
        assert client.class_name(label) == "a name of 16 by." and client.info().classes == label + 1
        client.save()  # nothing changed, nothing is written
        client.factory_reset()
        assert client.class_name(label) == ""
        write_weights(client, compiled, saved)
        client.save()
        board.cut_power()
        found = read_weights(reconnected(board, client), compiled)
        assert all((array == saved[name]).all() for name, array in found.items())


def test_pushed_weights_are_the_state_to_go_back_to_and_their_classes_are_learned(rich, pictures):
    """Judges that would have the flashed weights back do not get them; a class that was opened elsewhere is
    no young one, whose row is the mean of its samples."""
    compiled, board = rich
    x, labels = pictures(60, seed=8)
    simulator = LivingSimulator(compiled.graph, compiled.plan)
    seen = [(int(simulator.infer(picture).argmax()), simulator.latent()) for picture in x]
    judging = [i for i, (_, latent) in enumerate(seen) if is_held_out(latent, RICH.guard)]
    learning = [i for i in range(len(x)) if i not in judging]
    with board.client(timeout=10) as client:
        client.factory_reset()
        for i in range(6):
            client.train(x[i], labels[i])
        client.new_class(x[learning[-1]], "eel")
        learned = read_weights(client, compiled)
        client.factory_reset()
        write_weights(client, compiled, learned)
        for i in judging:
            client.train(x[i], seen[i][0])
            client.remember(seen[i][0])
        assert client.judge()[1] == 6
        found = read_weights(client, compiled)
        assert all((array == learned[name]).all() for name, array in found.items())
        client.train(x[learning[0]], 4)
        assert any((array != learned[name]).any() for name, array in read_weights(client, compiled).items())


def test_a_memory_in_flash_outlives_the_power(pictures):
    memory = Memory(samples=12, replays=2, where="flash")
    plan = dataclasses.replace(RICH, memory=memory, spare_classes=0, store_bytes=5 * 4096)
    compiled = compile_model(residual_net(), plan)
    simulator = LivingSimulator(compiled.graph, plan)
    x, labels = pictures(60, seed=9)

    def learn(places, *machines):
        for i in places:
            for machine in machines:
                (machine.train if machine is client else machine.train_step)(x[i], int(labels[i]))
                machine.remember(int(labels[i]))

    with WatchedBoard(compiled) as board, board.client(timeout=10) as client:
        assert client.about["memory"]["where"] == "flash"
        client.factory_reset()
        learn(range(40), client, simulator)
        assert client.judge() == (simulator.judge(), len(simulator.judges))
        client.save()
        learn(range(20), client)  # lost
        board.cut_power()
        reconnected(board, client)
        info = client.info()
        assert (info.remembered, info.judges) == (len(simulator.memory), len(simulator.judges))
        learn(range(40, 60), client, simulator)
        assert_same(read_weights(client, compiled), simulator)
        latents, held = state.read_samples(client.read_flash(plan.store_bytes), compiled.graph, plan)
        assert len(latents) == len(held) == 12
        client.factory_reset()
        assert client.info().remembered == 0 and client.restore() is False


def test_a_board_that_chooses_what_learns(pictures):
    compiled = compile_model(add_spare_classes(residual_net(), 1), POOLED)
    simulator = ChoosingSimulator(compiled.graph, compiled.plan)
    x, labels = pictures(30, seed=8)
    with WatchedBoard(compiled) as board, board.client(timeout=10) as client:
        over = []
        for i in range(30):
            over.append(client.train(x[i], labels[i]).epoch_over)
            if over[-1]:
                assert client.new_epoch() == len([1 for o in over if o])
            client.remember(labels[i])
            simulator.train_step(x[i], int(labels[i]))
            simulator.remember(int(labels[i]))
        assert sum(over) == 2 and client.info().judges == len(simulator.judges) > 0
        label, _ = client.new_class(x[0], "eel")
        simulator.train_step(x[0], label)
        assert client.info().classes == simulator.classes_in_use == 5
        assert client.new_epoch() == 3
        simulator.new_epoch()
        learned = read_weights(client, compiled)
        assert_same(learned, simulator)
        assert read_selection(client, compiled) == simulator.history[-1]
        board.cut_power()
        assert reconnected(board, client).info().epoch == 3
        assert_same(read_weights(client, compiled), simulator)
        client.factory_reset()
        assert client.info().epoch == 0
        with pytest.raises(ExportError, match="let the device end an epoch first"):
            read_selection(client, compiled)

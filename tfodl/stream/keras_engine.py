"""`KerasEngine`: the engine as two Keras models, below and above the cut, with the board's gradients."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf

from tflm_export.compiler import Compiled
from tflm_export.errors import TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.gradients.cut import find_cut
from tflm_export.gradients.paths import gradient_type
from tflm_export.gradients.trained import find_op
from tflm_export.ir import Graph
from tflm_export.living.capacity import classes
from tflm_export.living.judging import Weights, judge_memory
from tflm_export.living.memory import ReplayMemory
from tflm_export.living.new_classes import NewClasses, spare_head
from tflm_export.ops.result import tensor_quant
from tflm_export.plan import Memory, UpdatePlan
from tflm_export.store.samples import capacity
from tflm_export.variable import variables
from tfodl.int8.device_update import DeviceUpdate, device_rates
from tfodl.int8.graph import Int8Model
from tfodl.int8.wiring import layer_of


class KerasEngine(NewClasses):
    """An engine in Keras: `Int8Model` at batch 1 with device gradients. Its weights are the board's.

    Slow (tens of milliseconds a step): it shows that what Keras simulates is what the board does.
    Raises `TfodlError` for an engine with float32 gradients, or exemplars or a guard where dead channels are
    left out.
    """

    def __init__(self, compiled: Compiled):
        self.compiled, plan = compiled, compiled.plan
        self.wanted, self.seed = plan.memory or Memory(samples=1, replays=0), plan.seed
        self.exemplars = compiled.exemplars
        _check(compiled)
        cut = find_cut(compiled.graph, plan)
        whole = Int8Model(compiled.tflite)
        graph = whole.graph
        self._first = next(op.name for op in graph.ops if cut.tensor in op.inputs)
        self._below = whole.below(self._first)
        self._input, self._cut = tensor_quant(graph, graph.inputs[0]), tensor_quant(graph, cut.tensor)
        self._shape = graph.tensors[cut.tensor].shape[1:]
        seen = compiled.graph.tensors[cut.tensor].shape[1:]
        if (compiled.exemplars is not None or plan.guard is not None) and seen != self._shape:
            raise TfodlError(
                "stream: latents lack the dead channels that Keras keeps; compile with keep_dead=True."
            )
        size, count = capacity(self.wanted, cut.nbytes), classes(compiled.graph)
        self.memory = ReplayMemory(
            size, self._shape, count, self.wanted.policy, plan.seed, by_class=bool(plan.spare_classes)
        )
        self.head = spare_head(compiled.graph, plan)
        self.guard, self.judges = plan.guard, judge_memory(plan, self._shape, count)
        self._build()

    def reset(self) -> None:
        """As it was flashed, nothing remembered."""
        if self._used:
            self._build()

    def _build(self) -> None:
        plan = self.compiled.plan
        rule = plan.optimizer
        self.model = Int8Model(
            self.compiled.tflite, _in_keras(plan, read_tflite(self.compiled.tflite)), rounding=rule.rounding,
            seed=plan.seed, gradients="device", first=self._first,
        )  # fmt: skip
        rates = device_rates(self.model.graph, self.model.weighted(), rule.qas)
        self.model.compile(DeviceUpdate(rates, rule, plan.seed))
        if self.head is not None:
            assert self.model.device is not None
            self.model.device.known = tf.Variable(self.head.classes - self.head.spare)
            self.old_classes = self.classes_in_use
        self.memory.reset()
        self._latent: np.ndarray | None = None
        self._to_features: keras.Model | None = None
        self.shown, self._used = 0, False
        self.begin_judging(self.compiled.graph)

    def train_step(self, x: np.ndarray, label: int) -> float:
        """One step on input `x` int8 [1, ...], then the plan's replays; the loss before. A picture that is
        held out changes nothing, one of a young class makes no step."""
        self.check_class(label)
        self._latent = self._to_latents(x)[0]
        if self.teaches_nothing(label):
            loss = self.unlearned(self._latent, label)
        else:
            loss = self.learn_latent(self._latent, label)
            self.replay_all()
        self.step_done()
        return loss

    def latent(self) -> np.ndarray:
        """Of the picture of the last step, int8. Raises `TfodlError` before the first."""
        if self._latent is None:
            raise TfodlError("remember: no picture was seen yet; train_step first.")
        return self._latent

    def remember(self, label: int) -> None:
        """Offer that picture to the memory, or to the judges when it is held out."""
        self.offer(self.latent(), label)

    def classify(self, x: np.ndarray) -> np.ndarray:
        """Classes int64 [N] of inputs int8 [N, ...]."""
        found: np.ndarray = self.model.predict(self._real(self._to_latents(x)), verbose=0).argmax(-1)
        return found

    def weights(self) -> dict[str, np.ndarray]:
        """Every trained tensor whole, by its name in the `.tflite`."""
        found = self.model.constants()
        return {v.tensor: found[v.tensor] for v in variables(self.compiled.graph)}

    def learn_latent(self, latent: np.ndarray, label: int) -> float:
        """One step from the cut on; the loss before it."""
        self._used = True
        if self.head is not None:
            assert self.model.device is not None and self.model.device.known is not None
            self.model.device.known.assign(self.classes_in_use)
        found = self.model.train_on_batch(self._real(latent[None]), np.array([label]), return_dict=True)
        return float(found["loss"])

    def logits_of(self, latent: np.ndarray) -> np.ndarray:
        """Logits int8, of a latent."""
        graph = self.compiled.graph
        assert graph.loss is not None
        real = self.model.predict_on_batch(self._real(latent[None]))
        return tensor_quant(graph, graph.loss.inputs[0]).quantize(np.asarray(real))

    def features_of(self, latent: np.ndarray) -> np.ndarray:
        """What enters the head, int8, of a latent."""
        assert self.head is not None
        if self.head.op == self._first:
            return latent
        if self._to_features is None:
            self._to_features = self.model.below(self.head.op)
        found = self._to_features.predict_on_batch(self._real(latent[None]))
        return np.asarray(found).astype(np.int8)

    def trained(self) -> dict[str, np.ndarray]:
        """A copy of every trained tensor, by name."""
        return self.weights()

    def put(self, weights: Weights) -> None:
        """Set what `trained` gave."""
        self.model.load_constants(weights)

    def forget_steps(self) -> None:
        """Start the optimizer's sums, momentum and what is left over at 0."""
        if self.model.optimizer.built:
            self.model.optimizer.reset(int(self.model.optimizer.step))

    def _to_latents(self, x: np.ndarray) -> np.ndarray:
        """int8 [N, ...] at the cut, of inputs int8 [N, ...]."""
        real = self._input.dequantize(x)
        found = self._below.predict_on_batch(real) if len(x) == 1 else self._below.predict(real, verbose=0)
        return np.asarray(found).astype(np.int8)

    def _real(self, latents: np.ndarray) -> np.ndarray:
        return self._cut.dequantize(latents)


def _in_keras(plan: UpdatePlan, graph: Graph) -> UpdatePlan:
    """The plan with the layers' names in an `Int8Model`."""
    rows = tuple(replace(row, name=layer_of(find_op(graph, row.name))) for row in plan.layers)
    plain = replace(plan, memory=None, pool=None, guard=None, spare_classes=0)
    return replace(plain, layers=rows, candidates=(), provenance={})


def _check(compiled: Compiled) -> None:
    if gradient_type(compiled.graph) != "int16":
        raise TfodlError(
            "stream: Keras has the int16 gradients of the device, not float32 ones; compile with int16."
        )
    if compiled.plan.loss != "crossentropy":
        raise TfodlError("stream: it is of labelled samples; the plan's loss must be 'crossentropy'.")

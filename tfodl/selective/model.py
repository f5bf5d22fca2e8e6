"""`SelectiveModel`: a Keras model that trains the channels of its plan and saves the work of the rest."""

from __future__ import annotations

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError
from tflm_export.plan import UpdatePlan
from tfodl.neurons.cost import PlanCost, full_plan, plan_cost
from tfodl.neurons.group import NeuronGroup, check_plan
from tfodl.neurons.groups import groups_of, known_layers
from tfodl.neurons.intercept import intercept
from tfodl.neurons.sites import Adapter, Run, Site, calls
from tfodl.selective.masks import Masks
from tfodl.selective.reuse import choose, steps_from_json, steps_to_json
from tfodl.selective.step import Step, Train, masked_step, step_of
from tfodl.selective.table import plan_table


class _Wiring:
    """What Keras must not track: sites, masks, the present step and the traced functions."""

    def __init__(self, groups: Sequence[NeuronGroup], found: dict[keras.layers.Layer, Adapter]) -> None:
        self.groups = {group.layer: group for group in groups}
        self.found = found
        sites = {site.name: site for adapter in found.values() for site in adapter.sites}
        self.sites: list[Site] = [sites[name] for name in self.groups]
        self.followers = {group.layer: sites[group.batchnorm] for group in groups if group.batchnorm}
        self.masks = Masks(groups)
        self.step = Step(())
        self.steps: dict[Step, None] = {}  # run so far, in order: those that a new plan may be run by
        self.functions: dict[Step, tuple[dict[Any, Any], Any]] = {}
        self.state: dict[str, np.ndarray] = {}
        self.restored: dict[str, np.ndarray] | None = None
        self.rules: list[Any] | None = None  # that choose in this `fit`; None outside of one
        self.planned = False  # whether anybody said what trains
        self.within: UpdatePlan | None = None  # all that plans to come may train, by one step

    def choose(self, plan: UpdatePlan) -> Step:
        """The step to run `plan`: one already traced if it wastes little, else a new one."""
        if self.within is not None:
            return masked_step(self.within, self.groups)
        return choose(step_of(plan, self.groups), self.steps, self.groups)


@keras.saving.register_keras_serializable("tfodl")
class SelectiveModel(keras.Model):
    """`model`, trained under an `UpdatePlan`; `compile`, `fit`, `evaluate`, `predict`, `save` are Keras's.

    model: a built Keras model whose input size is known. plan: what trains; None trains everything, and a
        `fit` without a rule and without a plan says so in a warning. One rule at a time.

    Whatever the optimizer, a frozen weight is the same bit for bit after any number of steps, and it costs no
    gradient: no dW for a layer without a chosen channel, dW of the chosen channels only where that pays,
    nothing below the shallowest trained tensor. Batch norms that the plan does not train run on their moving
    statistics.

    Raises `TfodlError` for a model without trainable layers that tfodl knows, or with a `train_step` of its
    own, or a plan that does not fit it.

    >>> inputs = keras.Input((4,))
    >>> model = SelectiveModel(keras.Model(inputs, keras.layers.Dense(2, name="head")(inputs)))
    >>> model.set_plan(UpdatePlan())
    >>> model.cost.macs.dw
    8
    """

    def __init__(self, model: keras.Model, plan: UpdatePlan | None = None, **kwargs: Any) -> None:
        _check_plain(model)
        super().__init__(**{"name": f"selective_{model.name}", **kwargs})
        self.base = model
        self.batch_size = 1  # samples a step of the last `fit`
        self.supports_jit = False  # the number of chosen channels is data, which XLA cannot compile
        found = known_layers(model)
        self._wiring = _Wiring(groups_of(model, found), found)
        self.built = True
        self._plan = full_plan(self.groups)
        self.set_plan(self._plan if plan is None else plan)
        self._wiring.planned = plan is not None

    @property
    def selective_base(self) -> keras.Model:
        """The wrapped model."""
        return self.base

    @property
    def groups(self) -> tuple[NeuronGroup, ...]:
        """The model's neuron groups, axis "out", in call order."""
        return tuple(self._wiring.groups.values())

    @property
    def sites(self) -> tuple[Site, ...]:
        """The weights of `groups`, in the same order."""
        return tuple(self._wiring.sites)

    @property
    def plan(self) -> UpdatePlan:
        """What trains now."""
        return self._plan

    @plan.setter
    def plan(self, plan: UpdatePlan) -> None:
        self.set_plan(plan)

    def trained(self) -> list[tuple[keras.Variable, Any]]:
        """(variable, mask that broadcasts to it) of all that trains now; a mask of None means all of it."""
        return self._wiring.masks.trained(self._wiring.step, self._wiring.sites)

    def set_plan(self, plan: UpdatePlan, *, exactly: bool = False, within: UpdatePlan | None = None) -> None:
        """Train `plan` from the next step on. Raises `TfodlError` when it does not fit the model.

        exactly: by a step that computes nothing else, though it must be traced; by default one that is there
        already is taken where it wastes little. within: by one step that computes the gradients of all that
        this plan trains, in layers without a channel too.
        """
        check_plan(plan, self.groups)
        self._wiring.masks.assign(plan)
        wiring = self._wiring
        wiring.within = within
        wiring.step = step_of(plan, wiring.groups) if exactly else wiring.choose(plan)
        self._wiring.planned = True
        self._plan = plan

    @property
    def layers(self) -> Any:
        """The wrapped model's."""
        return self.base.layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> keras.layers.Layer:
        """The wrapped model's layer."""
        return self.base.get_layer(name, index)

    def export(self, *args: Any, **kwargs: Any) -> Any:
        """Write the wrapped model for serving, as Keras's."""
        return self.base.export(*args, **kwargs)

    @property
    def cost(self) -> PlanCost:
        """What the present plan costs."""
        return plan_cost(self._plan, self.groups)

    @property
    def selection_state(self) -> dict[str, np.ndarray]:
        """Arrays that a selection rule keeps; saved and restored with the weights."""
        return self._wiring.state

    @selection_state.setter
    def selection_state(self, state: dict[str, np.ndarray]) -> None:
        self._wiring.state = state

    def take_restored_state(self) -> dict[str, np.ndarray] | None:
        """The state that the last `load_weights` brought; None the second time."""
        state, self._wiring.restored = self._wiring.restored, None
        return state

    def watch(self, run: Run) -> Any:
        """A scope in which the wrapped model's layers run through `run`."""
        return intercept(calls(run, self._wiring.found))

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.base(inputs, training=training)

    def fit(self, *args: Any, **kwargs: Any) -> Any:
        """As Keras's. Plans have the device take as many samples a step as here."""
        given = _FIT.bind(self, *args, **kwargs).arguments
        self.batch_size = given.get("batch_size") or _batch_size(given.get("x"))
        self._wiring.rules = []
        try:
            return super().fit(*args, **kwargs)
        finally:
            self._wiring.rules = None

    def follow(self, rule: Any) -> None:
        """Have `rule` choose what trains in this `fit`. Raises `TfodlError` where another does already."""
        if self._wiring.rules is None:
            return
        self._wiring.rules.append(rule)
        if len(self._wiring.rules) > 1:
            names = " and ".join(type(one).__name__ for one in self._wiring.rules)
            raise TfodlError(f"fit: {names} would both choose what trains; give one selection callback.")

    def make_train_function(self, force: bool = False) -> Any:
        if self.train_function is None or force:
            self._check_compiled()
            self._build_optimizer()
            self._wiring.functions.clear()
            if self._wiring.restored is None:
                self._wiring.steps.clear()
            self._wiring.step = self._wiring.choose(self._plan)
            self.train_function: Any = self._run_step
        return self.train_function

    def _check_compiled(self) -> None:
        inner = self.optimizer
        while inner is not None:
            if getattr(inner, "use_ema", False):
                raise TfodlError(
                    "SelectiveModel: an optimizer with use_ema=True overwrites frozen weights; use "
                    "use_ema=False."
                )
            inner = getattr(inner, "inner_optimizer", getattr(inner, "inner", None))
        fixed = [site.name for site in self.sites if not site.layer.trainable]
        if fixed:
            raise TfodlError(
                f"SelectiveModel: layers {fixed[:8]} became trainable=False after the model was wrapped; "
                "wrap it again, or leave them trainable and out of the plan."
            )

    def _build_optimizer(self) -> None:
        """Slots for every variable, so that a plan may train any of them and checkpoints keep one shape."""
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.base.trainable_variables)

    def _run_step(self, iterator: Any) -> Any:
        if self._wiring.rules == [] and not self._wiring.planned:
            self._say_that_all_trains()
        new = self._wiring.step not in self._wiring.functions
        scope, function = self._traced(self._wiring.step)
        with intercept(scope), _on_purpose() if new else contextlib.nullcontext():
            return function(iterator)

    def _say_that_all_trains(self) -> None:
        self._wiring.planned = True
        count = sum(int(np.prod(variable.shape)) for variable in self.base.trainable_variables)
        warnings.warn(
            f"SelectiveModel: no rule and no plan: all {count:,} parameters train; give fit a selection "
            "callback, VelocitySelection(budget=...), or mean it by model.set_plan(model.plan).",
            stacklevel=2,
        )

    def _traced(self, step: Step) -> tuple[dict[Any, Any], Any]:
        """The layers' calls under `step`, and Keras's train function that is traced under them."""
        if step not in self._wiring.functions:
            self._wiring.steps[step] = None
            run = Train(step, self._mask_of, self._wiring.followers)
            super().make_train_function(force=True)
            self._wiring.functions[step] = (calls(run, self._wiring.found), self.train_function)
            self.train_function = self._run_step
        return self._wiring.functions[step]

    def _mask_of(self, site: Site) -> Any:
        weight = self._wiring.step.part(site.name).weight
        return self._wiring.masks.read(site.name, "in" if weight == "in" else "out")

    def train_step(self, data: Any) -> dict[str, Any]:
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        trained = self.trained()
        variables = [variable for variable, _ in trained]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([variable.value for variable in variables])
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight, training=True)
            scaled = self.optimizer.scale_loss(loss)
        self._track_loss(loss, x)
        if trained:
            gradients = tape.gradient(scaled, [variable.value for variable in variables])
            self._update(trained, gradients)
        found: dict[str, Any] = self.compute_metrics(x, y, y_pred, sample_weight)
        return found

    def _track_loss(self, loss: Any, x: Any) -> None:
        batch = tf.shape(keras.tree.flatten(x)[0])[0]
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        tracker = next(metric for metric in self.metrics if metric.name == "loss")
        tracker.update_state(loss * replicas, sample_weight=batch)

    def _update(self, trained: list[tuple[keras.Variable, Any]], gradients: list[Any]) -> None:
        """One optimizer step that leaves every frozen entry as it was, bit for bit."""
        masked = [
            gradient
            if mask is None or gradient is None
            else tf.where(mask, gradient, tf.zeros_like(gradient))
            for (_, mask), gradient in zip(trained, gradients, strict=True)
        ]
        before = [None if mask is None else tf.identity(variable.value) for variable, mask in trained]
        self.optimizer.apply(masked, [variable for variable, _ in trained])
        held = [row for row in zip(trained, before, strict=True) if row[1] is not None]
        _hold([(variable.value, mask, old) for (variable, mask), old in held])

    def summary(self, *args: Any, print_fn: Any = None, **kwargs: Any) -> None:
        """Print a row a layer: neurons, selected, parameters, trained, training bytes, MACs of dX and dW."""
        (print_fn or print)(f'Model: "{self.name}"\n{plan_table(self.cost)}')

    def get_config(self) -> dict[str, Any]:
        return {
            "model": keras.saving.serialize_keras_object(self.base),
            "plan": self._plan.to_json(),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SelectiveModel:
        config = dict(config)
        model = keras.saving.deserialize_keras_object(config.pop("model"), custom_objects)
        return cls(model, UpdatePlan.from_json(config.pop("plan")), **config)

    def save_own_variables(self, store: Any) -> None:
        store["plan"] = np.frombuffer(self._plan.to_json().encode(), np.uint8)
        store["steps"] = np.frombuffer(steps_to_json(self._wiring.steps).encode(), np.uint8)
        for key, value in self.selection_state.items():
            store["state." + key.replace("/", "%2F")] = value  # "/" would open a group in the file

    def load_own_variables(self, store: Any) -> None:
        self._wiring.steps = dict.fromkeys(steps_from_json(bytes(np.asarray(store["steps"])).decode()))
        self.set_plan(UpdatePlan.from_json(bytes(np.asarray(store["plan"])).decode()))
        keys = [key for key in list(store.keys()) if key.startswith("state.")]
        state = {key[6:].replace("%2F", "/"): np.asarray(store[key]) for key in keys}
        self._wiring.state = state
        self._wiring.restored = dict(state)


_FIT = inspect.signature(keras.Model.fit)


def _batch_size(x: Any) -> int:
    """Samples a step where `fit` is not told: Keras's 32 for arrays, what a data set gives, else 1."""
    spec = getattr(x, "element_spec", None)
    if spec is not None:
        return next(iter(keras.tree.flatten(spec))).shape[0] or 1
    return 32 if isinstance(keras.tree.flatten(x)[0], (np.ndarray, tf.Tensor, list)) else 1


def _check_plain(model: Any) -> None:
    if isinstance(model, SelectiveModel):
        raise TfodlError(
            f"Model {model.name!r} is a SelectiveModel already: use it as it is, or wrap its .base."
        )
    for method in ("train_step", "compute_loss", "compute_metrics"):
        if getattr(type(model), method, None) is not getattr(keras.Model, method):
            raise TfodlError(
                f"Model {model.name!r} has its own {method}, which a SelectiveModel would not call; put the "
                "loss into compile or layers (add_loss), or the method into a subclass of SelectiveModel."
            )


@contextlib.contextmanager
def _on_purpose() -> Iterator[None]:
    """Without TensorFlow's warning of frequent tracing: each step has a function of its own, traced once."""

    def other(record: logging.LogRecord) -> bool:
        return "tf.function retracing" not in record.getMessage()

    logger = logging.getLogger("tensorflow")
    logger.addFilter(other)
    try:
        yield
    finally:
        logger.removeFilter(other)


def _hold(rows: list[tuple[Any, Any, Any]]) -> None:
    """Give every (variable, mask, old value) its old value back where the mask is False."""

    def put(variable: Any, mask: Any, old: Any) -> None:
        variable.assign(tf.where(mask, variable, old))

    replica = tf.distribute.get_replica_context()
    if replica is None or tf.distribute.get_strategy().num_replicas_in_sync == 1:
        for row in rows:
            put(*row)
        return

    def update(strategy: Any, rows: list[tuple[Any, Any, Any]]) -> None:
        for variable, mask, old in rows:
            strategy.extended.update(variable, put, args=(mask, old), group=False)

    replica.merge_call(update, args=(rows,))

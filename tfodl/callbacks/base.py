"""`Selection`: the one protocol behind all selection callbacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import ArrayLike

from tflm_export.errors import TfodlError
from tflm_export.living.ranking import Rule
from tflm_export.plan import Budget, LayerUpdate, Optimizer, UpdatePlan
from tfodl.callbacks.dead import Dead
from tfodl.callbacks.device import as_compiled
from tfodl.neurons.cost import PlanCost, plan_cost
from tfodl.neurons.group import NeuronGroup, whole
from tfodl.neurons.groups import neuron_groups
from tfodl.selection.choose import Options, as_budget, choose, require_affordable
from tfodl.selection.engine import Engine, Room
from tfodl.selection.fixed_plan import fixed_plan

BATCHNORM: dict[bool | str, Literal["all", "selected", "none"]] = {
    True: "all",
    False: "none",
    "selected": "selected",
}


class Selection(keras.callbacks.Callback):
    """Before every epoch, `scores` ranks the neurons and the budget buys the best.

    budget: `Budget`, a whole number of parameters, or a share in (0, 1] of the selectable ones; None is no
    limit. rule: `"prefix"` or `"fill"` (`tfodl.selection.select`); None is prefix, and fill under a budget in
    bytes. axis: choose `"out"` channels or `"in"`.
    head: the classifier trains whole, outside the budget.
    batchnorm: True trains every gamma and beta outside the budget, with batch statistics (the papers); False
        freezes batch norm, as on the device; `"selected"` trains gamma and beta with their channel, within
        the budget.
    bias: biases train with their channels.
    initial: plan of the first epoch where there are no scores yet (anything `FixedSelection` takes); None:
    random. seed: of all random choices. verbose: 1 prints a line an epoch.
    skip_dead: neurons that an epoch's plan trained and that did not change, for their clamp lets no gradient
        through, rank last from then on.
    engine: `tfodl.selection.Engine`, which knows the RAM of a plan's engine; None makes one by a dry
        conversion of the model where the budget has `ram_bytes` or `flash_bytes`. With one, every epoch's RAM
        is printed and logged as engine_ram_bytes.
    device: the board's optimizer, written into every plan; None takes over SGD's rate and momentum, the batch
        and the loss that the model was compiled with.

    A rule of your own overrides `scores`, or `plan` for full control; `save_state` and `load_state` if it
    keeps arrays from epoch to epoch. Adds to `logs`: updated_share, selected_neurons, flops_saved,
    flops_saved_paper. `plans` holds every epoch's plan. State is saved with the model's weights and taken up
    again when `fit` goes on where it was interrupted (`BackupAndRestore`, or `load_weights` and
    `initial_epoch`).
    """

    method = "selection"
    chooses = True  # among the neurons of the pool, which must not be empty

    def __init__(
        self,
        budget: Budget | int | float | None = None,
        *,
        rule: Rule | None = None,
        axis: Literal["out", "in"] = "out",
        head: bool = True,
        batchnorm: bool | Literal["selected"] = True,
        bias: bool = True,
        initial: Any = None,
        seed: int = 0,
        verbose: int = 0,
        skip_dead: bool = False,
        engine: Engine | None = None,
        device: Optimizer | None = None,
    ) -> None:
        super().__init__()
        if batchnorm not in BATCHNORM:
            raise TfodlError(
                f"{type(self).__name__}: batchnorm must be True, False or 'selected', got {batchnorm!r}."
            )
        if axis not in ("out", "in"):
            raise TfodlError(f"{type(self).__name__}: axis must be 'out' or 'in', got {axis!r}.")
        self.options = Options(rule, bias, BATCHNORM[batchnorm], head)
        UpdatePlan(seed=seed)  # refuses what is no seed
        self.requested, self.axis, self.initial = budget, axis, initial
        self.seed, self.verbose = seed, verbose
        self.given_engine, self.device, self.skip_dead = engine, device, skip_dead
        self._dead: Dead | None = None
        self.engine: Engine | None = None
        self.budget = Budget()
        self.groups: tuple[NeuronGroup, ...] = ()
        self.plans: list[UpdatePlan] = []
        self.extra_logs: dict[str, float] = {}
        self._started = False
        self._interrupted: UpdatePlan | None = None

    # What a rule decides.

    def scores(self, epoch: int) -> Mapping[str, ArrayLike] | None:
        """For each layer to choose from, scores `[channels]`, higher is better; None while there are none."""
        return None

    def plan(self, epoch: int) -> UpdatePlan:
        """The plan of `epoch`."""
        scores = self.scores(epoch)
        if scores is not None:
            return self.make_plan(self.choose(scores), epoch)
        return self.first_plan(epoch)

    def completed(self, plan: UpdatePlan) -> UpdatePlan:
        """`plan` with the device's optimizer and loss."""
        return as_compiled(plan, self.model, self.model.batch_size, self.device)

    def applied(self, plan: UpdatePlan) -> UpdatePlan:
        """What the model is given in place of `plan`, for rules that freeze by other means."""
        return plan

    def begin(self) -> None:
        """Called once before the first epoch, with `model` and `groups` set."""

    def save_state(self) -> dict[str, np.ndarray]:
        """Arrays to keep over an interruption."""
        return {}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take up what `save_state` gave."""

    # What rules share.

    @property
    def pool(self) -> tuple[NeuronGroup, ...]:
        """The groups that the budget is spent on."""
        return tuple(group for group in self.groups if group.selectable)

    def rng(self, epoch: int) -> np.random.Generator:
        """Random numbers of an epoch: the same after an interruption."""
        return np.random.default_rng((self.seed, epoch))

    def random_scores(self, epoch: int) -> dict[str, np.ndarray]:
        """One random permutation of all neurons of the pool, as scores."""
        ranks = self.rng(epoch).permutation(sum(group.channels for group in self.pool)).astype(np.float64)
        parts = np.split(ranks, np.cumsum([group.channels for group in self.pool])[:-1])
        return {group.layer: part for group, part in zip(self.pool, parts, strict=True)}

    def first_plan(self, epoch: int) -> UpdatePlan:
        """The plan without scores: `initial`, or random neurons under the budget."""
        if self.initial is not None:
            return fixed_plan(self.initial, self.model.groups, self.options)
        return self.make_plan(self.choose(self.random_scores(epoch)), epoch)

    def choose(self, scores: Mapping[str, ArrayLike]) -> tuple[LayerUpdate, ...]:
        """The entries that the budget buys by `scores`."""
        if self._dead is not None:
            scores = {layer: self._dead.last(layer, each) for layer, each in scores.items()}
        return choose(self.groups, scores, self.budget, self.options, self.room())

    def room(self) -> Room | None:
        """What the budget's bytes leave to a plan; None where it has none."""
        if self.engine is None or not self.budget.limits_engine:
            return None
        return Room(self.engine, self.budget, self.completed(self.make_plan((), 0)))

    def make_plan(self, layers: tuple[LayerUpdate, ...], epoch: int) -> UpdatePlan:
        """A plan of `layers`, with batch norm and head by the callback's switches."""
        norms = [whole(group) for group in self.groups if group.kind == "batchnorm"]
        return UpdatePlan(
            layers=(*layers, *(norms if self.options.batchnorm == "all" else ())),
            head=self.options.head,
            budget=self.budget,
            seed=self.seed,
            provenance={"method": self.method, "epoch": epoch},
        )

    # Keras's side.

    def on_train_begin(self, logs: Any = None) -> None:
        if not hasattr(self.model, "set_plan"):
            raise TfodlError(
                f"{type(self).__name__} needs a SelectiveModel: fit tfodl.SelectiveModel(model)."
            )
        self.model.follow(self)
        self.groups = neuron_groups(self.model, self.axis)
        if self.chooses and not self.pool:
            raise TfodlError(
                f"{type(self).__name__}: nothing to choose from: what is below the classifier is frozen or "
                "without weights. Set trainable = True on what may learn, or train the classifier alone: "
                'FixedSelection("head"), --method head.'
            )
        self.budget = as_budget(self.requested, self.groups, self.options.bias)
        self.engine = self.given_engine
        if self.engine is None and self.budget.limits_engine:
            self.engine = Engine.of(self.model)
        require_affordable(self.budget, self.groups, self.options, self.room())
        self.plans, self.extra_logs, self._started, self._interrupted = [], {}, False, None
        self._dead = Dead(self.model, self.pool) if self.skip_dead else None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if not self._started:
            self._started = True
            self.begin()
            self._resume(epoch)
        plan, self._interrupted = self._interrupted or self.completed(self.plan(epoch)), None
        self.model.set_plan(self.applied(plan))
        self.plans.append(plan)
        if self._dead is not None:
            self._dead.epoch_begins()
        self.model.selection_state = self._state(epoch)
        if self.verbose:
            print(f"Epoch {epoch + 1}: {type(self).__name__} {self._line(self._cost())}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._dead is not None:
            self._dead.epoch_ends(self.plans[-1])
            self.model.selection_state |= self._dead_state()
        self.model.selection_state["whole"] = np.asarray(True)
        if logs is not None:
            logs.update(self._logs(self._cost()))

    def _cost(self) -> PlanCost:
        return plan_cost(self.plans[-1], self.model.groups)

    def _logs(self, cost: PlanCost) -> dict[str, float]:
        return {
            "updated_share": float(cost.share),
            "selected_neurons": float(cost.neurons),
            "flops_saved": float(cost.flops_saved),
            "flops_saved_paper": float(cost.flops_saved_paper),
            **({"engine_ram_bytes": float(self._ram())} if self.engine is not None else {}),
            **self.extra_logs,
        }

    def _line(self, cost: PlanCost) -> str:
        engine = f", engine {self._ram():,} B of RAM" if self.engine is not None else ""
        return (
            f"trains {cost.neurons:,} neurons, {cost.params:,} parameters ({cost.share:.1%}), "
            f"backward work saved {cost.flops_saved:.0%}{engine}"
        )

    def _ram(self) -> int:
        """RAM of the present plan's engine, bytes."""
        assert self.engine is not None
        return self.engine.ram_bytes(self.plans[-1])

    def _state(self, epoch: int) -> dict[str, np.ndarray]:
        plans = json.dumps([plan.to_json() for plan in self.plans])
        facts = {
            "method": np.frombuffer(self.method.encode(), np.uint8),
            "epoch": np.asarray(epoch),
            "whole": np.asarray(False),
            "plans": np.frombuffer(plans.encode(), np.uint8),
        }
        facts |= self._dead_state()
        return {**facts, **{f"rule.{key}": np.asarray(value) for key, value in self.save_state().items()}}

    def _dead_state(self) -> dict[str, np.ndarray]:
        found = self._dead.found if self._dead is not None else {}
        return {f"dead.{layer}": mask.copy() for layer, mask in found.items()}

    def _resume(self, epoch: int) -> None:
        state = self.model.take_restored_state()
        if not state or "method" not in state or bytes(state["method"]).decode() != self.method:
            return
        in_this_epoch = int(state["epoch"]) == epoch and not state["whole"]
        if int(state["epoch"]) + 1 != epoch and not in_this_epoch:
            return
        self.plans = [UpdatePlan.from_json(text) for text in json.loads(bytes(state["plans"]).decode())]
        if self._dead is not None:
            self._dead.found |= {k[5:]: v.astype(bool) for k, v in state.items() if k.startswith("dead.")}
        self.load_state({key[5:]: value for key, value in state.items() if key.startswith("rule.")})
        if in_this_epoch:  # interrupted in mid-epoch: it is begun again, with the plan that it had
            self._interrupted = self.plans.pop()

"""`FixedSelection`: one plan for the whole training."""

from __future__ import annotations

import os
from typing import Any

from tflm_export.plan import UpdatePlan
from tfodl.callbacks.base import Selection
from tfodl.selection.fixed_plan import fixed_plan


class FixedSelection(Selection):
    """The same plan every epoch (Sparse Update; baselines).

    plan: an `UpdatePlan`; `"head"` (the classifier alone), `"biases"` (every bias, and beta where batch norm
    trains), `"all"`; a list of layer names, trained whole; the name of a published scheme
    (`tfodl.sparse_update`); or the path of a saved plan. `head` and `batchnorm` complete all but an
    `UpdatePlan` and a saved plan, which are taken as they are; batch norm is frozen, but with `"all"`.
    """

    method = "fixed"
    chooses = False

    def __init__(self, plan: Any, **options: Any) -> None:
        options.setdefault("batchnorm", isinstance(plan, str) and plan == "all")
        super().__init__(None, **options)
        self.wanted = plan

    def completed(self, plan: UpdatePlan) -> UpdatePlan:
        given = isinstance(self.wanted, (UpdatePlan, os.PathLike)) or str(self.wanted).endswith(".json")
        return plan if given and self.device is None else super().completed(plan)

    def plan(self, epoch: int) -> UpdatePlan:
        return self.plans[-1] if self.plans else fixed_plan(self.wanted, self.model.groups, self.options)

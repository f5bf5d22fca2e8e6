"""`RandomSelection`: the fair baseline."""

from __future__ import annotations

import numpy as np

from tfodl.callbacks.base import Selection


class RandomSelection(Selection):
    """Neurons in the order of one global random permutation, redrawn every epoch, at their true cost."""

    method = "random"

    def scores(self, epoch: int) -> dict[str, np.ndarray] | None:
        if self.initial is not None and not self.plans:
            return None
        return self.random_scores(epoch)

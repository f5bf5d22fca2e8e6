"""A selection rule of one's own in ten lines: the neurons whose weights moved farthest since the start."""

from __future__ import annotations

import numpy as np
import selection

import tfodl


class FarthestMoved(tfodl.callbacks.Selection):
    method = "farthest_moved"

    def begin(self):
        self.start = {site.name: site.weight.numpy() for site in self.model.sites}

    def scores(self, epoch):
        if not self.plans:
            return None  # nothing has moved: `initial`, or random neurons
        moved = {site.name: np.abs(site.weight.numpy() - self.start[site.name]) for site in self.model.sites}
        return {group.layer: moved[group.layer].reshape(-1, group.channels).mean(0) for group in self.pool}


if __name__ == "__main__":
    selection.RULES["own"] = lambda: FarthestMoved(selection.SHARE)
    selection.main("own")

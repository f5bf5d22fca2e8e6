"""From a model and a plan to the graph of one training step, and the arithmetic of its updates."""

"""`SelectiveModel`: a training step that computes what an update plan asks for, and no more."""

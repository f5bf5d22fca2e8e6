"""Gradient rules: numpy, integer; one module an op family."""

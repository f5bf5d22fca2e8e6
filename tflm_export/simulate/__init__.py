"""The engine in numpy: the specification of what the device computes."""

"""The int8 graph that ships, as a Keras model: exact forward pass, straight-through gradients, QAS."""

"""A Keras 3 or tf_keras model as plain nodes, and back: what conversion, QAT and the layer map read."""

"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: what has weights, and how these train."""

"""tflm_export: an int8 .tflite and an update plan in, a C++ training engine for microcontrollers out."""

__version__ = "0.1.0"

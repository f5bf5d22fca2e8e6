"""From a Keras model to an int8 `.tflite`.

Names load on first use: tensorflow-model-optimization is slow to start.
"""

from __future__ import annotations

from typing import Any

__all__ = ["QATModel", "ptq", "qat"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tfodl.quantize' has no attribute {name!r}")
    from tfodl.quantize import model

    return getattr(model, name)

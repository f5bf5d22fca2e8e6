"""The two kinds of input contract, told apart by the dtype of what comes in."""

from __future__ import annotations

from collections.abc import Mapping

from tflm_export.input_contract import InputContract
from tflm_export.signal_contract import SignalContract

Contract = InputContract | SignalContract


def contract_from_dict(raw: object) -> Contract:
    """The contract in `raw`: of pictures (uint8), or of signals (float32). Raises `TfodlError`.

    >>> contract_from_dict({"shape": [64, 3], "dtype": "float32"}).text
    '64x3 float32, values as they are'
    """
    if isinstance(raw, Mapping) and raw.get("dtype") == "float32":
        return SignalContract.from_dict(raw)
    return InputContract.from_dict(raw)

"""What a device has kept in flash, read on the host: the C++ store's twin."""

from tflm_export.store.log import Identity, read_log

__all__ = ["Identity", "read_log"]

"""The partition table of an ESP32 that keeps what it learned: the default one of 4 MB, with a place for it.

>>> print(partitions(65536))  # doctest: +ELLIPSIS
# Name, Type, SubType, Offset, Size
nvs, data, nvs, 0x9000, 0x5000
...
tfodl, 0x40, 0x00, 0x290000, 0x10000
spiffs, data, spiffs, 0x2a0000, 0x150000
coredump, data, coredump, 0x3f0000, 0x10000
<BLANKLINE>
"""

from __future__ import annotations

from tflm_export.errors import ExportError

PARTITIONS = "partitions.csv"  # beside the sketch: the core takes it from there
_FREE, _END = 0x290000, 0x3F0000  # behind the two programs, up to the core dump
_BEFORE = (
    "nvs, data, nvs, 0x9000, 0x5000",
    "otadata, data, ota, 0xe000, 0x2000",
    "app0, app, ota_0, 0x10000, 0x140000",
    "app1, app, ota_1, 0x150000, 0x140000",
)


def partitions(area_bytes: int) -> str:
    """The table with an area of `area_bytes`, whole pages of 4,096 bytes; the file system has the rest.

    Raises `ExportError` where the area is larger than what the programs leave.
    """
    rest = _END - _FREE - area_bytes
    if rest < 0:
        raise ExportError(
            f"an ESP32 with 4 MB of flash holds an area of {_END - _FREE:,} B, the engine keeps what it "
            f"learned in {area_bytes:,} B. Take less store_bytes, or fewer candidates of the pool."
        )
    rows = [
        "# Name, Type, SubType, Offset, Size",
        *_BEFORE,
        f"tfodl, 0x40, 0x00, {_FREE:#x}, {area_bytes:#x}",
    ]
    rows += [f"spiffs, data, spiffs, {_FREE + area_bytes:#x}, {rest:#x}"] * (rest > 0)
    return "\n".join([*rows, f"coredump, data, coredump, {_END:#x}, 0x10000", ""])

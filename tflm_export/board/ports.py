"""Serial ports: which there are, and one opened."""

from __future__ import annotations

from typing import Any

from tflm_export.errors import ExportError

KNOWN = {
    0x2341,
    0x2A03,
    0x239A,
    0x1B4F,
    0x2E8A,
    0x303A,
    0x0483,
}  # USB makers of boards: Arduino, Adafruit, ...


def open_port(port: str) -> Any:
    """The port as a stream. Raises `ExportError` when it cannot be opened; needs pyserial."""
    serial = _pyserial()
    try:
        return serial.Serial(port, 115200, timeout=0.02, write_timeout=10)
    except (serial.SerialException, OSError) as error:
        raise ExportError(f"cannot open serial port {port!r}: {error}.") from error


def find_port() -> str:
    """The one port with a board on it. Raises `ExportError` when there is none, or more than one."""
    _pyserial()
    from serial.tools.list_ports import comports

    found = sorted(port.device for port in comports() if port.vid in KNOWN)
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise ExportError("no board is plugged in; plug one in, name its port with --port, or use --sim.")
    raise ExportError(f"there are boards on {', '.join(found)}; name one with --port.")


def _pyserial() -> Any:
    try:
        import serial
    except ImportError as error:
        raise ExportError("a serial port needs pyserial: pip install 'tfodl[board]'") from error
    return serial

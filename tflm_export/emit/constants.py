"""Constants in an image of their own, at an address beside the program: its bytes, and C++ that reads it.

The image: a head (`tfodl::ConstantsHead`), then the tables, the widest types first, so that none needs a gap.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np

from tflm_export import __version__
from tflm_export.cpp import DTYPES, Tables
from tflm_export.emit.intel_hex import intel_hex
from tflm_export.template import fill

MAGIC, FORMAT = 0x434F4454, 1
HEAD = struct.Struct("<II8sIII")  # magic, format, engine, address, bytes, CRC-32 of the tables
HEAD_BYTES = HEAD.size + 4  # and the CRC-32 of these
FILE = "constants"  # .bin and .hex
WORD = 4  # the image is whole words of flash

_HEADER = """

// The constants lie apart: {bytes} bytes at {address}, written beside the program. Whether that
// image is this engine's, and whole, is looked at once, and again after constants_changed(). Where it is not,
// nothing is computed: predict() and a step are -1, what tells by true or false is false, what speaks for a
// store is kRefused.
constexpr uint32_t kConstantsBytes = {bytes};
tfodl::ConstantsStatus constants_status();
bool constants_ok();
void constants_changed();
const tfodl::ConstantsHead& constants_head();  // of the image that belongs there
const void* constants_place();"""
_STATE = """
// The image that belongs to this engine, and what was found at its place.
constexpr tfodl::ConstantsHead image_head = {head};
tfodl::ConstantsStatus image_status = tfodl::ConstantsStatus::kMissing;
bool image_read = false;
"""
_CODE = """tfodl::ConstantsStatus constants_status() {{
  if (!image_read) image_status = tfodl::check_constants(&constants::image, image_head);
  image_read = true;
  return image_status;
}}
bool constants_ok() {{ return constants_status() == tfodl::ConstantsStatus::kOk; }}
void constants_changed() {{
  image_read = false;{not_ready}
}}
const tfodl::ConstantsHead& constants_head() {{ return image_head; }}
const void* constants_place() {{ return &constants::image; }}
"""
_INCLUDE = '#include "tfodl/constants.h"\n'
_FUNCTION = re.compile(r"^([A-Za-z][\w:]*) \w+\([^;]*\) \{$")
_BEGINS = ("  tfodl::enable_instruction_cache();", "void reset_state() {")  # the check follows these
_USES = ("  if (!ready) reset();", "  reset();", "  infer();")  # and precedes these
_REFUSED = {
    "void": "return",
    "bool": "return false",
    "float": "return -1.0f",
    "int32_t": "return -1",
    "tfodl::StoreStatus": "return tfodl::StoreStatus::kRefused",
}


@dataclass(frozen=True)
class ConstantsImage:
    """`data`: the image, whole words, which belongs at `address` of a device's memory.

    >>> tables = Tables()
    >>> _ = tables.add("int8_t", "shift1", [1, -1]), tables.add("int32_t", "bias1", [7])
    >>> image = ConstantsImage.of(tables, 0x90000)
    >>> len(image.data), image.data[HEAD_BYTES:].hex()
    (40, '0700000001ffffff')
    """

    address: int
    data: bytes

    @classmethod
    def of(cls, tables: Tables, address: int) -> ConstantsImage:
        """The image of an engine's tables."""
        rows = [(name, DTYPES[ctype], values) for ctype, name, values in ordered(tables)]
        body = b"".join(np.asarray(values).astype(dtype).tobytes() for _, dtype, values in rows)
        body += b"\xff" * (-len(body) % WORD)
        layout = repr([(name, dtype, len(values)) for name, dtype, values in rows])
        engine = hashlib.sha256(layout.encode() + body).digest()[:8]
        head = HEAD.pack(MAGIC, FORMAT, engine, address, HEAD_BYTES + len(body), zlib.crc32(body))
        return cls(address, head + struct.pack("<I", zlib.crc32(head)) + body)

    def files(self) -> dict[str, bytes]:
        """The image as flashing tools take it: bytes alone, and Intel HEX, which knows where they belong."""
        return {f"{FILE}.bin": self.data, f"{FILE}.hex": intel_hex(self.address, self.data).encode()}

    @property
    def head(self) -> bytes:
        """Its first bytes, which say what it is."""
        return self.data[:HEAD_BYTES]


def ordered(tables: Tables) -> list[tuple[str, str, np.ndarray]]:
    """(ctype, name, values) in the image's order."""
    rows = [(ctype, name, values) for name, (ctype, values, _) in tables.items.items()]
    return sorted(rows, key=lambda row: -np.dtype(DTYPES[row[0]]).itemsize)


def constants_sources(name: str, tables: Tables, image: ConstantsImage) -> dict[str, str]:
    """The header and the source that stand in the place of the tables."""
    rows = [(ctype, table, len(values)) for ctype, table, values in ordered(tables)]
    members = "\n".join(f"  {ctype} {table}[{n}];" for ctype, table, n in rows)
    references = "\n".join(
        f"static constexpr const {ctype} (&{table})[{n}] = image.{table};" for ctype, table, n in rows
    )
    fields = {"name": name, "version": __version__, "bytes": str(len(image.data))}
    fields |= {"address": f"{image.address:#x}", "members": members, "references": references}
    return {
        f"{name}_constants.h": fill("constants_apart.h", fields),
        f"{name}_constants.cpp": fill("constants_apart.cpp", fields),
    }


def apart_parts(image: ConstantsImage, fields: dict[str, str], learns: bool) -> dict[str, str]:
    """The templates' fields of an engine that looks for its image before it computes."""
    spelt = {"bytes": str(len(image.data)), "address": f"{image.address:#x}"}
    not_ready = "\n  ready = false;" if learns else ""
    return {
        "store_include": _INCLUDE + fields["store_include"],
        "input_header": fields["input_header"] + _HEADER.format(**spelt),
        "input_state": fields["input_state"] + _STATE.format(head=_head_text(image)),
        "input_code": _CODE.format(not_ready=not_ready) + fields["input_code"],
    }


def guarded(text: str) -> str:
    """An engine's text in which every function that reads constants asks for them first.

    >>> print(guarded("bool judge() {\\n  if (!ready) reset();\\n  return judged(true);\\n}"))
    bool judge() {
      if (!constants_ok()) return false;
      if (!ready) reset();
      return judged(true);
    }
    """
    lines: list[str] = []
    kind = ""
    for line in text.splitlines():
        found = _FUNCTION.match(line)
        kind = found[1] if found else kind
        check = [f"  if (!constants_ok()) {_REFUSED.get(kind, 'return')};"]
        before, behind = check * (line in _USES), check * (line in _BEGINS)
        lines += [*before, line, *behind]
    return "\n".join(lines) + "\n" * text.endswith("\n")


def _head_text(image: ConstantsImage) -> str:
    """The head as C++ has it."""
    magic, number, engine, address, nbytes, crc = HEAD.unpack_from(image.data)
    own = int.from_bytes(image.data[HEAD.size : HEAD_BYTES], "little")
    identity = ", ".join(f"0x{byte:02x}" for byte in engine)
    rest = f"{address:#x}u, {nbytes}u, {crc:#x}u, {own:#x}u"
    return f"{{\n    {magic:#x}u, {number}u, {{{identity}}},\n    {rest}}}"

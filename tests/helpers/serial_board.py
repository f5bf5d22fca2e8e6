"""The sketch of an engine as a program on the host, at the other end of a pipe."""

import select
import subprocess
from pathlib import Path

from tflm_export.board.sketch import sketch_files
from tflm_export.boards import board
from tflm_export.machines.host import FLAGS, compile_cpp, kernel_objects

HOST = Path(__file__).parents[1] / "cpp" / "serial_host.cpp"
SANITIZE = ("-std=c++14", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SANITIZED = ("engine.cpp", "engine_constants.cpp", "tfodl/serial_protocol.cpp", "tfodl/detail/support.cpp")


def serial_host(compiled, folder):
    """The sketch's library with `serial_host.cpp` as its main program."""
    for path, data in sketch_files(compiled, board("nano33ble"), compiled.facts).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    source, out = folder / "src", folder / "serial_host"
    # The kernels have sanitizers in tests of their own; these objects are the ones other tests build, too.
    kernels = [str(o) for o in kernel_objects(source, FLAGS) if o.stem not in ("serial_protocol", "support")]
    sources = [str(source / name) for name in SANITIZED]
    compile_cpp([str(HOST), *sources, *kernels, f"-I{source}", "-o", str(out)], SANITIZE)
    return out


class Pipe:
    """A running program as a stream; a read ends after 50 ms without bytes, like a serial port's."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def read(self, size):
        ready, _, _ = select.select([self.process.stdout], [], [], 0.05)
        return self.process.stdout.read(size) if ready else b""

    def write(self, data):
        self.process.stdin.write(data)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()

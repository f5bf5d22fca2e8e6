"""Options of the test suite."""

import gc


def pytest_collection_finish():
    """What was imported stays: garbage is not looked for among TensorFlow's million objects every time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 10)


def pytest_addoption(parser):
    parser.addoption(
        "--fuzz-files", type=int, default=500, help="mutated .tflite files to read (make fuzz: 20000)"
    )
    parser.addoption(
        "--fuzz-frames", type=int, default=4000, help="frames on a serial line (make fuzz: a million)"
    )
    parser.addoption(
        "--cut-every", type=int, default=11, help="power cuts of an epoch's end to try: 1 for every operation"
    )

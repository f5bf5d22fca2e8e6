"""Options of the test suite."""


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

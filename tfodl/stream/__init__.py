"""What a stream would do to a net, before anything is flashed (docs/living.md).

>>> from tfodl import Memory, UpdatePlan
>>> engine = compile_model(tflite, UpdatePlan(memory=Memory(samples=2)))
>>> x, labels = np.concatenate(inputs), np.arange(4)
>>> result = play(engine, (x, labels), {"same": (x, labels)}, points=2)
>>> result.samples, result.remembered.shape
(array([0, 2, 4]), (2,))
"""

from tfodl.stream.order import order
from tfodl.stream.play import play
from tfodl.stream.result import StreamResult

__all__ = ["StreamResult", "order", "play"]

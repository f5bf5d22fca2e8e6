"""The whole way in one command: Keras model to a board that learns, with a report in the end."""

from tfodl.demo.config import DemoConfig
from tfodl.demo.run import run

__all__ = ["DemoConfig", "run"]

"""The one exception type of this package."""


class ExportError(ValueError):
    """A model, plan or board that cannot be compiled: what, where, got, allowed, what to do."""

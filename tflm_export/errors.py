"""The exception types of the project: one for a request, one for what cannot be compiled."""


class TfodlError(ValueError):
    """A request that cannot be met: the message says what, where, got, allowed and what to do."""


class ExportError(TfodlError):
    """A model, plan or board that cannot be compiled."""

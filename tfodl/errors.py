"""The one exception type of this package."""


class TfodlError(ValueError):
    """A request that cannot be met: the message says what, where, got, allowed and what to do."""

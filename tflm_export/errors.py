"""The exception types of the project: one for a request, one for what cannot be compiled."""


class TfodlError(ValueError):
    """A request that cannot be met: the message says what, where, got, allowed and what to do."""


EXTRAS = {
    "absl": "train",
    "ai_edge_litert": "train",
    "keras": "train",
    "matplotlib": "report",
    "mlxtend": "train",
    "PIL": "train",
    "ray": "ray",
    "serial": "board",
    "tensorflow": "train",
    "tensorflow_datasets": "train",
    "tensorflow_model_optimization": "train",
    "tf_keras": "train",
    "tflite_micro": "verify",
}


def missing_package(error: ModuleNotFoundError) -> str:
    """What to say of a package that pip was not asked for. Raises `error` again when it is none of ours.

    >>> missing_package(ModuleNotFoundError(name="keras"))
    "needs the package 'keras', which is not installed: pip install 'tfodl[train]'"
    """
    package = (error.name or "").split(".")[0]
    if package not in EXTRAS:
        raise error
    return f"needs the package {package!r}, which is not installed: pip install 'tfodl[{EXTRAS[package]}]'"


class ExportError(TfodlError):
    """A model, plan or board that cannot be compiled."""

"""The errors that end a program with one line: what is wrong, where, what to do."""

DOWNLOAD = (
    "run `make download-paper` on a machine with a network (for another study `make download "
    "CONFIG=<its file>`), or set `folder` to a local copy of it"
)
"""What to do where something of the hub is missing."""


class ParameterError(ValueError):
    """A parameter out of its range; the text names the parameter and the range."""


class Stopped(BaseException):
    """A program was asked to stop and has saved what it needs to go on; the text says so.

    No `Exception`, for it comes at any moment, also where a library catches all of those.
    """


class InputError(ValueError):
    """An input file that cannot be used; the text names the file and the remedy."""

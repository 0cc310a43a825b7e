"""Every error that archzoo raises on purpose. The message says what is wrong, what was given, and what would be right.

The command line prints these in one line and exits with 2; any other exception is a bug and shows its traceback.
"""

from typing import Any

from archzoo.escaping import one_line

MOST = 2000  # characters of a message: a file may hold a name of any length


class ArchzooError(ValueError):
    """The base of all errors that archzoo raises about a request: a line without control characters."""

    def __init__(self, message: str = "") -> None:
        super().__init__(one_line(message, MOST))


class UnknownName(ArchzooError):
    """No network has this name."""


class BadOption(ArchzooError):
    """A network has no such option, or the value does not fit it."""


class RegistrationError(ArchzooError):
    """A paper's file declares a network that cannot be registered: a taken name, an option without a type."""


class ClaimError(ArchzooError):
    """A printed number cannot be read, or a claim is incomplete."""


class InputError(ArchzooError):
    """Images that the network does not take: their shape, dtype or device."""


class UnknownPart(ArchzooError):
    """A network has no part of this name."""


class MissingDependency(ArchzooError):
    """A feature needs a package that is not installed. The message names the extra that installs it."""


class ProfileError(ArchzooError):
    """A model could not be profiled. The message names the part where it failed.

    ``partial`` is the profile up to the failure, or None.
    """

    def __init__(self, message: str, partial: Any = None) -> None:
        super().__init__(message)
        self.partial = partial


class RecipeError(ArchzooError):
    """No recipe of this name, or a value that a recipe does not take."""


class DataError(ArchzooError):
    """A dataset does not exist or cannot be used."""


class ValueRangeError(DataError):
    """An image of more than 8 bits has values outside of the range from black to white, or that range is unknown."""


class DeviceError(ArchzooError):
    """The machine does not have this device."""


class TrainingError(ArchzooError):
    """A run cannot start or continue. The last good checkpoint is kept."""


class Stopped(TrainingError):
    """A run was asked to stop and saved its state. Rerun the command to resume.

    ``signal`` is the number of the signal that asked, SIGTERM by default.
    """

    def __init__(self, message: str, signal: int = 15) -> None:
        super().__init__(message)
        self.signal = signal


class CheckpointError(TrainingError):
    """A checkpoint cannot be written, or none of those in the run directory can be read."""


class TransferError(ArchzooError):
    """A network cannot be changed or reused in this way."""


class WeightsError(ArchzooError):
    """A weights file cannot be read, or does not fit the network. Nothing was loaded."""


class ExportError(ArchzooError):
    """A network cannot be exported, or its exported form computes something else. Nothing was written."""


class ComparisonError(ArchzooError):
    """Two networks cannot be compared: one does not run, or computes in a way that cannot be followed."""


class ReportError(ArchzooError):
    """A diagram, figure, page or table cannot be made or written."""


class OutputError(ArchzooError):
    """A file or a folder cannot be written."""


class EstimateError(ArchzooError):
    """The cost of a recipe cannot be estimated."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a machine or an accelerator has no more memory. torch has an exception of its own for the latter only."""
    by_name = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return by_name or isinstance(error, MemoryError)

"""One exception per cause; every message says what was found and what to do about it."""


class ClipspectError(Exception):
    """Base of every error that clipspect raises on purpose."""


class BundleError(ClipspectError):
    """A bundle is missing, incomplete, altered, or made by a newer version."""


class RecipeError(ClipspectError):
    """A recipe is missing, damaged, or belongs to other weights."""


class SignatureError(ClipspectError):
    """A signature is required of a file, and it has none, or one of other bytes or by another key."""


class ImageError(ClipspectError):
    """An image cannot be read, or has a shape or type that cannot be inspected."""


class ImageReadError(ImageError):
    """The system does not give a file's bytes, now: nothing is known of the image."""


class BackendError(ClipspectError):
    """An engine is not installed, cannot run this graph, or failed on the device asked for."""


class UnreachableError(BackendError):
    """The server of an engine does not answer, now: nothing is known of the frame, and another try can succeed."""


class AnswerError(BackendError):
    """An engine answered NaN or infinity for a frame: nothing is known of what it shows."""


class UnavailableError(BackendError):
    """The engine is not installed, or the processor lacks the precision asked for: nothing is broken."""


class ExportError(ClipspectError):
    """The exporter was given weights, a configuration or an option that it cannot turn into a bundle."""


class DatasetError(ClipspectError):
    """A data set is not laid out as was said, or one of its files is missing or does not fit."""

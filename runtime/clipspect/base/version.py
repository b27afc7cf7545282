"""The version of the installed distribution."""

from importlib import metadata

try:
    __version__ = metadata.version("clipspect")
except metadata.PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0+source"

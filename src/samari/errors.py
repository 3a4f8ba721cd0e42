"""The errors of Samari.

Every message carries the offending value and the way out, in words a microscopist understands:
the plugin shows it as a notification and the command line prints it as its one line.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "DownloadError",
    "ExportError",
    "InputError",
    "JournalError",
    "LabelsError",
    "ModelError",
    "SamariError",
    "WeightsError",
]


class SamariError(Exception):
    """Base of all errors that Samari raises on purpose."""


class InputError(SamariError, ValueError):
    """An argument, an image, a coordinate or a prompt cannot be used as given."""


class ModelError(SamariError):
    """A model cannot be found, loaded or run."""


class WeightsError(ModelError):
    """A weight file is damaged, of another architecture, or unsafe to open."""


class DownloadError(ModelError):
    """A model could not be downloaded, or what came does not match its hash."""


class LabelsError(SamariError):
    """A label array cannot take what should be written into it."""


class JournalError(SamariError):
    """A journal is damaged, of a newer version, in use, or not that of the image."""


class ExportError(SamariError):
    """A result could not be written to disk."""


class Cancelled(SamariError):
    """The user cancelled; what was done until then is kept where the caller says so."""

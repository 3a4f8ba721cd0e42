"""What the plugin says to the person in front of it, through napari's notifications."""

from __future__ import annotations

from napari.utils.notifications import show_error, show_info, show_warning

from samari.errors import Cancelled, SamariError

_UNEXPECTED = (
    "Samari met an error that it did not expect: {kind}: {error}. Your labels are safe. "
    "Please report it with what you did just before."
)


def tell(message: str) -> None:
    """Show something good to know."""
    show_info(message)


def warn(message: str) -> None:
    """Show something that was ignored or refused, and why."""
    show_warning(message)


def tell_error(error: BaseException) -> None:
    """Show an error in its own words; a cancelled job is what the user wanted and says nothing."""
    if isinstance(error, Cancelled):
        return
    if isinstance(error, SamariError | OSError):
        show_error(sentence(str(error)))
    elif isinstance(error, MemoryError):
        show_error("There is not enough memory. Choose a smaller model or a smaller image.")
    else:
        show_error(_UNEXPECTED.format(kind=type(error).__name__, error=error))


def sentence(text: str) -> str:
    """Return `text` as a sentence: a capital at the beginning, a full stop at the end."""
    text = text.strip()
    if text and text[-1] not in ".!?":
        text += "."
    return text[:1].upper() + text[1:]


def accepted(labels: list[int]) -> str:
    """Return a sentence about the objects that were just accepted."""
    if len(labels) == 1:
        return f"Object {labels[0]} accepted"
    return f"{len(labels)} objects accepted: {labels[0]} to {labels[-1]}" if labels else ""

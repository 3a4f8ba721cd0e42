"""The list of keys as a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox, QLabel, QVBoxLayout

from samari.plugin.keys import cheat_sheet

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget


def show_cheat_sheet(parent: QWidget | None = None) -> QDialog:
    """Show keys and gestures without blocking the window; Esc or Close ends it."""
    dialog = QDialog(parent if parent is not None else QApplication.activeWindow())
    dialog.setWindowTitle("Samari: keys")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    text = QLabel(cheat_sheet())
    text.setTextFormat(Qt.TextFormat.RichText)
    buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
    buttons.rejected.connect(dialog.reject)
    layout = QVBoxLayout(dialog)
    layout.addWidget(text)
    layout.addWidget(buttons)
    dialog.show()
    return dialog

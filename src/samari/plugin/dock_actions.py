"""What the buttons of the dock do: each calls the controller, if there is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QMessageBox, QWidget

if TYPE_CHECKING:
    from samari.plugin.controller import Controller
    from samari.plugin.dock_layout import DockLayout


class DockActions(QWidget):
    """The part of the dock that only passes on; Qt connections hold bound methods of it.

    Attributes
    ----------
    controller : Controller or None
    ui : DockLayout
    """

    controller: Controller | None
    ui: DockLayout

    def _refresh(self) -> None:
        """Show the state of the controller; the dock does."""
        raise NotImplementedError

    def _on_save(self) -> None:
        if self.controller is None:
            return
        suggested = f"{self.controller.image.name} labels.ome.tif"
        path, _ = QFileDialog.getSaveFileName(
            self, "Save labels", suggested, "OME-TIFF (*.ome.tif *.ome.tiff *.tif *.tiff)"
        )
        if not path:
            return
        completed = _as_tiff(path)
        # What the dialog itself returns, it has asked for.
        if completed == path or self._may_replace(Path(completed)):
            self.controller.save_in_background(completed)

    def _may_replace(self, path: Path) -> bool:
        """Ask whether a file may be replaced, if there is one."""
        if not path.exists():
            return True
        answer = QMessageBox.question(
            self, "Save labels", f"{path.name} already exists.\nDo you want to replace it?"
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_click_tool(self) -> None:
        self._call("set_tool", "points")

    def _on_box_tool(self) -> None:
        self._call("set_tool", "shapes")

    def _on_plus(self) -> None:
        self._set_negative(False)

    def _on_minus(self) -> None:
        self._set_negative(True)

    def _set_negative(self, negative: bool) -> None:
        if self.controller is not None and self.controller.negative != negative:
            self.controller.toggle_polarity()
        self._refresh()

    def _on_previous(self) -> None:
        self._call("previous_candidate")

    def _on_next(self) -> None:
        self._call("next_candidate")

    def _on_accept(self) -> None:
        self._call("accept")

    def _on_discard(self) -> None:
        self._call("discard")

    def _on_undo(self) -> None:
        self._call("undo")

    def _on_redo(self) -> None:
        self._call("redo")

    def _on_keys(self) -> None:
        self._call("show_keys")

    def _call(self, action: str, *arguments: Any) -> None:
        if self.controller is not None:
            getattr(self.controller, action)(*arguments)

    def _on_python(self) -> None:
        self._call("copy_as_python")

    def _on_restore(self) -> None:
        self._call("restore")

    def _on_forget(self) -> None:
        self._call("forget")

    def _on_brush(self) -> None:
        self._call("brush")
        self._refresh()


def _as_tiff(path: str) -> str:
    """Return the path with an ending of TIFFs, or napari would not open the file."""
    if path.lower().endswith((".tif", ".tiff")):
        return path
    return path + (".tif" if path.lower().endswith(".ome") else ".ome.tif")

"""Counts the inspected images of all classes, and tells the progress of an evaluation by them."""

from __future__ import annotations

from clipspect.base.progress import Progress


class ImageProgress:
    """Told after each image and before each class's figures; images that were done before the run count as done."""

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self._progress, self._total, self._done = progress, total, done
        if done:
            progress("what was done before", done, total)

    def image(self, class_name: str) -> None:
        """One image of the class is inspected."""
        self._done += 1
        self._progress(class_name, self._done, self._total)

    def figures(self, class_name: str) -> None:
        """The class's figures are being made."""
        self._progress(f"{class_name}, figures", self._done, self._total)

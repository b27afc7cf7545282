"""What a bundle says of precisions other than fp32: how its int8 copy was made, and what each was found to cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Int8Copy:
    """Graphs for engines on the CPU, derived from those of the bundle, with the same inputs and outputs."""

    graphs: dict[str, str]  # by the file of the graph that it stands in for, the copy's
    scheme: str  # how values became whole numbers
    calibrated_on: str  # what fixed the ranges of the activations
    images: int  # of that


@dataclass(frozen=True)
class PrecisionRecord:
    """One precision in one engine, measured at export: the bundle's check images, and the demo model's pictures.

    Differences are from the torch reference, the largest of all graphs; the rank correlation is Spearman's over the
    pixels of a map, the lowest of all. What is lost is in points of AUROC against fp32; below 0 it was gained.
    """

    name: str  # "fp16", "bf16" or "int8"
    engine: str  # that computed it; "emulated" where onnxruntime computed in fp32 on values rounded to fp16
    passed: bool | None  # None: not measured, `detail` says why
    forced: bool = False  # exported although it did not pass
    detail: str = ""  # what did not pass, or why it was not measured
    tolerance: float | None = None  # of the score's and the map's difference, at export and for `clipspect verify`
    score: float | None = None
    anomaly_map: float | None = None
    rank_correlation: float | None = None
    image_auroc_lost: float | None = None
    pixel_auroc_lost: float | None = None

    @property
    def refused(self) -> bool:
        """Whether no engine computes in it without being forced."""
        return self.passed is False and not self.forced

    @property
    def words(self) -> str:
        """One line: what it costs, and whether it passed."""
        where = f"{self.name} in {self.engine}"
        if self.passed is None:
            return f"{where} was not measured ({self.detail})"
        verdict = "passed" if self.passed else f"{'forced' if self.forced else 'refused'}, {self.detail}"
        figures = [("score {:.1e}", self.score), ("map {:.1e}", self.anomaly_map)]
        figures += [("map ranks {:.4f}", self.rank_correlation), ("image AUROC lost {:.2f}", self.image_auroc_lost)]
        figures.append(("pixel AUROC lost {:.2f}", self.pixel_auroc_lost))
        return f"{where}: {', '.join(text.format(value) for text, value in figures if value is not None)}; {verdict}"

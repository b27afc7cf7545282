"""The exporter: a method and CLIP weights to a verified bundle. The one place where torch is imported."""

from clipspect_export.exporter import METHODS, STAGES, export_bundle

__all__ = ["METHODS", "STAGES", "export_bundle"]

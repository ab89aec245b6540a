"""Models as ONNX files that run without gumbelzoo and without torch: ``export_onnx`` and the graphs that it writes."""

from .folder import export_onnx

__all__ = ["export_onnx"]

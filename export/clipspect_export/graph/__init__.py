"""A torch module as one plain ONNX file over shared weights: written, rewritten, checked. Knows no method."""

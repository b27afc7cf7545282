"""A frame on its way to an engine: decoded, its colours put right, resized to the model's size."""

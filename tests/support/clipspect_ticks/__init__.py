"""A package outside the project, as another company would write it: a source and a sink."""

"""A method from outside of the exporter: the image's embedding compared with words, the same for every pixel."""

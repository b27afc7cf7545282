"""Where frames come from: files, and a folder that grows."""

"""The embedded demo: its pictures, its figures, its page."""

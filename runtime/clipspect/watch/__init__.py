"""A box that needs nobody: every new image of a folder is inspected once, across restarts."""

"""Where frames come from. Each function gives items, for `inspector.stream`.

    for outcome in inspector.stream(clipspect.sources.files("photos/")): ...

Other packages add sources by entry points of the group `clipspect.sources`: see `clipspect.sources.registry`.
"""

from clipspect.sources.folder import folder as folder
from clipspect.sources.registry import Sources as Sources
from clipspect.sources.registry import files as files
from clipspect.sources.registry import open_source as open_source
from clipspect.sources.registry import open_sources as open_sources

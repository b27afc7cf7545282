"""Where frames come from. Each function gives items, for `inspector.stream`.

    for outcome in inspector.stream(clipspect.sources.files("photos/")): ...

Other packages add sources by entry points of the group `clipspect.sources`: see `clipspect.sources.registry`.
"""

from clipspect.sources.aravis import camera as camera
from clipspect.sources.gate import Gate as Gate
from clipspect.sources.growing_folder import folder as folder
from clipspect.sources.parts import parts as parts
from clipspect.sources.policy import Policy as Policy
from clipspect.sources.pushed import Pushed as Pushed
from clipspect.sources.pushed import push as push
from clipspect.sources.registry import Sources as Sources
from clipspect.sources.registry import files as files
from clipspect.sources.registry import open_source as open_source
from clipspect.sources.registry import open_sources as open_sources
from clipspect.sources.trigger import Trigger as Trigger
from clipspect.sources.trigger import fired_at as fired_at
from clipspect.sources.video import video as video

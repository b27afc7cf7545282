"""Where records go: JSON lines, CSV, overlays, sorted folders, MQTT, the terminal.

Other packages add sinks by entry points of the group `clipspect.sinks`: see `clipspect.sinks.registry`.
"""

from clipspect.sinks.sink import Sink as Sink

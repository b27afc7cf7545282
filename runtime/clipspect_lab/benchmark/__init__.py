"""How fast a bundle runs on this machine, engine by engine. `measure.measure` does it, `clipspect bench` prints."""

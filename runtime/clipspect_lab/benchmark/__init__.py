"""How fast a bundle runs on this machine, engine by engine. `measure.measure` conducts; `clipspect bench` prints."""

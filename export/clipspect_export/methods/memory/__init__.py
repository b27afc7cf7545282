"""A memory of good parts: patches compared with those of photographs, no words. AnomalyDINO, SubspaceAD."""

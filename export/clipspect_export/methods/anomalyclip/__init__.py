"""AnomalyCLIP (Zhou et al. 2024): object-agnostic learned prompts."""

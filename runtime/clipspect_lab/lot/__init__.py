"""Lots: many images judged against each other, without words, references or training (MuSc, Li et al. 2024)."""

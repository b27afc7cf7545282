"""Crane (Salehi et al. 2025): learned prompts, patches that attend to their like, and a score that pools them."""

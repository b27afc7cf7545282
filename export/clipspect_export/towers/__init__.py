"""Backbones: their configuration, weights and plain modules in torch, the same as graphs compute them, and words."""

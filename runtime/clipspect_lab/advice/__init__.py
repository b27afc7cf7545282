"""Advice: which bundle, judge, number of references and precision suits a user's own photographs."""

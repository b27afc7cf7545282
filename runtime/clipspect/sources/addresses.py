"""Addresses of cameras, as messages and records may show them."""

from __future__ import annotations

from urllib.parse import urlsplit


def without_password(address: str) -> str:
    """An address without user and password; a path as it is."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()

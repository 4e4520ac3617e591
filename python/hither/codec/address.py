"""Addresses of endpoints, as a message may tell them."""

from urllib.parse import urlsplit


def hide_secrets(url: str) -> str:
    """Scheme, host and port alone: providers want their keys in the path or the query, others before the host."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

"""How hosts are written in URLs (RFC 3986, section 3.2.2)."""

from __future__ import annotations


def host_in_url(host: str) -> str:
    """Returns a host's name or address as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host

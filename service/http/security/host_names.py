"""The names of hosts in the header Host."""

import re
from ipaddress import ip_address

__all__ = ["host_fault", "host_name", "is_loopback"]

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/?#@\s]+)(:\d*)?")


def host_fault(host: str) -> str | None:
    """Return what is wrong with the name of an allowed host, or None."""
    if not host or host != host.lower() or "*" in host or host_name(host) != host:
        return f"{host!r} is not a host name in small letters without a port, such as semid.example"
    return None


def host_name(host: str) -> str:
    """Return the name in a Host header, without port and brackets; empty if it is not valid."""
    found = _HOST.fullmatch(host.strip().lower())
    return "" if found is None else found[1].strip("[]").removesuffix(".")


def is_loopback(name: str) -> bool:
    """Return whether a name always means this machine, whatever DNS says."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False

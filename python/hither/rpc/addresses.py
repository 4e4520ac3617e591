"""Where a server listens, as text."""


class InvalidAddress(ValueError):
    """It is not ``HOST:PORT``."""


def parse_address(text: str) -> tuple[str, int]:
    """``host:port``, or ``:port`` for this machine alone. Raises InvalidAddress."""
    host, separator, port = text.rpartition(":")
    if not separator or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise InvalidAddress(f"{text!r}: expected HOST:PORT, for example 127.0.0.1:3030")
    return host.strip("[]") or "127.0.0.1", int(port)

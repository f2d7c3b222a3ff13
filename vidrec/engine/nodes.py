"""Which of several machines this one is, and where they meet; asked of the machine itself, never of the internet."""

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from vidrec.utils.errors import ConfigError


def is_own_address(address: str) -> bool:
    """Whether an address or host name belongs to a network interface of this machine.

    A socket can be bound only to an address that some own interface has; nothing is sent. A name that cannot be resolved is
    this machine's when it is the name of this machine.
    """
    try:
        found = socket.getaddrinfo(address, 0, type=socket.SOCK_DGRAM)
    except socket.gaierror:
        return address == socket.gethostname()
    return any(_can_bind(family, place) for family, _, _, _, place in found)


def _can_bind(family: int, place: tuple) -> bool:
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(place)
        except OSError:
            return False
    return True


def match_node_rank(world_urls: Sequence[str]) -> int:
    """Position in the list of the one address that is this machine's.

    Raises:
        ConfigError: no address, or more than one, is this machine's.
    """
    own = [rank for rank, address in enumerate(world_urls) if is_own_address(address)]
    if len(own) == 1:
        return own[0]
    what = "none of them belongs" if not own else f"{', '.join(world_urls[rank] for rank in own)} all belong"
    raise ConfigError(
        [
            f"DDP_CONFIG.WORLD_URLS is {list(world_urls)} and {what} to this machine ({socket.gethostname()}); exactly one must. "
            "List one address of each node in order of rank, or set DDP_CONFIG.AUTO_RANK_MATCH False and WORLD_RANK."
        ]
    )


def meeting_point(dist_url: str) -> str:
    """`host:port` of a rendezvous address. Raises ConfigError when either is missing.

    Example: tcp://10.0.0.1:10001 -> 10.0.0.1:10001
    """
    try:
        parts = urlsplit(dist_url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise ConfigError(
            [
                f"DDP_CONFIG.DIST_URL is {dist_url!r}; with several nodes it must name node 0 and a free port there, as in tcp://10.0.0.1:10001."
            ]
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

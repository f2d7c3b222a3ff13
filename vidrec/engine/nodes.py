"""Which of several machines this one is, and where they meet; asked of the machine itself, never of the internet."""

import socket
import struct
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from vidrec.utils.errors import ConfigError, UserError


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


def own_address_towards(endpoint: str) -> str:
    """The address of this machine from which it reaches `host:port`; nothing is sent. The host name where there is no way."""
    host, port = endpoint.rsplit(":", 1)
    try:
        family, kind, _, _, place = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(place)
            return probe.getsockname()[0]
    except OSError:
        return socket.gethostname()


def interface_of(address: str) -> str:
    """Name of the network interface that has an IPv4 address, as `eth0`; '' where none has it, or the system does not say."""
    try:
        import fcntl
    except ImportError:
        return ""
    get_address = 0x8915  # SIOCGIFADDR of Linux
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), get_address, struct.pack("256s", name.encode()[:15]))
            except OSError:  # it has none
                continue
            if socket.inet_ntoa(answer[20:24]) == address:
                return name
    return ""


class RollCall:
    """All nodes of a run, there before any process starts. Entering waits for them; the store lives until the end of the block.

    Args:
        endpoint: host:port where node 0 keeps the store; '': a run on one machine, nothing to wait for.
        timeout_s: seconds for all to arrive.
    """

    def __init__(self, endpoint: str = "", *, node_rank: int = 0, nodes: int = 1, timeout_s: float = 0.0):
        self.endpoint, self.node_rank, self.nodes, self.timeout_s = endpoint, node_rank, nodes, timeout_s
        self._store: Any = None

    def __enter__(self) -> None:
        """Raises UserError naming the address and the nodes that are missing, after the time-out."""
        if not self.endpoint:
            return
        deadline = time.monotonic() + self.timeout_s
        self._store = self._open()
        self._store.set(f"node/{self.node_rank}", socket.gethostname())
        while missing := [node for node in range(self.nodes) if not self._store.check([f"node/{node}"])]:
            if time.monotonic() > deadline:
                raise self._missing(missing)
            time.sleep(0.2)
        # Node 0 keeps the store open until all have seen it full; its agent then serves the same port.
        self._store.add("seen", 1)
        while self.node_rank == 0 and self._store.add("seen", 0) < self.nodes and time.monotonic() < deadline:
            time.sleep(0.05)

    def __exit__(self, *raised: object) -> None:
        self._store = None

    def _open(self) -> Any:
        from datetime import timedelta

        from torch.distributed import DistNetworkError, PrefixStore, TCPStore

        host, port = self.endpoint.rsplit(":", 1)
        limit = timedelta(seconds=self.timeout_s)
        try:
            store = TCPStore(host.strip("[]"), int(port), is_master=self.node_rank == 0, multi_tenant=True, timeout=limit)
        except DistNetworkError as error:
            what = "cannot open" if self.node_rank == 0 else "cannot reach"
            raise UserError(
                f"Node {self.node_rank} of {self.nodes} ({socket.gethostname()}) {what} {self.endpoint} within {self.timeout_s:g} s "
                f"({str(error).splitlines()[0]}); it must be an address of node 0 (DDP_CONFIG.DIST_URL) with a free port that all nodes "
                "reach. Start node 0, correct the address, or raise DDP_CONFIG.JOIN_TIMEOUT."
            ) from error
        return PrefixStore("roll call", store)

    def _missing(self, missing: list[int]) -> UserError:
        plural = "node" if len(missing) == 1 else "nodes"
        return UserError(
            f"{plural} {', '.join(map(str, missing))} of {self.nodes} did not come to {self.endpoint} within {self.timeout_s:g} s; node "
            f"{self.node_rank} ({socket.gethostname()}) waited. Start the command on every node, see that they reach that address, or "
            "raise DDP_CONFIG.JOIN_TIMEOUT."
        )

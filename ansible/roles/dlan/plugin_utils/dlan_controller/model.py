"""A mesh as an inventory describes it, and what is said about the inventory."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple, Union

Network4 = ipaddress.IPv4Network
Network6 = ipaddress.IPv6Network
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

MAX_HOSTS = 256
LISTEN_PORT = 51820
VXLAN_PORT = 4789
COST = 10


@dataclass(frozen=True, order=True)
class Remark:
    """Something about one variable of one host: a problem that stops everything, or a warning."""

    host: str
    variable: str
    message: str

    def __str__(self) -> str:
        return f"{self.host}: {self.variable}: {self.message}"


@dataclass
class Wan:
    """An interface towards the internet; a family without a subnet gets its addresses by DHCP."""

    device: str
    macaddr: Optional[str] = None
    ipv4: Optional[ipaddress.IPv4Interface] = None
    gateway_ipv4: Optional[ipaddress.IPv4Address] = None
    ipv6: Optional[ipaddress.IPv6Interface] = None
    gateway_ipv6: Optional[ipaddress.IPv6Address] = None


@dataclass
class Lease:
    """A host that always gets the same address: `client` is its MAC or DUID, `number` the host part."""

    client: str
    number: int
    name: Optional[str] = None

    @property
    def is_mac(self) -> bool:
        return ":" in self.client


@dataclass
class Lan:
    """An interface with hosts. The router has the first usable address of each subnet."""

    device: str
    macaddr: Optional[str] = None
    ipv4: Optional[Network4] = None
    ipv6: Optional[Network6] = None
    leases: List[Lease] = field(default_factory=list)

    def own_ipv4(self) -> Optional[str]:
        return f"{self.ipv4.network_address + 1}/{self.ipv4.prefixlen}" if self.ipv4 else None

    def own_ipv6(self) -> Optional[str]:
        return f"{self.ipv6.network_address + 1}/{self.ipv6.prefixlen}" if self.ipv6 else None


@dataclass
class Link:
    """One side of a link, as its router has it."""

    peer: str
    host: Optional[str] = None
    port: Optional[int] = None
    cost: int = COST


@dataclass
class Service:
    """Something exposed: `listen` in the configuration's form, `upstreams` as nginx takes them."""

    name: str
    protocol: str = "tcp"
    proxy_protocol: bool = False
    listen: List[str] = field(default_factory=list)
    upstreams: List[str] = field(default_factory=list)


@dataclass
class Router:
    """Everything that an inventory says about one router."""

    inventory_name: str
    hostname: str = ""
    host_id: int = 0
    max_hosts: int = MAX_HOSTS
    domain: str = "lan"
    loopback_ipv4: Network4 = Network4("10.1.1.0/24")
    loopback_ipv6: Network6 = Network6("fd00:0:1:1::/64")
    wg_ipv4: Network4 = Network4("10.1.0.0/24")
    wg_ipv6: Network6 = Network6("fd00:0:1::/64")
    link_pool: Network4 = Network4("10.0.0.0/16")
    wg_port: int = LISTEN_PORT
    wg_psk: Optional[str] = None
    wg_psk_per_link: bool = False
    ospf_psk: Optional[str] = None
    mesh_options: Dict[str, Union[str, List[str]]] = field(default_factory=dict)
    public_key: Optional[str] = None
    private_key: Optional[str] = None
    upstream_dns: List[str] = field(default_factory=list)
    authorized_keys: List[str] = field(default_factory=list)
    packages: List[str] = field(default_factory=list)
    urandom_seed: str = "0"
    extras: Dict[str, str] = field(default_factory=dict)
    wans: List[Wan] = field(default_factory=list)
    lans: List[Lan] = field(default_factory=list)
    links: Dict[str, Link] = field(default_factory=dict)
    records: List[Tuple[str, List[str]]] = field(default_factory=list)
    services: List[Service] = field(default_factory=list)
    status_port: Optional[int] = None
    ssh_from_wan: bool = True


def pair_id(max_hosts: int, one: int, other: int) -> int:
    """The number of a link: also its VNI, and which /30 of the pool is its own."""
    return max_hosts * min(one, other) + max(one, other)


def usable(network: Union[Network4, Network6], number: int) -> Optional[Address]:
    """The usable address of this number in a network, counted from 1; none past its end."""
    last = network.num_addresses - (2 if network.version == 4 else 1)
    return network.network_address + number if 1 <= number <= last else None

"""What must fit together in an inventory: within a router, between the two ends of a link, and in the mesh."""

from __future__ import annotations

import ipaddress
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple

from .model import LISTEN_PORT, VXLAN_PORT, Lan, Remark, Router, pair_id, usable
from .reader import Reader

# What every router of a mesh has to have the same, with the attribute it is read into.
MESH_WIDE = {
    "dlan_domain": "domain",
    "dlan_maxhosts": "max_hosts",
    "dlan_loopback_subnet_ipv4": "loopback_ipv4",
    "dlan_loopback_subnet_ipv6": "loopback_ipv6",
    "dlan_wg_subnet_ipv4": "wg_ipv4",
    "dlan_wg_subnet_ipv6": "wg_ipv6",
    "dlan_ospf_subnet_pool_ipv4": "link_pool",
    "dlan_ospf_psk": "ospf_psk",
    "dlan_wg_psk": "wg_psk",
    "dlan_wg_psk_per_link": "wg_psk_per_link",
}
SECRET = ("dlan_ospf_psk", "dlan_wg_psk")


class Mesh(NamedTuple):
    """The routers of an inventory by their names there, with what is wrong and what is worth a word."""

    routers: Dict[str, Router]
    problems: List[Remark]
    warnings: List[Remark]


def read_mesh(inventory: Mapping[str, Mapping[str, Any]]) -> Mesh:
    """Reads and checks the variables of every router."""
    mesh = Mesh({}, [], [])
    for host, variables in inventory.items():
        mesh.routers[host] = Reader(host, variables, mesh.problems, mesh.warnings).read()
    # What could not be read is said already; what follows from it would only hide it.
    if not mesh.problems:
        for router in mesh.routers.values():
            _check_addresses(mesh, router)
            _check_lans(mesh, router)
            _check_ports(mesh, router)
            _check_links(mesh, router)
        _check_unique(mesh)
        _check_mesh_wide(mesh)
        _check_overlaps(mesh)
    return mesh


def _refuse(mesh: Mesh, router: Router, variable: str, message: str) -> None:
    mesh.problems.append(Remark(router.inventory_name, variable, message))


def _warn(mesh: Mesh, router: Router, variable: str, message: str) -> None:
    mesh.warnings.append(Remark(router.inventory_name, variable, message))


def _check_addresses(mesh: Mesh, router: Router) -> None:
    for variable in (
        "dlan_loopback_subnet_ipv4",
        "dlan_loopback_subnet_ipv6",
        "dlan_wg_subnet_ipv4",
        "dlan_wg_subnet_ipv6",
    ):
        network = getattr(router, MESH_WIDE[variable])
        if usable(network, router.host_id) is None:
            _refuse(mesh, router, variable, f"{network} has no address for host id {router.host_id}")


def _check_lans(mesh: Mesh, router: Router) -> None:
    variable = "dlan_lan_interfaces_configuration"
    wans = {wan.device for wan in router.wans}
    for lan in router.lans:
        at = f"{variable}[{lan.device}]"
        if lan.device in wans:
            _refuse(mesh, router, at, "is in dlan_wan_interfaces_configuration too")
        for family, network in (("ipv4", lan.ipv4), ("ipv6", lan.ipv6)):
            if network is not None and usable(network, 2) is None:
                _refuse(mesh, router, f"{at}.subnet_{family}", f"{network} has no room for hosts")
        if lan.ipv6 is not None and lan.ipv6.prefixlen != 64:
            _refuse(mesh, router, f"{at}.subnet_ipv6", f"{lan.ipv6} is not a /64: hosts make their addresses in no other")
        _check_leases(mesh, router, lan, at)


def _check_leases(mesh: Mesh, router: Router, lan: Lan, at: str) -> None:
    seen: Dict[Any, str] = {}
    for lease in lan.leases:
        where = f"{at}.leases[{lease.client}]"
        network = lan.ipv4 if lease.is_mac else lan.ipv6
        if network is None:
            family = "subnet_ipv4" if lease.is_mac else "subnet_ipv6"
            _refuse(mesh, router, where, f"is for a LAN with {family}, and this one has none")
        elif lease.number == 1:
            _refuse(mesh, router, where, "1 is the router's own address")
        elif usable(network, lease.number) is None:
            _refuse(mesh, router, where, f"{lease.number} is not in {network}")
        keys = [("address", lease.is_mac, lease.number), ("client", lease.client.lower())]
        for key in keys:
            if key in seen:
                _refuse(mesh, router, where, f"is the same {key[0]} as of the lease for {seen[key]}")
            seen[key] = lease.client
        if lease.name:
            before = seen.setdefault(("name", lease.name), str(lease.number))
            if before != str(lease.number):
                _refuse(mesh, router, where, f"the name {lease.name} is that of number {before} already")
        if not lease.is_mac and lease.number > 9:
            old = int(str(lease.number), 16)
            _warn(
                mesh,
                router,
                where,
                f"is ::{lease.number:x}, the host part {lease.number}; the predecessor's router made it ::{old:x}",
            )


def _check_ports(mesh: Mesh, router: Router) -> None:
    if router.wg_port == VXLAN_PORT:
        _refuse(mesh, router, "dlan_wg_port", f"{VXLAN_PORT} is the port of VXLAN")
    seen: Dict[Any, str] = {("udp", port): "WireGuard" for port in (router.wg_port,)}
    names = set()
    for index, service in enumerate(router.services):
        at = f"dlan_proxy[{index}]"
        if service.name in names:
            _refuse(mesh, router, f"{at}.name", f"'{service.name}' is the name of another service too")
        names.add(service.name)
        for listen in service.listen:
            port = int(listen.rpartition(":")[2])
            if (service.protocol, port) in seen:
                _refuse(mesh, router, f"{at}.listen", f"udp port {port} is that of WireGuard")
            if (service.protocol, listen) in seen:
                other = seen[service.protocol, listen]
                _refuse(mesh, router, f"{at}.listen", f"'{listen}' is where {other} listens already")
            seen[service.protocol, listen] = service.name
            if listen.startswith("[::]:"):
                _warn(
                    mesh, router, f"{at}.listen", f"'{listen}' is IPv6 only; the firewall of the predecessor opened IPv4 too"
                )


def _check_links(mesh: Mesh, router: Router) -> None:
    for peer, link in router.links.items():
        at = f"dlan_links[{peer}]"
        other = mesh.routers.get(peer)
        if peer == router.inventory_name:
            _refuse(mesh, router, at, "a router has no link to itself")
        elif other is None:
            _refuse(mesh, router, at, f"there is no router {peer} in the inventory: links name hosts as the inventory does")
        elif router.inventory_name not in other.links:
            _refuse(mesh, router, at, f"has no counterpart: dlan_links of {peer} does not name {router.inventory_name}")
        else:
            _check_link(mesh, router, other, at)


def _check_link(mesh: Mesh, router: Router, other: Router, at: str) -> None:
    link, back = router.links[other.inventory_name], other.links[router.inventory_name]
    if router.inventory_name < other.inventory_name:
        if not link.host and not back.host:
            _refuse(mesh, router, f"{at}.host", "is not set at either end: nobody can call the other")
        if link.cost != back.cost:
            _warn(mesh, router, f"{at}.cost", f"is {link.cost} here and {back.cost} at {other.inventory_name}")
        low, high = sorted((router.host_id, other.host_id))
        number = pair_id(router.max_hosts, low, high)
        if number >= 2 ** max(30 - router.link_pool.prefixlen, 0):
            needed = 30 - number.bit_length()
            _refuse(
                mesh,
                router,
                "dlan_ospf_subnet_pool_ipv4",
                f"{router.link_pool} has no /30 for the link {low}-{high}, number {number}: "
                f"that takes a /{needed}",
            )
    if link.host and link.port is None and other.wg_port != LISTEN_PORT:
        _warn(
            mesh,
            router,
            f"{at}.port",
            f"is not set: {other.inventory_name} is called at its dlan_wg_port {other.wg_port}; "
            f"the predecessor called {LISTEN_PORT}",
        )


def _check_unique(mesh: Mesh) -> None:
    for variable, attribute in (
        ("dlan_host_id", "host_id"),
        ("dlan_hostname", "hostname"),
        ("dlan_wg_pubkey", "public_key"),
    ):
        seen: Dict[Any, str] = {}
        for router in mesh.routers.values():
            value = getattr(router, attribute)
            if value is not None and value in seen:
                _refuse(mesh, router, variable, f"is the same as that of {seen[value]}: {value}")
            seen.setdefault(value, router.inventory_name)


def _check_mesh_wide(mesh: Mesh) -> None:
    first = next(iter(mesh.routers.values()), None)
    for router in mesh.routers.values():
        for variable, attribute in MESH_WIDE.items():
            ours, theirs = getattr(router, attribute), getattr(first, attribute)
            if ours != theirs:
                values = "" if variable in SECRET else f": {ours} here, {theirs} there"
                _refuse(mesh, router, variable, f"is not the same as that of {first.inventory_name}{values}")


def _check_overlaps(mesh: Mesh) -> None:
    taken: List[Any] = []
    first: Iterable[Router] = list(mesh.routers.values())[:1]
    for router in first:
        for variable, attribute in MESH_WIDE.items():
            network = getattr(router, attribute)
            if isinstance(network, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
                _take(mesh, router, variable, network, taken, variable)
    for router in mesh.routers.values():
        for lan in router.lans:
            for family, network in (("ipv4", lan.ipv4), ("ipv6", lan.ipv6)):
                variable = f"dlan_lan_interfaces_configuration[{lan.device}].subnet_{family}"
                _take(mesh, router, variable, network, taken, f"{lan.device} of {router.inventory_name}")


def _take(mesh: Mesh, router: Router, variable: str, network: Any, taken: List[Any], owner: str) -> None:
    if network is None:
        return
    for other, whose in taken:
        if other.version == network.version and other.overlaps(network):
            _refuse(mesh, router, variable, f"{network} overlaps with {other}, {whose}")
    taken.append((network, owner))

"""From a checked inventory to the configuration of one router: pure, and the same text for the same inventory."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Optional, Tuple

from . import uci
from .model import LISTEN_PORT, Link, Router

DIRECTORY = "/etc/dlan"
# Where the agent keeps its key unless told otherwise.
KEY_FILE = f"{DIRECTORY}/wg.key"
HEADER = "# Written by the ansible role dlan: what is changed here is lost with its next run.\n\n"
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_]")


@dataclass
class Target:
    """What has to be known of the router itself."""

    is_openwrt: bool = False
    # On OpenWrt the name that each WAN device has among its networks.
    networks: Mapping[str, str] = field(default_factory=dict)
    # Public keys by the routers' names in the inventory.
    keys: Mapping[str, str] = field(default_factory=dict)
    # Where secrets are, where that is not where they usually are; `wg.key` also where the router's own key is.
    paths: Mapping[str, str] = field(default_factory=dict)
    # What OSPF calls the links where that is not the neighbor's host id, by that.
    interface_ids: Mapping[int, str] = field(default_factory=dict)


def secrets(router: Router, routers: Mapping[str, Router]) -> Dict[str, str]:
    """The secrets of a router's configuration, by the file they usually are in below `/etc/dlan`."""
    found = {}
    if router.ospf_psk:
        found["ospf.secret"] = router.ospf_psk
    if router.private_key:
        found["wg.key"] = router.private_key
    if router.wg_psk and router.wg_psk_per_link:
        for peer in router.links:
            other = routers[peer].host_id
            found[f"wg-{other}.psk"] = link_psk(router.wg_psk, router.host_id, other)
    elif router.wg_psk:
        found["wg.psk"] = router.wg_psk
    return found


def link_psk(secret: str, one: int, other: int) -> str:
    """A pre-shared key for one link, from that of the mesh: who has it learns nothing of the others."""
    message = f"dlan link {min(one, other)} {max(one, other)}".encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha256).digest()).decode()


def translate(router: Router, routers: Mapping[str, Router], target: Target) -> str:
    """The text of `/etc/config/dlan`."""
    named = secrets(router, routers)

    def path(name: str) -> Optional[str]:
        return target.paths.get(name, f"{DIRECTORY}/{name}" if name in named else None)

    sections = [_mesh(router, path)]
    sections += [_wan(router, index, target) for index in range(len(router.wans))]
    sections += [_lan(lan, index) for index, lan in enumerate(router.lans)]
    for peer, link in sorted(router.links.items(), key=lambda item: routers[item[0]].host_id):
        other = routers[peer]
        if peer in target.keys:
            section = _link(link, other, target.keys[peer], path(f"wg-{other.host_id}.psk"))
            if other.host_id in target.interface_ids:
                section.options["interface_id"] = target.interface_ids[other.host_id]
            sections.append(section)
    if router.upstream_dns:
        sections.append(_section("names", "names", upstream=list(router.upstream_dns)))
    sections += _records(router)
    sections += _services(router)
    return HEADER + uci.render(sections)


def _section(kind: str, label: str, /, **options: object) -> uci.Section:
    given = {key: value for key, value in options.items() if value not in (None, [])}
    texts = {key: value if isinstance(value, list) else str(value) for key, value in given.items()}
    return uci.Section(kind, label, texts)


def _mesh(router: Router, path) -> uci.Section:
    defaults = Router("")

    def unless(attribute: str) -> object:
        """The value, unless the agent has it by default."""
        value = getattr(router, attribute)
        return None if value == getattr(defaults, attribute) else value

    return _section(
        "mesh",
        "mesh",
        host_id=router.host_id,
        name=router.hostname,
        domain=router.domain,
        max_hosts=unless("max_hosts"),
        loopback_ipv4=unless("loopback_ipv4"),
        loopback_ipv6=unless("loopback_ipv6"),
        wg_ipv4=unless("wg_ipv4"),
        wg_ipv6=unless("wg_ipv6"),
        link_pool_ipv4=unless("link_pool"),
        private_key_file=None if path("wg.key") == KEY_FILE else path("wg.key"),
        wg_psk_file=path("wg.psk"),
        ospf_secret_file=path("ospf.secret"),
        **router.mesh_options,
    )


def _wan(router: Router, index: int, target: Target) -> uci.Section:
    device = router.wans[index].device
    port = router.wg_port if index == 0 and router.wg_port != LISTEN_PORT else None
    if target.is_openwrt:
        # Its own firewall is closed towards the WAN, and masquerades.
        network = target.networks.get(device, f"wan{index}")
        return _section("wan", f"wan{index}", interface=network, listen_port=port)
    return _section(
        "wan",
        f"wan{index}",
        device=device,
        listen_port=port,
        input="drop",
        ssh=22 if router.ssh_from_wan else None,
        masquerade=1,
    )


def _lan(lan, index: int) -> uci.Section:
    leases = [" ".join(filter(None, (it.client, str(it.number), it.name))) for it in lan.leases]
    return _section(
        "lan",
        f"lan{index}",
        device=lan.device,
        zone="internal",
        ipv4=lan.own_ipv4(),
        ipv6=lan.own_ipv6(),
        dhcp=1,
        lease=leases,
    )


def _link(link: Link, other: Router, key: str, psk: Optional[str]) -> uci.Section:
    name = _UNNAMEABLE.sub("_", other.hostname)
    return _section(
        "link",
        name,
        name=other.hostname if name != other.hostname else None,
        host_id=other.host_id,
        public_key=key,
        endpoint=f"{link.host}:{link.port or other.wg_port}" if link.host else None,
        cost=link.cost,
        wg_psk_file=psk,
    )


def _records(router: Router) -> List[uci.Section]:
    return [
        _section("record", f"record{index}", name=name, address=addresses)
        for index, (name, addresses) in enumerate(router.records)
    ]


def _services(router: Router) -> List[uci.Section]:
    sections: List[uci.Section] = []
    taken: List[str] = []
    for service in router.services:
        name = _UNNAMEABLE.sub("_", service.name)
        while name in taken:
            name += "_"
        taken.append(name)
        sections.append(
            _section(
                "service",
                name,
                protocol=service.protocol,
                listen=service.listen,
                upstream=service.upstreams,
                proxy_protocol=1 if service.proxy_protocol else None,
            )
        )
    return sections

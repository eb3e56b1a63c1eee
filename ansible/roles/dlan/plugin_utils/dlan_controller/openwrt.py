"""What an inventory asks of OpenWrt's own configuration: merged into what is there, section by section, nothing replaced whole."""

from __future__ import annotations

import ipaddress
import re
from types import MappingProxyType
from typing import Dict, List, Mapping, Optional, Tuple

from . import uci
from .model import Router, Wan, usable

PACKAGES = ("network", "firewall", "dhcp", "system", "dropbear")
# On sections that are the role's own, and go when the inventory no longer asks for them.
MARK = "dlan_role"
# What sections without a name are called when they come from `*_extras`.
EXTRA = "dlan_x"
SSH_RULE = {"src": "wan", "proto": "tcp", "dest_port": "22", "target": "ACCEPT"}
_PREDECESSORS_DEVICE = re.compile(r"(vx[0-9]+|wg0)\Z")
_PREDECESSORS_ALIAS = re.compile(r"@vx[0-9]+\Z")
_IPV4_PROTOCOLS = ("static", "dhcp")


class Packages:
    """The packages of one router, and what is to become of them."""

    def __init__(self, texts: Mapping[str, str]):
        self.before = {name: uci.parse(text) for name, text in texts.items()}
        self.sections = {name: uci.parse(text) for name, text in texts.items()}

    def changed(self) -> Dict[str, str]:
        """The texts of the packages that are another after it."""
        return {
            name: uci.render(sections) for name, sections in self.sections.items() if sections != self.before[name]
        }

    def of(self, package: str, kind: str) -> List[uci.Section]:
        return [section for section in self.sections.get(package, []) if section.kind == kind]

    def named(self, package: str, name: str) -> Optional[uci.Section]:
        return next((it for it in self.sections.get(package, []) if it.name == name), None)

    def own(self, package: str, kind: str, name: str) -> uci.Section:
        """The role's section of that name, made if it is not there."""
        section = self.named(package, name)
        if section is None:
            section = uci.Section(kind, name, {MARK: "1"})
            self.sections.setdefault(package, []).append(section)
            self.before.setdefault(package, [])
        return section

    def take_over(self, package: str, extra: uci.Section, name: str) -> None:
        """Makes the same section that is there already the role's: the predecessor pasted it."""
        if self.named(package, name) not in (None, extra):
            return
        same = next((it for it in self.sections.get(package, []) if it == extra), None)
        if same is not None:
            same.name, same.options = name, {MARK: "1", **extra.options}

    def keep_only(self, package: str, names: List[str]) -> None:
        """Takes away the role's sections that nobody asks for any more."""
        sections = self.sections.get(package, [])
        if sections:
            self.sections[package] = [it for it in sections if MARK not in it.options or it.name in names]


def merge(router: Router, texts: Mapping[str, str]) -> Tuple[Dict[str, str], Dict[str, str]]:
    """Returns the packages that change, and the name that each WAN device has among OpenWrt's networks."""
    packages = Packages(texts)
    _drop_predecessor(router, packages)
    networks, zones = _network(router, packages)
    _firewall(router, packages, zones)
    _system(router, packages)
    packages.keep_only("dhcp", _extras(packages, "dhcp", router.extras.get("dhcp", "")))
    if router.authorized_keys:
        for section in packages.of("dropbear", "dropbear")[:1]:
            section.options.update(PasswordAuth="off", RootPasswordAuth="off")
    return packages.changed(), networks


def _drop_predecessor(router: Router, packages: Packages) -> None:
    """Takes the predecessor's links out: they are dlan's business, which makes them under other names."""
    gone = set()
    kept = []
    own = {str(usable(router.loopback_ipv4, router.host_id)), str(usable(router.loopback_ipv6, router.host_id)), "fe80::1"}
    for section in packages.sections.get("network", []):
        below = section.text("device") or section.text("ifname")
        is_wireguard = section.text("proto") == "wireguard" and section.name == "wg0"
        is_vxlan = section.text("proto") == "vxlan" and section.text("tunlink") == "wg0"
        is_alias = _PREDECESSORS_ALIAS.match(below) is not None
        addresses = section.words("ipaddr") + section.words("ip6addr")
        is_identity = below in ("lo", "@loopback") and addresses and all(it.split("/")[0] in own for it in addresses)
        if section.kind == "interface" and (is_wireguard or is_vxlan or is_alias or is_identity):
            gone.add(section.name)
        elif section.kind != "wireguard_wg0":
            kept.append(section)
    if gone:
        packages.sections["network"] = kept
    for zone in packages.of("firewall", "zone"):
        for option in ("network", "device"):
            words = zone.words(option)
            left = [word for word in words if word not in gone and not _PREDECESSORS_DEVICE.match(word)]
            if left != words:
                zone.options[option] = left


def _network(router: Router, packages: Packages) -> Tuple[Dict[str, str], Dict[str, List[str]]]:
    networks: Dict[str, str] = {}
    zones: Dict[str, List[str]] = {"wan": [], "lan": []}
    kept: List[str] = []
    # The networks by the names that the predecessor gave them, which its `*_extras` use.
    called: Dict[str, str] = {}
    for index, wan in enumerate(router.wans):
        name = _wan(packages, wan, f"wan{index}")
        networks[wan.device] = name
        ipv6 = _wan_ipv6(packages, wan, name)
        zones["wan"] += [name, ipv6]
        called.update({f"wan{index}": name, f"wan{index}_ipv6": ipv6})
        kept += [name, ipv6] + _device(packages, wan.device, wan.macaddr)
    for index, lan in enumerate(router.lans):
        _leave_bridges(packages, lan.device)
        section = _interface(packages, lan.device) or packages.own("network", "interface", f"lan{index}")
        section.options["device"] = lan.device
        section.options.pop("ifname", None)
        section.options["proto"] = "static"
        _set_ipv4(section, lan.own_ipv4(), None)
        _set_ipv6(section, lan.own_ipv6(), None)
        zones["lan"].append(section.name or "")
        called[f"lan{index}"] = section.name or ""
        kept += [section.name or ""] + _device(packages, lan.device, lan.macaddr)
    kept += _extras(packages, "network", router.extras.get("network", ""), called)
    packages.keep_only("network", kept)
    return networks, zones


def _interface(packages: Packages, device: str) -> Optional[uci.Section]:
    """The network on a device that has IPv4."""
    for section in packages.of("network", "interface"):
        is_on_it = device in section.words("device") + section.words("ifname")
        if is_on_it and section.name and section.text("proto") in _IPV4_PROTOCOLS and "ip6addr" not in section.options:
            return section
        if is_on_it and section.name and "ipaddr" in section.options:
            return section
    return None


def _wan(packages: Packages, wan: Wan, name: str) -> str:
    found = _interface(packages, wan.device) or packages.own("network", "interface", name)
    found.options["device"] = wan.device
    found.options.pop("ifname", None)
    found.options["proto"] = "static" if wan.ipv4 else "dhcp"
    _set_ipv4(found, str(wan.ipv4) if wan.ipv4 else None, wan.gateway_ipv4)
    return found.name or name


def _wan_ipv6(packages: Packages, wan: Wan, name: str) -> str:
    below = (wan.device, f"@{name}")
    found = None
    for section in packages.of("network", "interface"):
        is_on_it = any(word in below for word in section.words("device") + section.words("ifname"))
        has_ipv6 = section.text("proto") == "dhcpv6" or "ip6addr" in section.options
        if is_on_it and has_ipv6 and section.name and section.name != name:
            found = found or section
    section = found or packages.own("network", "interface", f"{name}_ipv6")
    if "device" not in section.options and "ifname" not in section.options:
        section.options["device"] = f"@{name}"
    section.options["proto"] = "static" if wan.ipv6 else "dhcpv6"
    if wan.ipv6 is None and found is None:
        section.options["reqprefix"] = "no"
    _set_ipv6(section, str(wan.ipv6) if wan.ipv6 else None, wan.gateway_ipv6)
    return section.name or f"{name}_ipv6"


def _set_ipv4(section: uci.Section, own: Optional[str], gateway: object) -> None:
    address, mask = section.words("ipaddr"), section.text("netmask")
    if own and len(address) == 1 and _same_address(address[0], mask, own):
        pass
    elif own:
        section.options.pop("netmask", None)
        section.options["ipaddr"] = own
    else:
        section.options.pop("netmask", None)
        section.options.pop("ipaddr", None)
    _set(section, "gateway", gateway)


def _same_address(address: str, mask: str, own: str) -> bool:
    try:
        written = address if "/" in address else f"{address}/{mask or 32}"
        return ipaddress.IPv4Interface(written) == ipaddress.IPv4Interface(own)
    except ValueError:
        return False


def _set_ipv6(section: uci.Section, own: Optional[str], gateway: object) -> None:
    words = section.words("ip6addr")
    if own and words != [own]:
        section.options["ip6addr"] = own
    elif not own:
        section.options.pop("ip6addr", None)
    _set(section, "ip6gw", gateway)


def _set(section: uci.Section, option: str, value: object) -> None:
    if value is None:
        section.options.pop(option, None)
    else:
        section.options[option] = str(value)


def _device(packages: Packages, device: str, macaddr: Optional[str]) -> List[str]:
    if not macaddr:
        return []
    found = next((it for it in packages.of("network", "device") if it.text("name") == device), None)
    if found is None:
        label = "".join(character if character.isalnum() else "_" for character in device)
        found = packages.own("network", "device", f"dlan_dev_{label}")
    found.options.update(name=device, macaddr=macaddr)
    return [found.name or ""]


def _leave_bridges(packages: Packages, device: str) -> None:
    """A device that is a LAN by itself is no port of another one."""
    for section in packages.of("network", "device"):
        for option in ("ports", "ifname"):
            words = section.words(option)
            if device in words and section.text("type") == "bridge":
                section.options[option] = [word for word in words if word != device]


def _extras(packages: Packages, package: str, text: str, called: Mapping[str, str] = MappingProxyType({})) -> List[str]:
    """Merges raw sections, and returns the names they have. What is said of a section that is `called` otherwise here is added to
    what it says already, as UCI does with two sections of one name."""
    names = []
    for index, extra in enumerate(uci.parse(text)):
        name = called.get(extra.name or "", extra.name or f"{EXTRA}{index}")
        packages.take_over(package, extra, name)
        section = packages.own(package, extra.kind, name)
        section.kind = extra.kind
        if MARK in section.options and name not in called.values():
            section.options = {MARK: "1", **extra.options}
        else:
            section.options.update(extra.options)
        names.append(name)
    return names


def _firewall(router: Router, packages: Packages, zones: Dict[str, List[str]]) -> None:
    known = packages.of("firewall", "zone")
    for zone, networks in zones.items():
        section = next((it for it in known if it.text("name") == zone), None)
        if section is None:
            continue
        words = section.words("network")
        missing = [name for name in networks if not any(name in other.words("network") for other in known)]
        if missing:
            section.options["network"] = words + missing
    kept = []
    if router.ssh_from_wan and "firewall" in packages.sections:
        kept = ["dlan_ssh"]
        rule = packages.own("firewall", "rule", "dlan_ssh")
        rule.options.update(name="dlan: SSH", **SSH_RULE)
    elif "firewall" in packages.sections:
        # The predecessor's rule has no other words.
        rules = packages.sections["firewall"]
        packages.sections["firewall"] = [it for it in rules if it.kind != "rule" or _without_name(it.options) != SSH_RULE]
    packages.keep_only("firewall", kept)


def _without_name(options: Mapping[str, uci.Value]) -> Dict[str, uci.Value]:
    return {option: value for option, value in options.items() if option != "name"}


def _system(router: Router, packages: Packages) -> None:
    for section in packages.of("system", "system")[:1]:
        section.options.update(hostname=router.hostname, urandom_seed=router.urandom_seed)
    packages.keep_only("system", _extras(packages, "system", router.extras.get("system", "")))

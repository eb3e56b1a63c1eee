"""Reads one host's variables into a router. What cannot be read is noted, with the host and the variable, and left out."""

from __future__ import annotations

import difflib
import ipaddress
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from . import keys, uci
from .model import Lan, Lease, Link, Remark, Router, Service, Wan

LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)\Z")
RECORD_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)\Z")
DEVICE = re.compile(r"(?!-)[A-Za-z0-9._+-]{1,15}\Z")
MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}\Z")
DUID = re.compile(r"([0-9A-Fa-f]{2}){7,130}\Z")
OPTION = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+_-]*\Z")
# What may stand behind an upstream; nginx takes times in other units than seconds too.
UPSTREAM_WORD = re.compile(r"(weight|max_fails|fail_timeout|max_conns)=[0-9]{1,6}\Z|backup\Z|down\Z")
FAIL_TIMEOUT = re.compile(r"fail_timeout=([0-9]{1,4})([smhd])\Z")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
KEY_KINDS = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")

# Every variable of the role's predecessor, and its default.
DEFAULTS: Dict[str, Any] = {
    "dlan_hostname": None,  # the name in the inventory
    "dlan_domain": "lan",
    "dlan_upstream_dns_servers": [],
    "dlan_authorized_keys": [],
    "dlan_uci_network_extras": "",
    "dlan_uci_dhcp_extras": "",
    "dlan_uci_system_extras": "",
    "dlan_opkg_install": [],
    "dlan_system_urandom_seed": "0",
    "dlan_host_id": None,
    "dlan_wan_interfaces_configuration": {},
    "dlan_lan_interfaces_configuration": {},
    "dlan_loopback_subnet_ipv4": "10.1.1.0/24",
    "dlan_loopback_subnet_ipv6": "fd00:0000:0001:0001::/64",
    "dlan_ospf_psk": None,
    "dlan_ospf_subnet_pool_ipv4": "10.0.0.0/16",
    "dlan_wg_port": 51820,
    "dlan_wg_psk": None,
    "dlan_wg_subnet_ipv4": "10.1.0.0/24",
    "dlan_wg_subnet_ipv6": "fd00:0000:0001:0000::/64",
    "dlan_wg_pubkey": None,
    "dlan_wg_privkey": None,
    "dlan_host_records": {},
    "dlan_links": {},
    "dlan_proxy": [],
    "dlan_nginx_status_port": None,
}
# Variables that only this role has, read here as well.
OWN_DEFAULTS: Dict[str, Any] = {
    "dlan_ssh_from_wan": True,
    "dlan_wg_psk_per_link": False,
    "dlan_mesh_options": {},
    "dlan_maxhosts": 256,
}
# All that are read here.
VARIABLES = {**DEFAULTS, **OWN_DEFAULTS}
# Options of `config mesh` that the role writes itself, and the variable to set instead.
MESH_VARIABLES = {
    "host_id": "dlan_host_id",
    "name": "dlan_hostname",
    "domain": "dlan_domain",
    "max_hosts": "dlan_maxhosts",
    "loopback_ipv4": "dlan_loopback_subnet_ipv4",
    "loopback_ipv6": "dlan_loopback_subnet_ipv6",
    "wg_ipv4": "dlan_wg_subnet_ipv4",
    "wg_ipv6": "dlan_wg_subnet_ipv6",
    "link_pool_ipv4": "dlan_ospf_subnet_pool_ipv4",
    "private_key_file": "dlan_wg_privkey",
    "wg_psk_file": "dlan_wg_psk",
    "ospf_secret_file": "dlan_ospf_psk",
}
# Variables of the role's tasks: known, and not read here.
TASK_VARIABLES = (
    "dlan_program",
    "dlan_package",
    "dlan_confirm_time",
    "dlan_start_command",
    "dlan_hosts",
    "dlan_serial",
    "dlan_force",
    "dlan_wait_for_neighbors",
    "dlan_authorized_keys_file",
    "dlan_rollback_number",
    "dlan_reload_service_by_filepath",
)


class Reader:
    """Reads the variables of one host."""

    def __init__(self, host: str, variables: Mapping[str, Any], problems: List[Remark], warnings: List[Remark]):
        self.host, self.problems, self.warnings = host, problems, warnings
        self.variables = dict(VARIABLES)
        self.variables.update((name, variables[name]) for name in self.variables if name in variables)
        self.names = [name for name in variables if isinstance(name, str) and name.startswith("dlan_")]

    def refuse(self, variable: str, message: str) -> None:
        self.problems.append(Remark(self.host, variable, message))

    def warn(self, variable: str, message: str) -> None:
        self.warnings.append(Remark(self.host, variable, message))

    def read(self) -> Router:
        """Reads them all."""
        self._warn_of_unknown_names()
        router = Router(self.host)
        self._identity(router)
        self._keys(router)
        self._mesh(router)
        router.mesh_options = self._mesh_options()
        router.wans = self._wans()
        router.lans = self._lans()
        router.links = self._links()
        router.records = self._records()
        router.services = self._services()
        self._system(router)
        return router

    # Single values

    def _warn_of_unknown_names(self) -> None:
        known = [*self.variables, *TASK_VARIABLES]
        for name in sorted(set(self.names) - set(known)):
            near = difflib.get_close_matches(name, known, 1, 0.8)
            if near:
                self.warn(name, f"is no variable of this role; did you mean {near[0]}?")

    def _integer(self, variable: str, value: Any, least: int, most: int) -> Optional[int]:
        text = str(value).strip()
        number = int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) and not isinstance(value, bool) else None
        if number is None or not least <= number <= most:
            self.refuse(variable, f"'{value}' is not a whole number from {least} to {most}")
            return None
        return number

    def _boolean(self, variable: str, value: Any) -> bool:
        text = str(value).strip().lower()
        if text not in TRUE + FALSE:
            self.refuse(variable, f"'{value}' is neither true nor false")
        return text in TRUE

    def _text(self, variable: str, value: Any) -> str:
        if isinstance(value, (dict, list)):
            self.refuse(variable, "is not a text")
            return ""
        return str(value)

    def _label(self, variable: str, value: Any) -> str:
        label = self._small(variable, value)
        if not LABEL.match(label):
            self.refuse(
                variable, f"'{value}' is not a host name: small letters, digits and '-', at most 63, no '-' at either end"
            )
        return label

    def _domain(self, variable: str, value: Any) -> str:
        domain = self._small(variable, value)
        if not all(LABEL.match(label) for label in domain.split(".")):
            self.refuse(variable, f"'{value}' is not a domain such as lan or home.arpa")
        return domain

    def _small(self, variable: str, value: Any) -> str:
        """A name in small letters, by which it is found however it is asked for."""
        text = str(value)
        if text != text.lower():
            self.warn(variable, f"'{text}' is written {text.lower()}: DNS knows no difference")
        return text.lower()

    def _device(self, variable: str, value: Any) -> str:
        if not DEVICE.match(str(value)):
            self.refuse(variable, f"'{value}' is not a device name such as eth0: 1 to 15 letters, digits, '-', '_', '.', '+'")
        return str(value)

    def _network(self, variable: str, value: Any, version: int) -> Any:
        kind = ipaddress.IPv4Network if version == 4 else ipaddress.IPv6Network
        try:
            if "/" not in str(value):
                raise ValueError
            return kind(str(value), strict=False)
        except ValueError:
            example = "10.2.0.0/24" if version == 4 else "fd79:2de7:db86::/64"
            self.refuse(variable, f"'{value}' is not an IPv{version} network such as {example}")
            return None

    def _interface(self, variable: str, value: Any, version: int) -> Any:
        kind = ipaddress.IPv4Interface if version == 4 else ipaddress.IPv6Interface
        try:
            if "/" not in str(value):
                raise ValueError
            return kind(str(value))
        except ValueError:
            example = "203.0.113.2/24" if version == 4 else "2001:db8::2/64"
            self.refuse(variable, f"'{value}' is not an IPv{version} address with its prefix length such as {example}")
            return None

    def _address(self, variable: str, value: Any, version: Optional[int] = None) -> Any:
        try:
            address = ipaddress.ip_address(str(value))
            if version in (None, address.version):
                return address
        except ValueError:
            pass
        self.refuse(variable, f"'{value}' is not an IP{'v%d' % version if version else ''} address")
        return None

    def _list(self, variable: str) -> List[Tuple[str, Any]]:
        value = self.variables[variable]
        if value is None:
            return []
        if not isinstance(value, (list, tuple)):
            self.refuse(variable, "is not a list")
            return []
        return [(f"{variable}[{index}]", item) for index, item in enumerate(value)]

    def _map(self, variable: str, value: Any, known: Optional[Tuple[str, ...]] = None) -> Dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.refuse(variable, "is not a map")
            return {}
        for key in value if known else ():
            if key not in known:
                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                self.warn(f"{variable}.{key}", f"has no meaning; {hint}")
        return {str(key): item for key, item in value.items()}

    # Groups of variables

    def _identity(self, router: Router) -> None:
        get = self.variables.get
        hostname = get("dlan_hostname")
        router.hostname = self._label("dlan_hostname", self.host if hostname is None else hostname)
        router.domain = self._domain("dlan_domain", get("dlan_domain"))
        router.max_hosts = self._integer("dlan_maxhosts", get("dlan_maxhosts"), 2, 4095) or router.max_hosts
        if get("dlan_host_id") is None:
            self.refuse("dlan_host_id", "is not set: each router has a number of its own")
        else:
            router.host_id = self._integer("dlan_host_id", get("dlan_host_id"), 1, router.max_hosts) or 0

    def _keys(self, router: Router) -> None:
        private, public = self.variables["dlan_wg_privkey"], self.variables["dlan_wg_pubkey"]
        router.private_key = self._key("dlan_wg_privkey", private)
        router.public_key = self._key("dlan_wg_pubkey", public)
        if router.private_key:
            self.warn(
                "dlan_wg_privkey",
                "whoever reads the inventory can be this router; leave both keys out, and the router makes its own",
            )
            derived = keys.public_key(router.private_key)
            if router.public_key and router.public_key != derived:
                self.refuse("dlan_wg_pubkey", "does not belong to dlan_wg_privkey")
            router.public_key = router.public_key or derived
        elif router.public_key:
            self.warn("dlan_wg_pubkey", "is used as it stands, though the router could be asked for its key")

    def _key(self, variable: str, value: Any) -> Optional[str]:
        # One that comes out of a vault or a file may have the end of its line with it.
        text = "" if value is None else str(value).strip()
        if not text:
            return None
        try:
            keys.decode(text)
        except keys.BadKey as error:
            # A private key is never repeated, and what stands here may be one.
            self.refuse(variable, f"is not a WireGuard key: {error}")
            return None
        return text

    def _mesh(self, router: Router) -> None:
        get = self.variables.get
        for attribute, variable, version in (
            ("loopback_ipv4", "dlan_loopback_subnet_ipv4", 4),
            ("loopback_ipv6", "dlan_loopback_subnet_ipv6", 6),
            ("wg_ipv4", "dlan_wg_subnet_ipv4", 4),
            ("wg_ipv6", "dlan_wg_subnet_ipv6", 6),
            ("link_pool", "dlan_ospf_subnet_pool_ipv4", 4),
        ):
            network = self._network(variable, get(variable), version)
            if network is not None:
                setattr(router, attribute, network)
        router.wg_port = self._integer("dlan_wg_port", get("dlan_wg_port"), 1, 65535) or router.wg_port
        router.wg_psk = self._key("dlan_wg_psk", get("dlan_wg_psk"))
        router.wg_psk_per_link = self._boolean("dlan_wg_psk_per_link", get("dlan_wg_psk_per_link"))
        if router.wg_psk and not router.wg_psk_per_link:
            self.warn(
                "dlan_wg_psk",
                "a stolen router has the key of every link; dlan_wg_psk_per_link: true gives each link one of its own",
            )
        if get("dlan_ospf_psk") not in (None, ""):
            router.ospf_psk = self._text("dlan_ospf_psk", get("dlan_ospf_psk"))
            is_plain = router.ospf_psk.isprintable() and router.ospf_psk.strip() != ""
            if not is_plain or len(router.ospf_psk.encode()) > 1000:
                self.refuse("dlan_ospf_psk", "is not one line of text of at most 1000 octets")

    def _mesh_options(self) -> Dict[str, Union[str, List[str]]]:
        """Options of `config mesh` as the operator names them; what they may be the program on the router knows."""
        variable, options = "dlan_mesh_options", {}
        for name, value in self._map(variable, self.variables[variable]).items():
            at = f"{variable}[{name}]"
            if not OPTION.match(str(name)):
                self.refuse(at, "is not the name of an option such as bfd_interval")
            elif name in MESH_VARIABLES:
                self.refuse(at, f"is what {MESH_VARIABLES[name]} is for")
            elif isinstance(value, (list, tuple)):
                options[name] = [self._option(at, item) for item in value]
            else:
                options[name] = self._option(at, value)
        return options

    def _option(self, at: str, value: Any) -> str:
        if isinstance(value, bool):
            return str(int(value))
        if not isinstance(value, (str, int, float)) or not str(value) or not str(value).isprintable():
            self.refuse(at, f"'{value}' is not a number, a truth value or a line of text")
            return ""
        return str(value)

    def _wans(self) -> List[Wan]:
        variable, wans = "dlan_wan_interfaces_configuration", []
        known = ("macaddr", "subnet_ipv4", "gateway_ipv4", "subnet_ipv6", "gateway_ipv6")
        for device, value in self._map(variable, self.variables[variable]).items():
            at = f"{variable}[{device}]"
            given = self._map(at, value, known)
            wan = Wan(self._device(at, device), self._mac(at, given))
            for family, version in (("ipv4", 4), ("ipv6", 6)):
                subnet, gateway = given.get(f"subnet_{family}"), given.get(f"gateway_{family}")
                if subnet:
                    setattr(wan, family, self._interface(f"{at}.subnet_{family}", subnet, version))
                if gateway:
                    setattr(wan, f"gateway_{family}", self._address(f"{at}.gateway_{family}", gateway, version))
                self._check_gateway(at, family, getattr(wan, family), getattr(wan, f"gateway_{family}"))
            wans.append(wan)
        if not wans:
            self.refuse(variable, "names no interface: a router has at least one towards the internet")
        return wans

    def _check_gateway(self, at: str, family: str, own: Any, gateway: Any) -> None:
        if gateway is None:
            return
        if own is None:
            self.refuse(f"{at}.gateway_{family}", f"stands without subnet_{family}")
        elif gateway not in own.network and not gateway.is_link_local:
            self.refuse(f"{at}.gateway_{family}", f"{gateway} is not in {own.network}")
        elif gateway == own.ip:
            self.refuse(f"{at}.gateway_{family}", f"{gateway} is the router's own address")

    def _mac(self, at: str, given: Dict[str, Any]) -> Optional[str]:
        mac = given.get("macaddr")
        if mac and not MAC.match(str(mac)):
            self.refuse(f"{at}.macaddr", f"'{mac}' is not a MAC address such as 52:54:00:5a:bf:0b")
        return str(mac) if mac else None

    def _lans(self) -> List[Lan]:
        variable, lans = "dlan_lan_interfaces_configuration", []
        for device, value in self._map(variable, self.variables[variable]).items():
            at = f"{variable}[{device}]"
            given = self._map(at, value, ("macaddr", "subnet_ipv4", "subnet_ipv6", "leases"))
            lan = Lan(self._device(at, device), self._mac(at, given))
            for family, version in (("ipv4", 4), ("ipv6", 6)):
                subnet = given.get(f"subnet_{family}")
                if subnet:
                    setattr(lan, family, self._network(f"{at}.subnet_{family}", subnet, version))
            if not given.get("subnet_ipv4") and not given.get("subnet_ipv6"):
                self.refuse(at, "has neither subnet_ipv4 nor subnet_ipv6")
            for client, text in self._map(f"{at}.leases", given.get("leases")).items():
                lease = self._lease(f"{at}.leases[{client}]", client, text)
                if lease:
                    lan.leases.append(lease)
            lans.append(lan)
        return lans

    def _lease(self, at: str, client: str, value: Any) -> Optional[Lease]:
        if not (MAC if ":" in client else DUID).match(client):
            self.refuse(at, f"'{client}' is neither a MAC address nor a DUID in hexadecimal")
            return None
        number, _, name = str(value).partition(",")
        count = self._integer(at, number, 1, 2**24)
        name = name.strip()
        if name:
            name = self._label(at, name)
        return Lease(client, count, name or None) if count else None

    def _links(self) -> Dict[str, Link]:
        variable, links = "dlan_links", {}
        for peer, value in self._map(variable, self.variables[variable]).items():
            at = f"{variable}[{peer}]"
            given = self._map(at, value, ("host", "port", "cost"))
            link = Link(peer)
            if given.get("host"):
                link.host = self._endpoint_host(f"{at}.host", str(given["host"]))
            if given.get("port") is not None:
                link.port = self._integer(f"{at}.port", given["port"], 1, 65535)
            if given.get("cost") is not None:
                link.cost = self._integer(f"{at}.cost", given["cost"], 1, 65535) or link.cost
            links[peer] = link
        return links

    def _endpoint_host(self, variable: str, host: str) -> Optional[str]:
        try:
            address = ipaddress.ip_address(host.strip("[]"))
            if address.is_unspecified or address.is_multicast or "%" in host:
                self.refuse(variable, f"'{host}' is no router's address on the internet")
            return f"[{address}]" if address.version == 6 else str(address)
        except ValueError:
            # A last label of digits alone is a mistyped address.
            labels = host.rstrip(".").split(".")
            if all(RECORD_LABEL.match(label) for label in labels) and not labels[-1].isdigit():
                return host
        self.refuse(variable, f"'{host}' is neither an address nor a name")
        return None

    def _records(self) -> List[Tuple[str, List[str]]]:
        variable = "dlan_host_records"
        records: Dict[str, List[str]] = {}
        for address, names in self._map(variable, self.variables[variable]).items():
            at = f"{variable}[{address}]"
            found = self._address(at, address)
            if found and (found.is_unspecified or found.is_multicast or found.is_link_local):
                self.refuse(at, f"no name can stand for {found}")
            for name in [names] if isinstance(names, str) else names or []:
                if not all(RECORD_LABEL.match(label) for label in str(name).split(".")):
                    self.refuse(at, f"'{name}' is not a name such as www.example.com")
                elif found and str(found) not in records.setdefault(str(name), []):
                    records[str(name)].append(str(found))
        return sorted(records.items())

    def _services(self) -> List[Service]:
        services = []
        for at, value in self._list("dlan_proxy"):
            given = self._map(at, value, ("name", "protocol", "use_proxy_protocol", "listen", "upstreams"))
            service = Service(str(given.get("name") or ""))
            if not service.name:
                self.refuse(f"{at}.name", "is not set")
            service.protocol = str(given.get("protocol") or "tcp").lower()
            if service.protocol not in ("tcp", "udp"):
                self.refuse(f"{at}.protocol", f"'{given.get('protocol')}' is neither tcp nor udp")
            service.proxy_protocol = self._boolean(
                f"{at}.use_proxy_protocol", given.get("use_proxy_protocol") or False
            )
            if service.proxy_protocol and service.protocol == "udp":
                self.refuse(f"{at}.use_proxy_protocol", "there is none over udp")
            service.listen = self._each(f"{at}.listen", given.get("listen"), self._listen)
            service.upstreams = self._each(f"{at}.upstreams", given.get("upstreams"), self._upstream)
            if service.upstreams and all({"backup", "down"} & set(it.split()) for it in service.upstreams):
                self.refuse(f"{at}.upstreams", "are all backup or down: one has to be used ordinarily")
            services.append(service)
        return services

    def _each(self, at: str, value: Any, read: Callable[[str, str], Optional[str]]) -> List[str]:
        items = [value] if isinstance(value, (str, int)) else value
        if not isinstance(items, (list, tuple)) or not items:
            self.refuse(at, "has to have at least one entry")
            return []
        found = (read(f"{at}[{index}]", str(item)) for index, item in enumerate(items))
        # In order, each once.
        return list(dict.fromkeys(item for item in found if item))

    def _listen(self, at: str, text: str) -> Optional[str]:
        """In nginx a port alone and `*` are every IPv4 address."""
        words = text.split()
        host, _, port = words[0].rpartition(":") if words else ("", "", "")
        if len(words) > 1:
            self.warn(at, f"'{' '.join(words[1:])}' is left out: nginx is told what the service asks for")
        if self._integer(at, port, 1, 65535) is None:
            return None
        if host in ("", "*"):
            return f"0.0.0.0:{port}"
        return self._with_port(at, host, port)

    def _with_port(self, at: str, host: str, port: str) -> Optional[str]:
        is_bracketed = host.startswith("[") and host.endswith("]")
        address = self._address(at, host[1:-1] if is_bracketed else host, 6 if is_bracketed else 4)
        if address is None:
            return None
        return f"[{address}]:{port}" if is_bracketed else f"{address}:{port}"

    def _upstream(self, at: str, text: str) -> Optional[str]:
        words = text.split()
        host, _, port = words[0].rpartition(":") if words else ("", "", "")
        if not host or self._integer(at, port, 1, 65535) is None:
            if not host:
                self.refuse(at, f"'{text}' is not a host with a port such as nas.r1.lan:443")
            return None
        if ":" in host:
            target = self._with_port(at, host, port)
        else:
            target = f"{host}:{port}" if self._endpoint_host(at, host) else None
        options = [self._upstream_word(at, word) for word in words[1:]]
        return " ".join([target, *options]) if target else None

    def _upstream_word(self, at: str, word: str) -> str:
        timeout = FAIL_TIMEOUT.match(word)
        if timeout:
            word = f"fail_timeout={int(timeout.group(1)) * SECONDS[timeout.group(2)]}"
        if not UPSTREAM_WORD.match(word):
            self.refuse(at, f"'{word}' is none of weight=, max_fails=, fail_timeout=, max_conns=, backup and down")
        return word

    def _system(self, router: Router) -> None:
        for at, item in self._list("dlan_upstream_dns_servers"):
            address = self._address(at, item)
            if address and (address.is_unspecified or address.is_multicast or "%" in str(address)):
                self.refuse(at, f"{address} is no server's address")
            elif address and str(address) not in router.upstream_dns:
                router.upstream_dns.append(str(address))
        for at, item in self._list("dlan_authorized_keys"):
            # One entry may be a whole file of keys.
            lines = [line.strip() for line in str(item).splitlines()]
            for line in lines:
                if line and not line.startswith("#"):
                    self._authorized_key(at, line)
                    router.authorized_keys.append(line)
        for at, item in self._list("dlan_opkg_install"):
            if not PACKAGE.match(str(item)):
                self.refuse(at, f"'{item}' is not the name of a package")
            router.packages.append(str(item))
        router.urandom_seed = self._text("dlan_system_urandom_seed", self.variables["dlan_system_urandom_seed"])
        router.ssh_from_wan = self._boolean("dlan_ssh_from_wan", self.variables["dlan_ssh_from_wan"])
        if router.ssh_from_wan:
            self.warn("dlan_ssh_from_wan", "SSH is open to the internet, as in the predecessor; false closes it")
        for package in ("network", "dhcp", "system"):
            variable = f"dlan_uci_{package}_extras"
            text = self._text(variable, self.variables[variable] or "")
            try:
                uci.parse(text)
            except uci.UciError as error:
                self.refuse(variable, str(error))
                text = ""
            router.extras[package] = text
        port = self.variables["dlan_nginx_status_port"]
        if port not in (None, ""):
            router.status_port = self._integer("dlan_nginx_status_port", port, 1, 65535)
            self.warn("dlan_nginx_status_port", "opens no port: `dlan services --json` on the router tells more")

    def _authorized_key(self, at: str, line: str) -> None:
        if not any(word.startswith(KEY_KINDS) for word in line.split()[:-1]):
            self.refuse(at, "is not a line of authorized_keys such as 'ssh-ed25519 AAAA... name'")

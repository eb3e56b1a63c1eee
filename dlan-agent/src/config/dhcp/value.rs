//! Turns the texts of options about hosts into values. What they become stands in files of other programs, so that each
//! character is one that means nothing there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::{DhcpOption, LeaseClient, StaticLease};
use crate::config::kind::Kind;
use crate::config::value::{self, Rejection};

type Decoded<T> = Result<T, Rejection>;

/// The longest lease that has an end: a year.
const LEASE_TIME_MAX: u64 = 365 * 86_400;
/// dnsmasq's shortest lease.
const LEASE_TIME_MIN: u64 = 120;
/// The octets of the longest DUID (RFC 8415 section 11.1).
const DUID_MAX: usize = 130;
/// The octets of the longest option.
const OPTION_MAX: usize = 250;
/// The octets of the longest name of a boot file: its field in DHCP has one more.
const BOOT_FILE_MAX: usize = 127;

/// Reads how long a lease lasts; `None`: for ever.
pub fn lease_time(text: &str, _: Kind) -> Decoded<Option<Duration>> {
    if text == "infinite" {
        return Ok(None);
    }
    let (number, unit) = match text.char_indices().last() {
        Some((at, 'm')) => (text.get(..at), 60),
        Some((at, 'h')) => (text.get(..at), 3600),
        Some((at, 'd')) => (text.get(..at), 86_400),
        Some((at, 's')) => (text.get(..at), 1),
        _ => (Some(text), 1),
    };
    let number = number.filter(|number| number.chars().all(|c| c.is_ascii_digit()));
    let seconds = number.and_then(|number| number.parse::<u64>().ok()?.checked_mul(unit));
    match seconds {
        Some(seconds) if (LEASE_TIME_MIN..=LEASE_TIME_MAX).contains(&seconds) => {
            Ok(Some(Duration::from_secs(seconds)))
        }
        Some(_) => Err(Rejection::because("a lease lasts 2m at least and 365d at most")),
        None => Err(Rejection::default()),
    }
}

/// Reads a client that always gets the same address.
pub fn lease(text: &str, _: Kind) -> Decoded<StaticLease> {
    let mut words = text.split_ascii_whitespace();
    let (Some(client), Some(host_part)) = (words.next(), words.next()) else {
        return Err(Rejection::because("the host part is missing"));
    };
    let client = lease_client(client)?;
    let digits = host_part.chars().all(|c| c.is_ascii_digit());
    let host_part = host_part.parse().ok().filter(|part| digits && *part > 0);
    let Some(host_part) = host_part else {
        return Err(Rejection::because("the host part is a whole number from 1 on"));
    };
    let name = words.next().map(|name| value::label(name, Kind::Label)).transpose();
    let name =
        name.map_err(|_| Rejection::because(format!("the name is to be {}", Kind::Label.allowed())))?;
    match words.next() {
        Some(_) => Err(Rejection::because("there is something behind the name")),
        None => Ok(StaticLease { client, host_part, name }),
    }
}

fn lease_client(text: &str) -> Decoded<LeaseClient> {
    let plain: String = text.chars().filter(|c| !matches!(c, ':' | '-')).collect();
    let octets: Option<Vec<u8>> = (0..plain.len() / 2)
        .map(|index| u8::from_str_radix(plain.get(2 * index..2 * index + 2)?, 16).ok())
        .collect();
    let is_hexadecimal = plain.len().is_multiple_of(2) && plain.chars().all(|c| c.is_ascii_hexdigit());
    let octets = octets.filter(|_| is_hexadecimal).unwrap_or_default();
    let is_separated = plain.len() != text.len();
    match <[u8; 6]>::try_from(octets.as_slice()) {
        Ok(mac) if is_separated => Ok(LeaseClient::Mac(mac)),
        _ if (7..=DUID_MAX).contains(&octets.len()) => Ok(LeaseClient::Duid(octets)),
        _ => Err(Rejection::because(format!("{text:?} is neither a MAC nor a DUID"))),
    }
}

/// Reads the address of a server.
pub fn server(text: &str, _: Kind) -> Decoded<IpAddr> {
    let address: IpAddr = text.parse().map_err(|_| Rejection::default())?;
    let is_odd = address.is_unspecified() || address.is_multicast() || address.is_loopback();
    if is_odd {
        Err(Rejection::because("no server that hosts can ask has that address"))
    } else {
        Ok(address)
    }
}

/// Reads the IPv4 address of a server.
pub fn server_ipv4(text: &str, kind: Kind) -> Decoded<Ipv4Addr> {
    match server(text, kind)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(Rejection::because("that is an IPv6 address")),
    }
}

/// Reads a further option of DHCP.
pub fn option(text: &str, _: Kind) -> Decoded<DhcpOption> {
    // RFC 2132: padding, end, and what DHCP itself and this router say.
    decode_option(text, |code| !matches!(code, 0 | 1 | 12 | 28 | 50..=61 | 81 | 82 | 255))
}

/// Reads a further option of DHCPv6.
pub fn option6(text: &str, _: Kind) -> Decoded<DhcpOption> {
    // RFC 8415 section 21: what DHCPv6 itself says.
    decode_option(text, |code| !matches!(code, 0..=20 | 25 | 26 | 39))
}

fn decode_option(text: &str, is_free: fn(u8) -> bool) -> Decoded<DhcpOption> {
    let Some((code, value)) = text.split_once(',') else {
        return Err(Rejection::because("the comma between number and value is missing"));
    };
    let digits = !code.is_empty() && code.chars().all(|c| c.is_ascii_digit());
    let Some(code) = code.parse().ok().filter(|_| digits) else {
        return Err(Rejection::because("the option's number is one from 1 to 254"));
    };
    if !is_free(code) {
        return Err(Rejection::because(format!(
            "option {code} is not a further one: it is sent anyway, or never"
        )));
    }
    let harmless = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '.' | ':' | '/' | ',' | '_' | '@' | '+' | '=' | '%' | '~' | '-')
    };
    let bracketed = value.split(',').all(|part| match part.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inside| inside.parse::<Ipv6Addr>().is_ok()),
        None => part.chars().all(harmless),
    });
    if value.is_empty() || value.len() > OPTION_MAX || !bracketed {
        let why = "a value has letters, digits and . : / , _ @ + = % ~ -, and IPv6 addresses in brackets";
        return Err(Rejection::because(why));
    }
    Ok(DhcpOption { code, value: value.to_owned() })
}

/// Reads the name of a boot file.
pub fn boot_file(text: &str, _: Kind) -> Decoded<String> {
    let fits = !text.is_empty() && text.len() <= BOOT_FILE_MAX && text.chars().all(is_path_character);
    let climbs = text.split('/').any(|part| part == "..");
    if fits && !climbs { Ok(text.to_owned()) } else { Err(Rejection::default()) }
}

/// Reads an absolute path of a directory.
pub fn directory(text: &str, _: Kind) -> Decoded<PathBuf> {
    let fits = text.starts_with('/') && text.len() <= OPTION_MAX && text.chars().all(is_path_character);
    let climbs = text.split('/').any(|part| part == ".." || part == ".");
    if fits && !climbs { Ok(PathBuf::from(text)) } else { Err(Rejection::default()) }
}

fn is_path_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_by_its_mac_or_its_duid() {
        let lease = |text| lease(text, Kind::Lease);
        let by_mac = lease("52:54:00:5a:BF:0b 2 nas").unwrap();
        assert_eq!(by_mac.client, LeaseClient::Mac([0x52, 0x54, 0, 0x5a, 0xbf, 0x0b]));
        assert_eq!((by_mac.host_part, by_mac.name.as_deref()), (2, Some("nas")));
        let by_duid = lease("00:03:00:01:52:54:00:5a:bf:0b 7").unwrap();
        assert_eq!(by_duid.client.to_string(), "00:03:00:01:52:54:00:5a:bf:0b");
        assert_eq!(lease("000300015254005abf0b 7").unwrap(), by_duid);
        for wrong in [
            "",
            "52:54:00:5a:bf:0b",
            "52:54:00:5a:bf 2",
            "5254005abf0b 2",
            "52:54:00:5a:bf:0b 0",
            "52:54:00:5a:bf:0b +2",
            "52:54:00:5a:bf:0b 2 na_s,x",
            "52:54:00:5a:bf:0b 2 nas more",
            "zz:54:00:5a:bf:0b 2 nas",
        ] {
            assert!(lease(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_lease_lasts_from_minutes_to_for_ever() {
        let time = |text| lease_time(text, Kind::LeaseTime).ok().map(|time| time.map(|time| time.as_secs()));
        for (text, seconds) in [("2m", 120), ("12h", 43_200), ("7d", 604_800), ("3600", 3600), ("300s", 300)]
        {
            assert_eq!(time(text), Some(Some(seconds)), "{text}");
        }
        assert_eq!(time("infinite"), Some(None));
        for wrong in ["", "h", "119", "366d", "1w", "-3h", "1.5h", "99999999999999999999d", "12 h"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_option_says_nothing_else() {
        let option = |text| option(text, Kind::DhcpOption).map(|option| (option.code, option.value));
        assert_eq!(option("42,10.2.0.1,10.2.0.2"), Ok((42, "10.2.0.1,10.2.0.2".to_owned())));
        for wrong in [
            "42",
            ",x",
            "42,",
            "0,x",
            "255,x",
            "53,1",
            "300,x",
            "4x,1",
            "42,a b",
            "42,a\nconf-script=/x",
            "42,a#b",
            "42,\"a",
            "42,[::1",
            "42,[x]",
            "42,a\\b",
            "42,tag:x\u{7f}",
        ] {
            assert!(option(wrong).is_err(), "{wrong:?}");
        }
        let option6 = option6("31,[fd79::1],[fd79::2]", Kind::DhcpOption).unwrap();
        assert_eq!((option6.code, option6.value.as_str()), (31, "[fd79::1],[fd79::2]"));
    }

    #[test]
    fn paths_and_boot_files_do_not_climb() {
        assert!(directory("/srv/tftp", Kind::Directory).is_ok());
        assert!(boot_file("efi/ipxe.efi", Kind::BootFile).is_ok());
        for wrong in ["srv", "/srv/../etc", "/srv,x", "/srv x", "/srv\n", ""] {
            assert!(directory(wrong, Kind::Directory).is_err(), "{wrong:?}");
        }
        for wrong in ["../x", "a,b", "a b", "a#b", ""] {
            assert!(boot_file(wrong, Kind::BootFile).is_err(), "{wrong:?}");
        }
    }
}

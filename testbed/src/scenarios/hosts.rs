//! Hosts that are plugged into a LAN get addresses and names by themselves, and keep them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::dhcp::Guest;
use crate::error::LabError;
use crate::lab::{Lab, write_file};
use crate::scenarios::{Scenario, Stage, claim};
use crate::second_lan::SECOND_LAN;
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "host-plugged-in",
        claim: "A host plugged into a LAN gets addresses of both families and a name by itself; the name resolves forward and back, \
                there and for a host at another router.",
        topology: "reference",
        run: host_plugged_in,
    },
    Scenario {
        name: "lease-holds",
        claim: "A static lease holds while dnsmasq is killed and its agent starts again, and dnsmasq is there again without anybody's doing.",
        topology: "reference",
        run: lease_holds,
    },
    Scenario {
        name: "lan-families",
        claim: "A LAN gives one family alone when asked to, and two LANs of one router are two.",
        topology: "reference",
        run: lan_families,
    },
    Scenario {
        name: "network-boot",
        claim: "Hosts that start from the network are told the file of their architecture and get it from their router by TFTP; further \
                options and search domains arrive; a host with a DUID of its own gets the IPv6 address that is its.",
        topology: "reference",
        run: network_boot,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// The section of the LAN in every router's configuration.
const SECTION: &str = "config lan 'lan0'\n\toption device 'br-lan'\n";

/// Has a router serve its LAN as these lines say; returns its configuration of before.
pub(super) fn serve(lab: &Lab, router: &str, lines: &str) -> Result<String, LabError> {
    let before = lab.read_config(router)?;
    claim(before.contains(SECTION), || format!("{router} has another configuration:\n{before}"))?;
    lab.write_config(router, &before.replace(SECTION, &format!("{SECTION}{lines}")))?;
    lab.dlan(router, &["apply"])?;
    Ok(before)
}

/// Gives a router back its configuration.
pub(super) fn put_back(lab: &Lab, router: &str, config: &str) -> Result<(), LabError> {
    lab.write_config(router, config)?;
    lab.dlan(router, &["apply"])?;
    claim(dnsmasq(lab, router)?.is_empty(), || format!("{router} has a dnsmasq that nobody asks for"))
}

/// Returns the process ids of a router's dnsmasq.
fn dnsmasq(lab: &Lab, router: &str) -> Result<Vec<i32>, LabError> {
    let is_it = |arguments: &[String]| {
        arguments.first().is_some_and(|it| it.ends_with("/dnsmasq"))
            && arguments.iter().any(|it| it.contains("/run/dlan-programs/"))
    };
    Ok(lab.node(router)?.processes(is_it))
}

fn host_plugged_in(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let before = serve(lab, "r1", "\toption dhcp '1'\n\toption mtu '1400'\n")?;
    let guest = Guest::unplug(lab, "s1")?;
    let begun = Instant::now();
    guest.plug()?;
    let made = wait::until(LIMIT, "an address made of a router advertisement", || {
        guest.ipv6().and_then(|found| found.first().copied().ok_or("none".to_owned()))
    })?;
    let after_ra = begun.elapsed();
    let ipv4 = wait::until(LIMIT, "an IPv4 address by DHCP", || guest.ask_ipv4())?;
    let all = wait::until(LIMIT, "an IPv6 address by DHCPv6", || match guest.ask_ipv6()? {
        found if found.len() >= 2 => Ok(found),
        found => Err(format!("{found:?}")),
    })?;
    let took = begun.elapsed();
    let in_pool = (Ipv4Addr::new(10, 2, 1, 100)..=Ipv4Addr::new(10, 2, 1, 249)).contains(&ipv4);
    claim(in_pool, || format!("{ipv4} is not one of those that are given out"))?;
    let mtu = lab.node("s1")?.run("ip", &["-o", "link", "show", "dev", "eth0"])?;
    claim(mtu.contains("mtu 1400"), || format!("s1 sends larger packets than it was told to: {mtu}"))?;
    // The address of its own gets the name once dnsmasq has heard it.
    let names = wait::until(LIMIT, "s1's name to have all its addresses", || {
        let found = guest.resolve("s1.r1.lan");
        let addresses = all.iter().map(ToString::to_string).chain([ipv4.to_string()]);
        if addresses.clone().all(|one| found.contains(&one)) { Ok(found) } else { Err(format!("{found:?}")) }
    })?;
    for address in [IpAddr::V4(ipv4), IpAddr::V6(made)] {
        let name = guest.name_of(&address.to_string());
        claim(name == "s1.r1.lan", || format!("{address} is {name:?} to s1"))?;
    }
    claim(guest.resolve("s1").len() == names.len(), || "the short name does not resolve".to_owned())?;
    claim(guest.resolve("r1.lan") == ["10.1.1.1", "fd00:0:1:1::1"], || {
        "r1.lan is not r1's identity".to_owned()
    })?;
    let far = found_from_afar(lab, ipv4, all.len() + 1)?;
    let ping = lab.node("s1")?.succeeds("ping", &["-c", "1", "-W", "5", "10.2.2.13"]);
    claim(ping, || "s1 does not reach s3 in another LAN by what it was given".to_owned())?;
    guest.restore()?;
    put_back(lab, "r1", &before)?;
    stage.saw(format!(
        "{made} after {:.1} s, {ipv4} after {:.1} s, a name with {} addresses that s5 at r3 finds {far:.1} s later, forward and back",
        after_ra.as_secs_f64(),
        took.as_secs_f64(),
        names.len()
    ));
    Ok(())
}

/// Waits until s5, a host at r3, finds s1 by its name and by an address; returns the seconds that it took.
fn found_from_afar(lab: &Lab, ipv4: Ipv4Addr, count: usize) -> Result<f64, LabError> {
    let begun = Instant::now();
    let ask = |words: &[&str]| {
        lab.dig("s5", &[&["@10.1.1.3"], words].concat()).map_err(|error| error.with_causes())
    };
    wait::until(LIMIT, "s5 to find s1.r1.lan and its name", || {
        let (one, other) = (ask(&["s1.r1.lan"])?, ask(&["s1.r1.lan", "AAAA"])?);
        let back = ask(&["-x", &ipv4.to_string()])?;
        let found = one.data("A").len() + other.data("AAAA").len();
        let is_found = one.data("A") == [ipv4.to_string()] && found == count;
        if is_found && back.data("PTR") == ["s1.r1.lan."] {
            Ok(begun.elapsed().as_secs_f64())
        } else {
            Err(format!("{one:?}, {other:?}, {back:?}"))
        }
    })
}

fn lease_holds(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let guest = Guest::unplug(lab, "s2")?;
    let lease = format!("\toption dhcp '1'\n\tlist lease '{} 7 nas'\n", guest.mac()?);
    let before = serve(lab, "r1", &lease)?;
    guest.plug()?;
    let holds = |guest: &Guest<'_>, when: &str| -> Result<(), LabError> {
        let ipv4 = wait::until(LIMIT, "the leased IPv4 address", || guest.ask_ipv4())?;
        claim(ipv4 == Ipv4Addr::new(10, 2, 1, 7), || format!("s2 has {ipv4} {when}"))?;
        wait::until(LIMIT, "the leased IPv6 address", || match guest.ask_ipv6()? {
            found if found.iter().any(|one| one.to_string() == "fd79:2de7:db86:1::7") => Ok(()),
            found => Err(format!("{found:?}")),
        })?;
        let name = guest.name_of("10.2.1.7");
        claim(name == "nas.r1.lan", || format!("10.2.1.7 is {name:?} {when}"))
    };
    holds(&guest, "at first")?;
    let processes = dnsmasq(lab, "r1")?;
    let [killed] = processes.as_slice() else {
        return Err(LabError::Claim(format!("r1 has these dnsmasq: {processes:?}")));
    };
    lab.node("r1")?.kill(*killed);
    let begun = Instant::now();
    wait::until(LIMIT, "another dnsmasq", || match dnsmasq(lab, "r1") {
        Ok(now) if now.len() == 1 && !now.contains(killed) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let repaired = begun.elapsed();
    let leases = lab.node("r1")?.run("cat", &["/var/lib/dlan/dnsmasq.leases"])?;
    claim(leases.contains("10.2.1.7"), || format!("the lease is not kept:\n{leases}"))?;
    holds(&guest, "after dnsmasq was killed")?;
    wait::until(LIMIT, "the agent to be settled", || match lab.plans_nothing("r1") {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    // Not before: what only reads its files for mistakes is one for a moment.
    let another = dnsmasq(lab, "r1")?;
    lab.kill_agent("r1")?;
    lab.start_agent("r1")?;
    wait::until(LIMIT, "the agent to be settled", || match lab.plans_nothing("r1") {
        Ok(true) => Ok(()),
        other => Err(format!("{other:?}")),
    })?;
    let now = dnsmasq(lab, "r1")?;
    claim(now == another, || format!("the agent that started again has {now:?} instead of {another:?}"))?;
    holds(&guest, "after the agent was killed")?;
    // Another lease is read without a restart.
    let other =
        lab.read_config("r1")?.replace(&lease, &format!("{lease}\tlist lease '02:00:00:00:00:99 9 tv'\n"));
    lab.write_config("r1", &other)?;
    lab.dlan("r1", &["apply"])?;
    wait::until(LIMIT, "the name of another lease", || match guest.resolve("tv.r1.lan") {
        found if found.contains(&"10.2.1.9".to_owned()) => Ok(()),
        found => Err(format!("{found:?}")),
    })?;
    claim(dnsmasq(lab, "r1")? == another, || "dnsmasq was started again for a lease".to_owned())?;
    guest.restore()?;
    put_back(lab, "r1", &before)?;
    lab.wait_for_adjacencies(LIMIT)?;
    stage.saw(format!("a killed dnsmasq is there again after {:.1} s", repaired.as_secs_f64()));
    Ok(())
}

/// The DUID of a host, by a UUID (RFC 6355).
const DUID: [u8; 18] =
    [0, 4, 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

fn network_boot(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let router = lab.node("r4")?;
    router.run("mkdir", &["-p", "/run/tftp/efi"])?;
    for (file, text) in [("bios.0", "for BIOS"), ("efi/boot.efi", "for UEFI")] {
        write_file(&router.path(&format!("/run/tftp/{file}")), text)?;
    }
    let duid: Vec<String> = DUID.iter().map(|octet| format!("{octet:02x}")).collect();
    let lines = format!(
        "\toption dhcp '1'\n\toption boot_file 'bios.0'\n\toption boot_file_efi 'efi/boot.efi'\n\toption tftp_root '/run/tftp'\n\
         \tlist dhcp_option '42,10.2.4.1'\n\tlist search 'example.org'\n\tlist lease '{} 9 printer'\n",
        duid.join(":")
    );
    let before = serve(lab, "r4", &lines)?;
    let guest = Guest::unplug(lab, "s6")?;
    guest.set_duid(&DUID)?;
    guest.plug()?;
    // By the numbers of IANA: a PC's BIOS, x64 by UEFI, ARM of 64 bits by UEFI.
    for (architecture, file, text) in
        [(0, "bios.0", "for BIOS"), (7, "efi/boot.efi", "for UEFI"), (11, "efi/boot.efi", "for UEFI")]
    {
        let lease = wait::until(LIMIT, "a lease for firmware", || guest.ask_as_firmware(architecture))?;
        claim(lease.contains(&format!("filename \"{file}\";")), || {
            format!("architecture {architecture} is told another file than {file}:\n{lease}")
        })?;
        let told = lease.contains("option ntp-servers 10.2.4.1;") && lease.contains("example.org");
        claim(told, || format!("an option or the search domain is missing:\n{lease}"))?;
        let got = lab.node("s6")?.run("curl", &["-s", "-m", "20", &format!("tftp://10.2.4.1/{file}")])?;
        claim(got == text, || format!("{file} is {got:?} by TFTP"))?;
    }
    let ipv6 = wait::until(LIMIT, "the IPv6 address of the DUID", || match guest.ask_ipv6()? {
        found if found.iter().any(|one| one.to_string() == "fd79:2de7:db86:4::9") => Ok(found),
        found => Err(format!("{found:?}")),
    })?;
    let name = guest.name_of("fd79:2de7:db86:4::9");
    claim(name == "printer.r4.lan", || format!("the address is {name:?}"))?;
    guest.restore()?;
    lab.node("s6")?.run("rm", &["-f", "/run/dhclient-6.leases"])?;
    router.run("rm", &["-r", "/run/tftp"])?;
    put_back(lab, "r4", &before)?;
    stage.saw(format!("three architectures, two files by TFTP, {} IPv6 addresses", ipv6.len()));
    Ok(())
}

fn lan_families(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let guest = Guest::unplug(lab, "s6")?;
    let before = serve(lab, "r4", "\toption dhcpv4 '1'\n")?;
    guest.plug()?;
    let ipv4 = wait::until(LIMIT, "an IPv4 address by DHCP", || guest.ask_ipv4())?;
    let ipv6 = guest.ipv6().map_err(LabError::Claim)?;
    claim(ipv6.is_empty(), || format!("an IPv4-only LAN gives {ipv6:?}"))?;
    put_back(lab, "r4", &before)?;
    guest.restore()?;
    let guest = Guest::unplug(lab, "s6")?;
    serve(lab, "r4", "\toption ra '1'\n\toption dhcpv6 '1'\n")?;
    guest.plug()?;
    let ipv6 = wait::until(LIMIT, "IPv6 addresses", || match guest.ask_ipv6()? {
        found if found.len() >= 2 => Ok(found),
        found => Err(format!("{found:?}")),
    })?;
    let config = lab.node("r4")?.run("cat", &["/run/dlan-programs/dnsmasq/dnsmasq.conf"])?;
    claim(!config.contains("dhcp-range=set:lan0,10."), || {
        "an IPv6-only LAN gives IPv4 addresses".to_owned()
    })?;
    guest.restore()?;
    put_back(lab, "r4", &before)?;

    // s2's cable goes to a LAN of its own.
    lab.add_second_lan("r1", "s2")?;
    let cam = format!(
        "\nconfig lan 'cam'\n\toption device '{SECOND_LAN}'\n\toption ipv4 '10.2.77.1/24'\n\toption ipv6 'fd79:2de7:db86:77::1/64'\n\
        \toption dhcp '1'\n\toption subdomain 'cam'\n"
    );
    let before = lab.read_config("r1")?;
    let both = before.replace(SECTION, &format!("{SECTION}\toption dhcp '1'\n"));
    lab.write_config("r1", &format!("{both}{cam}"))?;
    lab.dlan("r1", &["apply"])?;
    let (one, two) = (Guest::unplug(lab, "s1")?, Guest::unplug(lab, "s2")?);
    one.plug()?;
    two.plug()?;
    let first = wait::until(LIMIT, "an address in the first LAN", || one.ask_ipv4())?;
    let second = wait::until(LIMIT, "an address in the second LAN", || two.ask_ipv4())?;
    let (a, b) = (first.octets(), second.octets());
    claim(a.starts_with(&[10, 2, 1]) && b.starts_with(&[10, 2, 77]), || format!("{first} and {second}"))?;
    let name = one.name_of(&second.to_string());
    claim(name == "s2.cam.r1.lan", || format!("{second} is {name:?}"))?;
    let reached = lab.node("s1")?.succeeds("ping", &["-c", "1", "-W", "5", &second.to_string()]);
    claim(reached, || format!("{second} is not reached from the other LAN"))?;
    one.restore()?;
    two.restore()?;
    put_back(lab, "r1", &before)?;
    lab.remove_second_lan("r1", "s2")?;
    stage.saw(format!(
        "IPv4 alone: {ipv4}; IPv6 alone: {} addresses; two LANs: {first} and {second}",
        ipv6.len()
    ));
    Ok(())
}

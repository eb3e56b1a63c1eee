//! Names of the whole mesh: what one router announces, every other one and its hosts find.

use std::time::Duration;

use crate::dig::Answer;
use crate::error::LabError;
use crate::lab::Lab;
use crate::scenarios::{Scenario, Stage, claim};
use crate::wait;

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "names",
        claim: "Routers' names and records written at one router resolve at another router and for its hosts, forward and back, by UDP and TCP; nobody else is answered.",
        topology: "reference",
        run: names,
    },
    Scenario {
        name: "names-owner-away",
        claim: "A leased name of r1 resolves forward and back for a host at r3; with r1 cut off the answers go on, marked as stale, for the configured time, and count again when r1 is back.",
        topology: "reference",
        run: owner_away,
    },
    Scenario {
        name: "names-mixed",
        claim: "BIRD and FRR between dlan routers carry names along: a record of r1 resolves at r11, and goes with its section.",
        topology: "mixed",
        run: mixed,
    },
];

const LIMIT: Duration = Duration::from_secs(60);
/// Where the agent's name server is asked on a router itself.
const LOCAL: [&str; 2] = ["@127.0.0.1", "-p5354"];

/// What r1's operator writes.
const RECORDS: &str = "
config record 'www'
	option name 'www.example.com'
	list address '10.2.1.10'
	list address 'fd79:2de7:db86:1::10'
config record 'git'
	option name 'git.lan'
	option cname 'www.example.com'
config record 'sip'
	option name '_sip._udp.lan'
	list srv 'r4.lan 5060 10 5'
	list ptr 'front._sip._udp.lan'
";

/// More texts than fit into 512 octets.
fn large() -> String {
    let line = |number: usize| format!("\tlist txt 'text {number} {}'\n", "x".repeat(150));
    format!("config record 'large'\n\toption name 'large.lan'\n{}", (0..8).map(line).collect::<String>())
}

fn names(stage: &mut Stage) -> Result<(), LabError> {
    let before = stage.lab.read_config("r1")?;
    stage.lab.write_config("r1", &format!("{before}{RECORDS}{}", large()))?;
    stage.lab.dlan("r1", &["apply"])?;
    resolves(stage)?;
    for_hosts(stage)?;
    sizes(stage)?;
    refusals(stage)?;
    shown(stage)?;
    stage.lab.write_config("r1", &before)?;
    stage.lab.dlan("r1", &["apply"])?;
    until(&stage.lab, "r3", &["www.example.com"], "refused", |answer| answer.status == "REFUSED")?;
    Ok(())
}

/// Asks r3's own server about what r1 announces.
fn resolves(stage: &mut Stage) -> Result<(), LabError> {
    let lab = &stage.lab;
    let answers: [(&[&str], &str, &[&str]); 8] = [
        (&["r4.lan"], "A", &["10.1.1.4"]),
        (&["r4.lan", "AAAA"], "AAAA", &["fd00:0:1:1::4"]),
        (&["-x", "10.1.1.4"], "PTR", &["r4.lan."]),
        (&["-x", "fd00:0:1:1::4"], "PTR", &["r4.lan."]),
        (&["www.example.com"], "A", &["10.2.1.10"]),
        (&["git.lan", "AAAA"], "AAAA", &["fd79:2de7:db86:1::10"]),
        (&["_sip._udp.lan", "SRV"], "SRV", &["10 5 5060 r4.lan."]),
        (&["_sip._udp.lan", "PTR"], "PTR", &["front._sip._udp.lan."]),
    ];
    for (arguments, kind, data) in answers {
        until(lab, "r3", arguments, &format!("{data:?}"), |answer| answer.data(kind) == data)?;
    }
    let nobody = until(lab, "r3", &["r9.lan"], "no such name", |answer| answer.status == "NXDOMAIN")?;
    claim(nobody.has_authority, || {
        "that there is no r9.lan comes without a time for which it holds".to_owned()
    })?;
    stage.saw("r3 finds r4's name and r1's records, forward and back, A to SRV; r9.lan is nobody");
    Ok(())
}

/// Asks from a host at r3, at r3's identity.
fn for_hosts(stage: &mut Stage) -> Result<(), LabError> {
    for at in ["@10.1.1.3", "@fd00:0:1:1::3"] {
        for transport in ["+notcp", "+tcp"] {
            let answer = stage.lab.dig("s5", &[at, transport, "git.lan"])?;
            claim(answer.data("A") == ["10.2.1.10"], || format!("s5 {at} {transport} git.lan: {answer:?}"))?;
        }
    }
    let far = stage.lab.dig("s5", &["@10.1.1.1", "www.example.com", "AAAA"])?;
    claim(far.data("AAAA") == ["fd79:2de7:db86:1::10"], || format!("s5 at r1's identity: {far:?}"))?;
    stage.saw("s5, a host at r3, finds them at r3's identity by UDP and TCP over both families, and at r1's");
    Ok(())
}

fn sizes(stage: &mut Stage) -> Result<(), LabError> {
    let ask =
        |arguments: &[&str]| stage.lab.dig("s5", &[&["@10.1.1.3", "large.lan", "TXT"], arguments].concat());
    for size in [&["+noedns", "+ignore"][..], &["+bufsize=512", "+ignore"]] {
        let short = ask(size)?;
        claim(short.has_flag("tc"), || format!("1,300 octets of text with {size:?}: {short:?}"))?;
    }
    let whole = ask(&["+bufsize=512"])?;
    claim(whole.data("TXT").len() == 8, || {
        format!("all texts over TCP: {} of them", whole.data("TXT").len())
    })?;
    let later = stage.lab.dig("s5", &["@10.1.1.3", "large.lan", "+edns=1", "+noednsneg"])?;
    claim(later.status == "BADVERS", || format!("EDNS version 1: {later:?}"))?;
    stage.saw(
        "1,300 octets are cut short over UDP and whole over TCP; EDNS of another version is said to be one",
    );
    Ok(())
}

/// What is not answered: questions for everything, about the world, from outside.
fn refusals(stage: &mut Stage) -> Result<(), LabError> {
    for arguments in
        [&["r4.lan", "ANY", "+notcp"][..], &["example.org"], &["lan", "AXFR"], &["r4.lan", "-c", "CH"]]
    {
        let answer = stage.lab.dig("s5", &[&["@10.1.1.3"], arguments].concat())?;
        let is_refused =
            answer.status == "REFUSED" || (arguments.contains(&"AXFR") && answer.records.is_empty());
        claim(is_refused, || format!("{arguments:?}: {answer:?}"))?;
    }
    // A machine on r2's WAN knows the way to it.
    for address in ["@192.168.1.2", "@10.1.1.2", "@10.2.2.1"] {
        for port in ["-p53", "-p5354"] {
            let _ = stage
                .lab
                .node("x2")?
                .succeeds("ip", &["route", "replace", "10.0.0.0/8", "via", "192.168.1.2"]);
            let answer = stage.lab.dig("x2", &["+time=1", address, port, "r4.lan"])?;
            claim(answer.status.is_empty(), || format!("from the WAN {address} {port}: {answer:?}"))?;
        }
    }
    let _ = stage.lab.node("x2")?.succeeds("ip", &["route", "del", "10.0.0.0/8"]);
    stage.saw("ANY, AXFR, class CH and names of the world are refused; from r2's WAN nothing answers");
    Ok(())
}

fn shown(stage: &mut Stage) -> Result<(), LabError> {
    let report = stage.lab.dlan_json("r3", &["names"])?;
    let names = |field: &str, key: &str| -> Vec<String> {
        let items = report.get(field).and_then(|items| items.as_array()).into_iter().flatten();
        items.filter_map(|item| Some(item.get(key)?.as_str()?.to_owned())).collect()
    };
    let zones = names("zones", "zone");
    claim(zones == ["r1.lan", "r2.lan", "r3.lan", "r4.lan", "r5.lan"], || format!("zones: {zones:?}"))?;
    let prefixes = names("reverse", "prefix");
    claim(prefixes.contains(&"10.2.4.0/24".to_owned()), || format!("reverse zones: {prefixes:?}"))?;
    let text = stage.lab.dlan("r3", &["names"])?;
    claim(text.contains("www.example.com"), || format!("`dlan names` of r3: {text}"))
}

/// The section of the LAN in every router's configuration.
const LAN: &str = "config lan 'lan0'\n\toption device 'br-lan'\n";
/// A host that always gets the same address: its name is known without it.
const LEASE: &str = "\toption dhcp '1'\n\tlist lease '52:54:00:5a:bf:0b 7 nas'\n";

fn owner_away(stage: &mut Stage) -> Result<(), LabError> {
    let mut before = Vec::new();
    for (router, lines, more) in [
        ("r1", LEASE, RECORDS),
        ("r3", "\toption dhcp '1'\n", "\nconfig names 'names'\n\toption stale_time '45'\n"),
    ] {
        let text = stage.lab.read_config(router)?;
        let served = text.replace(LAN, &format!("{LAN}{lines}"));
        stage.lab.write_config(router, &format!("{served}{more}"))?;
        stage.lab.dlan(router, &["apply"])?;
        before.push((router, text));
    }
    let nas = |answer: &Answer| answer.data("A") == ["10.2.1.7"];
    until(&stage.lab, "r1", &["nas.r1.lan"], "its own lease", nas)?;
    until(&stage.lab, "r3", &["nas.r1.lan"], "r1's lease", nas)?;
    until(&stage.lab, "r3", &["-x", "10.2.1.7"], "its name", |answer| answer.data("PTR") == ["nas.r1.lan."])?;
    // The hosts' resolver at r3 is dnsmasq, which has the agent answer for the rest of the mesh, and for records of any name.
    for (name, address) in
        [("nas.r1.lan", "10.2.1.7"), ("www.example.com", "10.2.1.10"), ("r1.lan", "10.1.1.1")]
    {
        host_finds(&stage.lab, name, address)?;
    }
    stage.saw(
        "nas.r1.lan, a lease of r1, resolves forward and back at r3, and for its host s5 through dnsmasq",
    );
    for neighbor in ["r4", "r5"] {
        stage.lab.set_cut("r1", neighbor, true)?;
    }
    let stale =
        until(&stage.lab, "r3", &["nas.r1.lan"], "a stale answer", |answer| answer.is_stale && nas(answer))?;
    let ttls: Vec<u32> = stale.records.iter().map(|record| record.ttl).collect();
    claim(ttls == [10], || format!("a stale answer has TTLs {ttls:?}"))?;
    host_finds(&stage.lab, "nas.r1.lan", "10.2.1.7")?;
    until(&stage.lab, "r3", &["nas.r1.lan"], "given up", |answer| answer.status == "SERVFAIL")?;
    stage.saw("r1 cut off: r3 and s5 get the last answer, stale with a TTL of 10 s, for the configured 45 s and no longer");
    for neighbor in ["r4", "r5"] {
        stage.lab.set_cut("r1", neighbor, false)?;
    }
    until(&stage.lab, "r3", &["nas.r1.lan"], "r1's lease again", |answer| nas(answer) && !answer.is_stale)?;
    for (router, text) in before {
        stage.lab.write_config(router, &text)?;
        stage.lab.dlan(router, &["apply"])?;
    }
    stage.lab.wait_for_adjacencies(LIMIT)?;
    stage.lab.wait_for_routes(LIMIT)
}

/// Waits until s5, a host at r3, is answered by r3's dnsmasq.
fn host_finds(lab: &Lab, name: &str, address: &str) -> Result<(), LabError> {
    wait::until(LIMIT, &format!("s5 to find {name}"), || {
        let answer = lab.dig("s5", &["@10.2.3.1", name]).map_err(|error| error.with_causes())?;
        if answer.data("A") == [address] { Ok(()) } else { Err(format!("{answer:?}")) }
    })
}

fn mixed(stage: &mut Stage) -> Result<(), LabError> {
    let before = stage.lab.read_config("r1")?;
    stage.lab.write_config("r1", &format!("{before}{RECORDS}"))?;
    stage.lab.dlan("r1", &["apply"])?;
    for router in ["r3", "r8", "r11"] {
        until(&stage.lab, router, &["www.example.com"], "r1's record", |answer| {
            answer.data("A") == ["10.2.1.10"]
        })?;
        until(&stage.lab, router, &["-x", "10.1.1.1"], "r1's name", |answer| {
            answer.data("PTR") == ["r1.lan."]
        })?;
    }
    stage.saw("r3, r8 and r11 know r1's record and name; BIRD or FRR is on every way there");
    stage.lab.write_config("r1", &before)?;
    stage.lab.dlan("r1", &["apply"])?;
    until(&stage.lab, "r11", &["www.example.com"], "refused", |answer| answer.status == "REFUSED")?;
    stage.saw("without its section the record is gone at r11");
    Ok(())
}

/// Asks a router's own name server until the answer is as it shall be.
fn until(
    lab: &Lab,
    router: &str,
    arguments: &[&str],
    what: &str,
    holds: impl Fn(&Answer) -> bool,
) -> Result<Answer, LabError> {
    wait::until(LIMIT, &format!("{router}: {} to be {what}", arguments.join(" ")), || {
        let answer = lab.dig(router, &[&LOCAL, arguments].concat()).map_err(|error| error.with_causes())?;
        if holds(&answer) { Ok(answer) } else { Err(format!("{answer:?}")) }
    })
}

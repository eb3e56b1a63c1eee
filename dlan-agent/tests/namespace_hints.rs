//! What the real kernel tells of changes, in namespaces of its own: of whose, how soon, and in which order. Needs root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod fixture;
#[path = "fixture/namespace.rs"]
mod namespace;
#[path = "fixture/router.rs"]
mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dlan_agent::plan::Plan;
use dlan_agent::system::Hint;
use router::{in_namespace, name, run};

#[test]
fn a_change_by_somebody_else_makes_a_hint() {
    in_namespace("a_change_by_somebody_else_makes_a_hint", |router| async move {
        router.reach(&router.wanted(&[("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])])).await;
        let vxlan = "link add vx9 type vxlan id 9 dstport 4790 local 127.0.0.1 remote 192.0.2.9";
        run("ip", &vxlan.split(' ').collect::<Vec<_>>());
        let mut hints = router.system.watch();
        // Until the sockets listen, and what came before them has been heard.
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        let damages: [&[&str]; 7] = [
            &["sh", "-c", "ip route replace 10.3.0.0/24 dev lan0 table 141 metric 32 proto 141"],
            &[
                "sh",
                "-c",
                "ip nexthop replace $(ip nexthop show | grep -m1 via | sed 's/fe80::1/fe80::9/;s/scope link//')",
            ],
            &["bridge", "fdb", "del", "00:00:00:00:00:00", "dev", "vx9", "dst", "192.0.2.9"],
            &["ip", "route", "del", "10.3.0.0/24", "table", "141", "metric", "32"],
            &["ip", "rule", "del", "pref", "30142"],
            &["nft", "flush", "ruleset"],
            &["ip", "address", "add", "10.99.0.1/24", "dev", "lan0"],
        ];
        for damage in damages {
            run(damage[0], &damage[1..]);
            let hint = tokio::time::timeout(Duration::from_secs(5), hints.next()).await;
            assert!(hint.is_ok(), "no hint after {damage:?}");
            while tokio::time::timeout(Duration::from_millis(100), hints.next()).await.is_ok() {}
        }
    });
}

#[test]
fn what_the_agent_changes_itself_makes_no_hint_and_a_carrier_is_told_by_the_name_of_its_device() {
    let test = "what_the_agent_changes_itself_makes_no_hint_and_a_carrier_is_told_by_the_name_of_its_device";
    in_namespace(test, |router| async move {
        let ways: [(&str, &[(&str, &str)]); 1] = [("10.3.0.0/24", &[("dlan-vx2", "fe80::1")])];
        router.reach(&router.wanted(&ways)).await;
        let mut hints = router.system.watch();
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        let observed = router.observe().await;
        let plan = Plan::routes(&observed, &router.wanted(&[]));
        assert!(plan.steps().len() > 2, "a route, its group and its way go: {plan}");
        assert!(router.system.apply(&plan).await.is_success());
        let hint = tokio::time::timeout(Duration::from_millis(300), hints.next()).await;
        assert!(hint.is_err(), "{hint:?}");
        for (word, told) in [("down", Hint::Down(name("dlan-vx2"))), ("up", Hint::Up(name("dlan-vx2")))] {
            run("ip", &["link", "set", "far-dlan-vx2", word]);
            let is_told = async { while hints.next().await != told {} };
            tokio::time::timeout(Duration::from_secs(20), is_told).await.expect(word);
        }
    });
}

/// Makes a device of which the kernel tells nothing but its carrier.
fn add_quiet_device(device: &str) -> u32 {
    let line = format!("link add {device} type vxlan id 9 dstport 4790 local 127.0.0.1 remote 192.0.2.9");
    run("ip", &line.replace("id 9", &format!("id {}", device.len())).split(' ').collect::<Vec<_>>());
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6"), "1").unwrap();
    run("ip", &["link", "set", device, "up"]);
    nix::net::if_::if_nametoindex(device).unwrap()
}

/// Takes a device's carrier or gives it back, and waits until the kernel has done what follows from it.
async fn set_carrier(device: &str, is_up: bool) {
    run("ip", &["link", "set", device, "protodown", if is_up { "off" } else { "on" }]);
    let is_done = async {
        while run("ip", &["-o", "link", "show", device]).contains(",LOWER_UP") != is_up {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_done).await.expect(device);
}

#[test]
fn what_nobody_hurries_to_hear_of_waits_and_is_told_in_its_order() {
    in_namespace("what_nobody_hurries_to_hear_of_waits_and_is_told_in_its_order", |router| async move {
        let (one, other) = (add_quiet_device("one"), add_quiet_device("other"));
        let mut hints = router.system.watch();
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        // Whatever is to be looked for is another matter.
        let mut next = async |patience: u64| loop {
            match tokio::time::timeout(Duration::from_millis(patience), hints.next()).await {
                Ok(Hint::Look | Hint::LookLater) => {}
                Ok(carrier) => return Some(carrier),
                Err(_) => return None,
            }
        };
        let (down, up) = (|device| Some(Hint::Down(name(device))), |device| Some(Hint::Up(name(device))));
        let (soon, long) = (300, 20_000);

        router.system.hear_late(BTreeSet::from([one]));
        assert_eq!(next(soon).await, None);
        set_carrier("one", false).await;
        set_carrier("one", true).await;
        assert_eq!(next(soon).await, None);
        set_carrier("other", false).await;
        assert_eq!(next(long).await, down("one"), "what waited comes before what it waited for");
        assert_eq!(next(long).await, up("one"));
        assert_eq!(next(long).await, down("other"));

        set_carrier("one", false).await;
        assert_eq!(next(soon).await, None);
        router.system.hear_aside();
        assert_eq!(next(long).await, down("one"), "it was asked for");

        set_carrier("one", true).await;
        assert_eq!(next(soon).await, None);
        router.system.hear_late(BTreeSet::from([other]));
        assert_eq!(next(long).await, up("one"), "nothing is forgotten when another waits");
        set_carrier("other", true).await;
        assert_eq!(next(soon).await, None);
        set_carrier("one", false).await;
        assert_eq!(next(long).await, up("other"));
        assert_eq!(next(long).await, down("one"), "it is heard at once");
        router.system.hear_late(BTreeSet::new());
        assert_eq!(next(soon).await, None);
        set_carrier("other", false).await;
        assert_eq!(next(long).await, down("other"), "nothing waits any more");
    });
}

/// Has `ip` do what these lines say.
fn batch(lines: &str) -> Child {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    ip
}

#[test]
fn carriers_are_heard_of_in_the_end_whatever_waits_meanwhile() {
    in_namespace("carriers_are_heard_of_in_the_end_whatever_waits_meanwhile", |router| async move {
        let devices = ["one", "other"];
        let [one, other] = devices.map(add_quiet_device);
        let mut hints = router.system.watch();
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        let toggles = (0..400).map(|turn| {
            let word = if turn / 2 % 2 == 0 { "on" } else { "off" };
            format!("link set {} protodown {word}\n", devices[turn % 2])
        });
        let lines: String = toggles.chain(["link set one protodown on\n".to_owned()]).collect();
        let mut toggling = batch(&lines);
        let sets = [vec![one], vec![other], vec![one, other], vec![], vec![other], vec![one]];
        for set in sets.iter().cycle() {
            router.system.hear_late(set.iter().copied().collect());
            tokio::time::sleep(Duration::from_millis(1)).await;
            if toggling.try_wait().unwrap().is_some() {
                break;
            }
        }
        let mut is_up = BTreeMap::new();
        // The kernel waits for up to a second with the return of a carrier, and that may be put aside.
        let mut silences = 0;
        while silences < 2 {
            router.system.hear_aside();
            match tokio::time::timeout(Duration::from_millis(1500), hints.next()).await {
                Ok(Hint::Down(device)) => _ = is_up.insert(device, false),
                Ok(Hint::Up(device)) => _ = is_up.insert(device, true),
                Ok(Hint::Look | Hint::LookLater) => {}
                Err(_) => silences += 1,
            }
        }
        assert_eq!(is_up, BTreeMap::from([(name("one"), false), (name("other"), true)]));
    });
}

#[test]
fn what_there_is_no_room_for_is_looked_for() {
    in_namespace("what_there_is_no_room_for_is_looked_for", |router| async move {
        let one = add_quiet_device("one");
        let mut hints = router.system.watch();
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        router.system.hear_late(BTreeSet::from([one]));
        // What is told of a device for the first time is looked for, and of these changes none once it is known.
        run("ip", &["link", "set", "one", "txqueuelen", "9"]);
        router.system.hear_aside();
        while tokio::time::timeout(Duration::from_millis(300), hints.next()).await.is_ok() {}
        let lengths: String = (10..4000).map(|turn| format!("link set one txqueuelen {turn}\n")).collect();
        assert!(batch(&lengths).wait().unwrap().success());
        let hint = tokio::time::timeout(Duration::from_millis(300), hints.next()).await;
        assert!(hint.is_err(), "{hint:?}");
        router.system.hear_aside();
        let mut told = Vec::new();
        while let Ok(hint) = tokio::time::timeout(Duration::from_millis(500), hints.next()).await {
            told.push(hint);
        }
        assert_eq!(told, [Hint::Look]);
    });
}

#[test]
fn what_somebody_changes_in_silence_is_noticed() {
    in_namespace("what_somebody_changes_in_silence_is_noticed", |router| async move {
        let wanted = router.wanted(&[]);
        router.reach(&wanted).await;
        router.system.remember(&wanted).await;
        assert!(!router.system.find_out(None).await.has_drifted);
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "0").unwrap();
        assert!(router.system.find_out(None).await.has_drifted);
        std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1").unwrap();
        assert!(!router.system.find_out(None).await.has_drifted);
        std::fs::write("/etc/iproute2/rt_tables.d/dlan.conf", "7 seven\n").unwrap();
        assert!(router.system.find_out(None).await.has_drifted);
    });
}

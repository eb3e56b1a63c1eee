//! Packets of BIRD and FRR as they were on the wire (`tests/vectors`): each is read, and written again octet for octet.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::Path;

use ospf_lite::bfd;
use ospf_lite::config::{AuthenticationKey, HmacAlgorithm, SecurityAssociation};
use ospf_lite::ids::Family;
use ospf_lite::ospf::lsa::{LsType, Lsa};
use ospf_lite::ospf::packet::{AgedLsa, Packet, PacketBody, PacketKind};
use ospf_lite::wire::auth;
use ospf_lite::wire::packet::{self, Protection};

/// One line of a capture.
struct Captured {
    place: String,
    protocol: String,
    signed_by: Option<SecurityAssociation>,
    hop_limit: u8,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    octets: Vec<u8>,
}

impl Captured {
    fn read(place: String, line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        let [protocol, authentication, hop_limit, source, destination, hex] = words[..] else {
            panic!("{place}")
        };
        let algorithm = match authentication {
            "-" => None,
            "sha1" => Some(HmacAlgorithm::Sha1),
            "sha256" => Some(HmacAlgorithm::Sha256),
            "sha384" => Some(HmacAlgorithm::Sha384),
            "sha512" => Some(HmacAlgorithm::Sha512),
            other => panic!("{place}: {other}"),
        };
        let key = || AuthenticationKey::new(*b"the secret of both");
        Self {
            place,
            protocol: protocol.to_owned(),
            signed_by: algorithm.map(|algorithm| SecurityAssociation { id: 7, algorithm, key: key() }),
            hop_limit: hop_limit.parse().unwrap(),
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            octets: (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect(),
        }
    }

    fn family(&self) -> Family {
        if self.octets[14] == Family::Ipv4.instance_id().0 { Family::Ipv4 } else { Family::Ipv6 }
    }

    /// The packet, its checksum or trailer verified, and what it is written again with.
    fn open(&self) -> (Packet, Vec<u8>) {
        let Some(association) = &self.signed_by else {
            let protection = Protection::Checksum { source: self.source, destination: self.destination };
            let packet = packet::decode(&self.octets, self.family(), protection).expect(&self.place);
            let octets = packet::encode(&packet, protection);
            return (packet, octets);
        };
        let associations = [association.clone()];
        let verified = auth::verify(&self.octets, &associations, self.source).expect(&self.place);
        let packet = packet::decode(verified.packet, self.family(), Protection::Trailer).expect(&self.place);
        let octets = packet::encode(&packet, Protection::Trailer);
        (packet, auth::sign(octets, association, verified.sequence, self.source))
    }
}

/// Every packet of every capture.
fn captures() -> Vec<Captured> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut captured = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.starts_with('#')) {
            captured.push(Captured::read(format!("{name}:{number}"), line));
        }
    }
    captured
}

#[test]
fn ospf_packets_of_bird_and_frr_are_read_and_written_octet_for_octet() {
    let mut kinds = BTreeSet::new();
    for captured in captures().iter().filter(|captured| captured.protocol == "ospf") {
        let (packet, octets) = captured.open();
        assert_eq!(octets, captured.octets, "{}", captured.place);
        // FRR's acknowledgments to one neighbor have the system's hop limit.
        assert_eq!(captured.hop_limit, if captured.destination.is_multicast() { 1 } else { 64 });
        let algorithm = captured.signed_by.as_ref().map(|association| association.algorithm);
        let maker = captured.place.split(':').next().unwrap().to_owned();
        kinds.insert((maker, algorithm, packet.body.kind()));
    }
    let of = |maker: &str, algorithm, kinds: &[PacketKind]| -> Vec<_> {
        kinds.iter().map(|kind| (maker.to_owned(), algorithm, *kind)).collect()
    };
    let signed = [
        PacketKind::Hello,
        PacketKind::DatabaseDescription,
        PacketKind::LinkStateRequest,
        PacketKind::LinkStateUpdate,
    ];
    let all = [&signed[..], &[PacketKind::LinkStateAcknowledgment]].concat();
    let mut expected = [of("bird", None, &all), of("frr", None, &all)].concat();
    for algorithm in
        [HmacAlgorithm::Sha1, HmacAlgorithm::Sha256, HmacAlgorithm::Sha384, HmacAlgorithm::Sha512]
    {
        // The short runs with a secret have no acknowledgments.
        expected.extend(of("bird", Some(algorithm), &signed));
    }
    assert_eq!(kinds, expected.into_iter().collect());
}

#[test]
fn lsas_of_bird_and_frr_are_made_again_from_what_they_say() {
    let mut types = BTreeSet::new();
    for captured in captures().iter().filter(|captured| captured.protocol == "ospf") {
        let PacketBody::LinkStateUpdate(update) = captured.open().0.body else { continue };
        assert_eq!(update.refused, []);
        for AgedLsa { lsa, age } in update.lsas {
            let again = Lsa::originate(lsa.header().key, lsa.header().sequence, age, lsa.body());
            assert_eq!(again.octets()[2..], lsa.octets()[2..], "{}: {:?}", captured.place, lsa.header());
            let maker = captured.place.split(':').next().unwrap().to_owned();
            types.insert((maker, lsa.header().key.ls_type));
        }
    }
    let of = |maker: &str, types: &[LsType]| -> Vec<_> {
        types.iter().map(|ls_type| (maker.to_owned(), *ls_type)).collect()
    };
    let both = [LsType::ROUTER, LsType::LINK, LsType::INTRA_AREA_PREFIX, LsType::AS_EXTERNAL];
    // FRR tells its neighbors of a restart when its own shell is asked to, which it was not.
    let of_bird = [LsType::INTER_AREA_PREFIX, LsType::GRACE];
    let expected = [of("bird", &both), of("bird", &of_bird), of("frr", &both)].concat();
    assert_eq!(types, expected.into_iter().collect());
}

#[test]
fn bfd_packets_of_bird_and_frr_are_read_and_written_octet_for_octet() {
    let mut makers = BTreeSet::new();
    for captured in captures().iter().filter(|captured| captured.protocol == "bfd") {
        let packet = bfd::packet::decode(&captured.octets).expect(&captured.place);
        assert_eq!(bfd::packet::encode(&packet), captured.octets, "{}", captured.place);
        assert_eq!(captured.hop_limit, 255);
        makers.insert(captured.place.split(':').next().unwrap().to_owned());
    }
    assert_eq!(makers.len(), 2);
}

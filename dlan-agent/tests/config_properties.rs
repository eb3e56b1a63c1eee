//! Properties of the configuration's reader: it ends on any text, and what is written is what is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::net::{Ipv4Addr, Ipv6Addr};

use dlan_agent::config::dhcp::DhcpConfig;
use dlan_agent::config::schema::SECTIONS;
use dlan_agent::config::template::{Answers, LinkAnswer, template};
use dlan_agent::config::uci::{self, Entry, Section, quote};
use dlan_agent::config::{
    Config, DeviceSource, Endpoint, HostId, LanAddress, LanConfig, Loaded, Source, effective_text, parse,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use vxlan::key::PublicKey;
use vxlan::link::LinkName;

fn read(text: &str) -> Result<Loaded, String> {
    parse(Source { file: "dlan", text, hostname: "host" }).map_err(|errors| errors.to_string())
}

/// Pieces that make a text look like a configuration.
fn piece() -> impl Strategy<Value = String> {
    let options: Vec<&str> = SECTIONS
        .iter()
        .flat_map(|section| section.options.iter().map(|option| option.schema().name))
        .chain(SECTIONS.iter().map(|section| section.kind))
        .collect();
    let marks = "config |option |list |package |\n|\n\t|'|\"|\\\\|\\\\\n|#|;| |\r\n|é|\u{0}";
    let marks: Vec<&'static str> = marks.split('|').collect();
    prop_oneof![
        proptest::sample::select(marks).prop_map(str::to_owned),
        proptest::sample::select(options).prop_map(str::to_owned),
        "[0-9a-z:./]{0,12}",
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = String> {
    "[ -~éß\t]{1,30}".prop_filter("a value that is empty is none", |value| !value.is_empty())
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<bool>(), "[a-zA-Z0-9_]{1,12}", value()).prop_map(|(is_list, name, value)| Entry {
        is_list,
        name,
        value,
        line: 0,
    })
}

fn section() -> impl Strategy<Value = Section> {
    ("[a-z][a-z0-9-]{0,10}", option::of("[a-zA-Z0-9_]{1,12}"), vec(entry(), 0..6))
        .prop_map(|(kind, name, entries)| Section { kind, name, line: 0, broken: false, entries })
}

/// How a value may be written.
#[derive(Debug, Clone, Copy)]
enum Style {
    Single,
    Double,
    Bare,
    Mixed,
}

fn write_word(word: &str, style: Style) -> String {
    let escape = |word: &str, special: &str| {
        let escaped = |c: char| if special.contains(c) { format!("\\{c}") } else { c.to_string() };
        word.chars().map(escaped).collect::<String>()
    };
    match style {
        Style::Single => quote(word),
        Style::Double => format!("\"{}\"", escape(word, "\"\\")),
        Style::Bare => escape(word, "'\"\\#; \t"),
        Style::Mixed => {
            let middle = word.char_indices().nth(word.chars().count() / 2).map_or(0, |(index, _)| index);
            let (one, other) = word.split_at(middle);
            format!("{}{}", write_word(one, Style::Bare), write_word(other, Style::Single))
        }
    }
}

fn write(sections: &[Section], style: Style, line_end: &str) -> String {
    let mut text = String::new();
    for section in sections {
        let name = section.name.as_deref().map(|name| format!(" {}", write_word(name, style)));
        let name = name.unwrap_or_default();
        text.push_str(&format!("config {}{name}# comment '{line_end}", section.kind));
        for entry in &section.entries {
            let keyword = if entry.is_list { "list" } else { "option" };
            let value = write_word(&entry.value, style);
            text.push_str(&format!("\t{keyword} {} {value} # comment \"{line_end}", entry.name));
        }
    }
    text
}

fn without_lines(mut sections: Vec<Section>) -> Vec<Section> {
    for section in &mut sections {
        section.line = 0;
        section.entries.iter_mut().for_each(|entry| entry.line = 0);
    }
    sections
}

proptest! {
    #[test]
    fn any_text_is_read_to_its_end(pieces in vec(piece(), 0..60)) {
        let text = pieces.concat();
        let (document, errors) = uci::decode(&text);
        let lines = text.split('\n').count();
        let sections = document.sections.iter();
        prop_assert!(sections.flat_map(|section| &section.entries).all(|entry| entry.line <= lines));
        prop_assert!(errors.iter().all(|error| error.line <= lines && error.column > 0));
        match read(&text) {
            Ok(loaded) => prop_assert!(errors.is_empty() && loaded.document == document),
            Err(message) => prop_assert!(!message.is_empty()),
        }
    }

    #[test]
    fn generated_sections_round_trip_in_every_quoting(
        sections in vec(section(), 0..6),
        style in prop_oneof![
            Just(Style::Single), Just(Style::Double), Just(Style::Bare), Just(Style::Mixed)
        ],
        line_end in prop_oneof![Just("\n"), Just("\r\n"), Just("\n\n \t")],
    ) {
        let text = write(&sections, style, line_end);
        let (document, errors) = uci::decode(&text);
        prop_assert_eq!(&errors, &[], "{}", text);
        prop_assert_eq!(without_lines(document.sections), sections, "{}", text);
    }

    #[test]
    fn a_template_is_read_as_what_it_was_made_from(answers in answers()) {
        let text = template(&answers);
        let loaded = read(&text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        prop_assert_eq!(answers_of(&loaded.config, &answers), answers, "{}", text);
    }

    #[test]
    fn what_is_effective_is_read_as_the_same(answers in answers()) {
        let loaded = read(&template(&answers)).unwrap();
        let again = read(&effective_text(&loaded)).unwrap();
        prop_assert_eq!(again.config, loaded.config);
    }
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let host = prop_oneof![
        "[a-z][a-z0-9]{0,8}(\\.[a-z]{2,5}){0,2}",
        (192_u8..=198, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d).to_string()),
        any::<[u16; 7]>()
            .prop_map(|[b, c, d, e, f, g, h]| { Ipv6Addr::new(0x2001, b, c, d, e, f, g, h).to_string() }),
    ];
    (host, 1_u16..).prop_map(|(host, port)| Endpoint { host, port })
}

fn link(id: u8) -> impl Strategy<Value = LinkAnswer> {
    ("[a-z][a-z0-9_-]{0,8}", option::of(endpoint())).prop_map(move |(name, endpoint)| LinkAnswer {
        // Section names are made from these, and `-` becomes `_` there: the number keeps them apart.
        name: format!("{name}{id}"),
        host_id: HostId(id.into()),
        public_key: PublicKey::from_octets([id; 32]),
        endpoint,
    })
}

fn lan(index: u8) -> impl Strategy<Value = LanConfig> {
    let ipv4 = (1_u8..=254)
        .prop_map(move |host| LanAddress { address: Ipv4Addr::new(10, 100, index, host), prefix_len: 24 });
    let ipv6 = (1_u16..).prop_map(move |host| LanAddress {
        address: Ipv6Addr::new(0xfd79, 0, 0, index.into(), 0, 0, 0, host),
        prefix_len: 64,
    });
    (option::of(ipv4), option::of(ipv6)).prop_map(move |(ipv4, ipv6)| LanConfig {
        dns64: false,
        dhcp: DhcpConfig::default(),
        name: format!("lan{index}"),
        device: LinkName::new(&format!("br-lan{index}")).unwrap(),
        zone: "internal".to_owned(),
        ipv4,
        ipv6,
    })
}

fn answers() -> impl Strategy<Value = Answers> {
    let sources = prop_oneof![
        Just(vec![DeviceSource::Interface("wan".to_owned())]),
        Just(vec![
            DeviceSource::Device(LinkName::new("eth0.2").unwrap()),
            DeviceSource::Interface("wan_6".to_owned())
        ]),
    ];
    let secret = "/etc/dlan/[ -.a-z]{0,6}[a-z'\"#]".prop_filter("no dots", |path| !path.contains("/."));
    let head = (1_u16..=50, "[a-z][a-z0-9-]{0,8}[a-z]", option::of("[a-z]{1,8}(\\.[a-z]{1,8})?"), secret);
    let links = prop_oneof![Just(0_u8), 1_u8..4]
        .prop_flat_map(|count| (0..count).map(|index| link(200 + index)).collect::<Vec<_>>());
    let lans = (0_u8..3).prop_flat_map(|count| (0..count).map(lan).collect::<Vec<_>>());
    (head, sources, 5000_u16.., lans, links).prop_map(|(head, wans, listen_port, lans, links)| {
        let (host, name, domain, secret) = head;
        Answers {
            host_id: HostId(host),
            name,
            domain,
            ospf_secret_file: Some(secret.into()),
            wg_psk_file: None,
            wans,
            listen_port,
            lans,
            links,
            mesh_prefix: None,
        }
    })
}

/// Returns what a configuration was made from.
fn answers_of(config: &Config, original: &Answers) -> Answers {
    let links = config.links.iter().map(|link| LinkAnswer {
        name: link.name.clone(),
        host_id: link.host_id,
        public_key: link.public_key,
        endpoint: link.endpoint.clone(),
    });
    Answers {
        host_id: config.mesh.host_id,
        name: config.mesh.name.clone(),
        domain: original.domain.as_ref().map(|_| config.mesh.domain.clone()),
        ospf_secret_file: config.ospf_keys.first().map(|key| key.secret_file.clone()),
        wg_psk_file: config.mesh.wg_psk_file.clone(),
        wans: config.wans.iter().map(|wan| wan.source.clone()).collect(),
        listen_port: config.wans[0].listen_port,
        lans: config.lans.clone(),
        links: links.collect(),
        mesh_prefix: None,
    }
}

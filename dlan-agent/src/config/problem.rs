//! Every sentence an operator may read about a file that is rejected.

mod words;

use self::words::{Default, DidYouMean, Keys, Meant, Why, Written};
pub use self::words::{Place, Shown};
use super::dhcp::problem::DhcpProblem;
use super::service::problem::ServiceProblem;
use super::types::HostId;
use super::value::Rejection;

/// What is wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be opened or read.
    #[error("the file cannot be read: {reason}")]
    Unreadable {
        /// The system's words.
        reason: String,
    },
    /// There is no such file.
    #[error("there is no such file; 'dlan init' writes a first one")]
    NoFile,
    /// The path is a directory, a device or the like.
    #[error("this is not a regular file")]
    NotAFile,
    /// The file is larger than any configuration.
    #[error("the file is larger than {limit} octets, so it is no configuration of dlan")]
    TooLarge {
        /// The most that is read.
        limit: usize,
    },
    /// The file is not UTF-8.
    #[error("this is not text: octet 0x{octet:02x} is not UTF-8")]
    NotText {
        /// The octet.
        octet: u8,
    },
    /// A control character.
    #[error("this is not text: it has the control character U+{code:04X}")]
    ControlCharacter {
        /// The character's number.
        code: u32,
    },

    /// A line begins with something else than a keyword.
    #[error(
        "{} is no keyword: a line begins with config, option or list{}",
        Shown(word),
        DidYouMean(suggestion)
    )]
    UnknownKeyword {
        /// The word.
        word: String,
        /// What it may have been meant to be.
        suggestion: Option<String>,
    },
    /// A quote that is never closed, or not before the next command.
    #[error("the quote {mark} that opens here is not closed")]
    UnclosedQuote {
        /// The quotation mark.
        mark: char,
    },
    /// A `;` outside quotes.
    #[error(
        "a ';' outside quotes is not allowed: write each option on a line of its own, and a value with ';' in quotes"
    )]
    Semicolon,
    /// More words than the command takes.
    #[error("{} is one word too many: a value with spaces stands in quotes", Shown(word))]
    TooManyWords {
        /// The first word that is too many.
        word: String,
    },
    /// `config` alone.
    #[error("config needs the kind of section after it, such as config link 'r4'")]
    SectionWithoutKind,
    /// A kind of section that UCI does not allow.
    #[error("{} cannot be a kind of section", Shown(word))]
    BadKind {
        /// The word.
        word: String,
    },
    /// A section name that UCI does not allow.
    #[error("{} cannot be a section's name: only letters, digits and '_' can stand in it", Shown(word))]
    BadSectionName {
        /// The word.
        word: String,
    },
    /// `option` or `list` alone.
    #[error("{} needs a name and a value after it, such as option host_id '1'", if *is_list { "list" } else { "option" })]
    OptionWithoutName {
        /// Whether it is `list`.
        is_list: bool,
    },
    /// An option name that UCI does not allow.
    #[error("{} cannot be an option's name: only letters, digits and '_' can stand in it", Shown(word))]
    BadOptionName {
        /// The word.
        word: String,
    },
    /// An option before the first section.
    #[error(
        "option {} stands before the first section; a section begins with a line such as config mesh 'mesh'",
        Shown(option)
    )]
    BeforeFirstSection {
        /// The option's name.
        option: String,
    },
    /// `package` alone.
    #[error("package needs a name after it: package dlan")]
    PackageWithoutName,
    /// `package` in the middle of the file.
    #[error("package can stand only once, before the first section")]
    PackageNotFirst,
    /// Another program's configuration.
    #[error("this is the configuration of {}, not of dlan", Shown(package))]
    OtherPackage {
        /// Its name.
        package: String,
    },

    /// A kind of section dlan does not have.
    #[error("there is no section of this kind; the kinds are {kinds}{}", DidYouMean(suggestion))]
    UnknownSection {
        /// The kinds there are.
        kinds: String,
        /// What it may have been meant to be.
        suggestion: Option<String>,
    },
    /// Two sections with one name.
    #[error("the name {} is taken by the section on line {first}", Shown(name))]
    DuplicateSection {
        /// The name.
        name: String,
        /// Where the first is.
        first: usize,
    },
    /// A second section of a kind of which there is one.
    #[error("there can be only one section of this kind; the first is on line {first}")]
    SecondSection {
        /// Where the first is.
        first: usize,
    },
    /// A section that every file has.
    #[error("the section {kind} is missing; it begins with a line such as {example}")]
    MissingSection {
        /// The kind of section.
        kind: &'static str,
        /// An example of its line.
        example: &'static str,
    },
    /// An option the section does not have.
    #[error("there is no such option here{} The options are {options}", Meant { suggestion, elsewhere })]
    UnknownOption {
        /// The options there are.
        options: String,
        /// What it may have been meant to be.
        suggestion: Option<String>,
        /// A kind of section that has such an option.
        elsewhere: Option<&'static str>,
    },
    /// `list` for an option with one value.
    #[error("this takes one value: write option, not list")]
    ListForOption,
    /// `option` for a list.
    #[error("this takes any number of values: write list, not option, once for each of them")]
    OptionForList,
    /// An option twice in a section.
    #[error("it is written twice; the first is on line {first}")]
    DuplicateOption {
        /// Where the first is.
        first: usize,
    },
    /// A required option is not there.
    #[error("it is missing, and it must be {allowed}")]
    MissingOption {
        /// What is allowed.
        allowed: String,
    },
    /// A value the option does not allow.
    #[error("{} {}{}", Written { value, rejection }, Why { allowed, rejection }, DidYouMean(&rejection.suggestion))]
    BadValue {
        /// The value.
        value: String,
        /// What is allowed.
        allowed: String,
        /// What is wrong with this very value.
        rejection: Rejection,
    },
    /// No name is written, and the system's is none.
    #[error(
        "it is missing, and the system's host name {} cannot stand for it: it must be {allowed}",
        Shown(hostname)
    )]
    UnusableHostName {
        /// The system's host name.
        hostname: String,
        /// What is allowed.
        allowed: String,
    },
    /// No name is written, and the section has none.
    #[error("it is missing: write it, or give the section the neighbor's name, as in config link 'r4'")]
    NamelessLink,

    /// A host id above `max_hosts`.
    #[error("host id {host} is larger than max_hosts, which is {max_hosts}")]
    HostIdTooLarge {
        /// The host id.
        host: HostId,
        /// The limit.
        max_hosts: u16,
    },
    /// A link to this router.
    #[error("host id {host} is this router's own (line {line}); a link goes to another router")]
    LinkToOneself {
        /// The host id.
        host: HostId,
        /// Where the own one is.
        line: usize,
    },
    /// Two of the same.
    #[error("{} is taken by {other} (line {line}): {rule}", Shown(value))]
    Duplicate {
        /// The value.
        value: String,
        /// The other section.
        other: String,
        /// Its line.
        line: usize,
        /// Why it cannot be.
        rule: &'static str,
    },
    /// Two networks with common addresses.
    #[error("{network} overlaps {other_network}, which is {other} ({place})")]
    Overlap {
        /// This one.
        network: String,
        /// The other.
        other_network: String,
        /// What the other is.
        other: String,
        /// Where the other is written.
        place: Place,
    },
    /// A pool that has no address for a host id.
    #[error("{pool}{} is too small for host id {host} (line {line}): it must be a /{needed} or larger", Default(*is_default))]
    PoolTooSmall {
        /// The pool.
        pool: String,
        /// Whether it is the default.
        is_default: bool,
        /// The host id.
        host: HostId,
        /// Where the host id is.
        line: usize,
        /// The prefix length needed.
        needed: u8,
    },
    /// A link pool that has no /30 for a link.
    #[error(
        "{pool}{} is too small for the link between host ids {lower} and {higher} ({section}, line {line}), which needs /30 number {pair} of it: \
         take a /{needed} or larger, the same on every router; or smaller host ids; or 'none' if every router runs dlan",
        Default(*is_default)
    )]
    LinkPoolTooSmall {
        /// The pool.
        pool: String,
        /// Whether it is the default.
        is_default: bool,
        /// The lower host id.
        lower: HostId,
        /// The higher host id.
        higher: HostId,
        /// The pair id.
        pair: u32,
        /// The link's section.
        section: String,
        /// Its line.
        line: usize,
        /// The prefix length needed.
        needed: u8,
    },
    /// The key that shall sign is not there.
    #[error("there is no key {id} to sign with; {}", Keys(ids))]
    NoSuchKey {
        /// Its number.
        id: u16,
        /// The numbers of the keys that there are.
        ids: Vec<u16>,
    },
    /// RouterDeadInterval not above HelloInterval.
    #[error(
        "a neighbor would count as dead after {dead} seconds, but is heard only every {hello} seconds: dead_interval must be larger than hello_interval (four times is usual)"
    )]
    DeadBeforeHello {
        /// The dead interval.
        dead: u64,
        /// The hello interval.
        hello: u64,
    },
    /// The bounds of automatic costs the wrong way round.
    #[error(
        "the least automatic cost is {min} and the highest {max}: auto_cost_min must not be above auto_cost_max"
    )]
    AutoCostBounds {
        /// The least.
        min: u16,
        /// The highest.
        max: u16,
    },
    /// A link's MTU does not fit into the WireGuard device's.
    #[error(
        "a packet of {mtu} octets on a link grows to {} with VXLAN's 50, and wg_mtu is {wg_mtu}: a link's MTU is at most {most} here", mtu.saturating_add(50)
    )]
    MtuTooLarge {
        /// The link's MTU.
        mtu: u16,
        /// The device's.
        wg_mtu: u16,
        /// The largest possible.
        most: u16,
    },
    /// A WAN with neither or both of `interface` and `device`.
    #[error("{}: a WAN names either its network in OpenWrt (option interface) or its Linux device (option device)", if *both { "both are written" } else { "neither option interface nor option device is written" })]
    WanSource {
        /// Whether both are there.
        both: bool,
    },
    /// Two WANs with different ports.
    #[error("{port} differs from {first} (line {line}): WireGuard listens on one port for the whole router")]
    ListenPorts {
        /// This one.
        port: u16,
        /// The first.
        first: u16,
        /// Where that is.
        line: usize,
    },
    /// WireGuard on VXLAN's port.
    #[error("{port} is the port of VXLAN (mesh option vxlan_port), so WireGuard cannot listen on it")]
    PortOfVxlan {
        /// The port.
        port: u16,
    },
    /// A LAN or WAN on a device of dlan's own.
    #[error("{} is a name for devices that dlan makes itself", Shown(device))]
    OwnDevice {
        /// The name.
        device: String,
    },
    /// A WireGuard device whose name does not fit the rest.
    #[error("{} cannot be used: the name begins with dlan, but not with dlan-vx", Shown(device))]
    WireGuardDeviceName {
        /// The name.
        device: String,
    },
    /// A record section without a record.
    #[error("nothing is said of the name: write a list address, an option cname, or a list srv, txt or ptr")]
    EmptyRecord,
    /// An alias of which more is said.
    #[error("{name} is an alias (line {line}): nothing else can be said of it")]
    AliasWithMore {
        /// The name.
        name: String,
        /// Where it is made one.
        line: usize,
    },
    /// A delegate section that delegates nothing.
    #[error("neither option zone nor list reverse is written: nothing is delegated")]
    EmptyDelegate,
    /// Services that do not fit together.
    #[error(transparent)]
    Service(Box<ServiceProblem>),
    /// A zone that is not there.
    #[error(
        "there is no zone {} here; there are {zones}: write a section config zone for it{}",
        Shown(zone),
        DidYouMean(suggestion)
    )]
    NoSuchZone {
        /// Its name.
        zone: String,
        /// The zones that there are.
        zones: String,
        /// What it may have been meant to be.
        suggestion: Option<String>,
    },
    /// A section of a zone that cannot have one.
    #[error("{} cannot be the name of a zone's section: {reason}", Shown(name))]
    ZoneSection {
        /// The section's name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// An opening in what is not closed.
    #[error(
        "this opens what is not closed: it needs option input 'drop'; where another firewall closes the WAN, open it there"
    )]
    OpensNothing,
    /// What hosts are given does not fit together.
    #[error(transparent)]
    Dhcp(Box<DhcpProblem>),
    /// An endpoint that only the mesh itself reaches.
    #[error(
        "{host} lies in {network}, the pool {pool} of the mesh itself: a neighbor is called at its address outside the mesh"
    )]
    EndpointInside {
        /// The address.
        host: String,
        /// The pool's network.
        network: String,
        /// What the pool is for.
        pool: &'static str,
    },
}

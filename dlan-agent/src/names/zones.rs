//! Who answers for which name: a pure function of what every router announces and of what is configured.
//!
//! Of two routers that claim the same, the one with the lower host id has it, and the other claim is told as a conflict. A
//! zone, or a prefix, inside one of a router with a lower host id is that router's; one around it begins beside it. What is
//! announced goes before what is configured by `config delegate`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::announcement::Announcement;
use super::domain::DomainName;
use super::record::{Record, RecordData};
use crate::config::{DelegateConfig, HostId};

/// How many records of the whole mesh are taken.
const RECORDS_MAX: usize = 20_000;
/// The shortest reverse prefixes that a router may answer for: no LAN is larger.
const REVERSE_LENGTH_MIN: (u8, u8) = (8, 16);

/// Who is asked about a zone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Who it is.
    pub who: Who,
    /// Where it is asked, the IPv6 addresses first; nowhere when the table has all there is.
    pub servers: Vec<IpAddr>,
}

/// Who an owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// A router that announces it.
    Router(HostId),
    /// One that is configured by its addresses alone.
    Delegate,
    /// The rest of the world.
    Upstream,
}

impl Who {
    /// Returns the router's number.
    pub const fn host(self) -> Option<HostId> {
        match self {
            Self::Router(host) => Some(host),
            Self::Delegate | Self::Upstream => None,
        }
    }
}

/// A claim that was not granted, or not understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// Two routers claim one zone, or zones inside each other.
    Zone {
        /// The zone that is not granted, or not as a whole.
        zone: DomainName,
        /// Who claims it.
        by: HostId,
        /// The zone that it meets.
        other: DomainName,
        /// Who has that.
        owner: HostId,
    },
    /// Two routers claim prefixes that overlap.
    Reverse {
        /// The prefix that is not granted, or not as a whole.
        prefix: IpNet,
        /// Who claims it.
        by: HostId,
        /// The prefix that it meets.
        other: IpNet,
        /// Who has that.
        owner: HostId,
    },
    /// Two routers announce different records of one name.
    Name {
        /// The name.
        name: DomainName,
        /// Whose records are not taken.
        by: HostId,
        /// Whose are.
        owner: HostId,
    },
    /// A router announces records inside another's zone.
    Inside {
        /// The records' name.
        name: DomainName,
        /// Whose records are not taken.
        by: HostId,
        /// Whose zone it is.
        owner: HostId,
    },
    /// A router announces a zone that is no part of the mesh's domain, a prefix larger than any LAN, or records of a name
    /// without a dot.
    Outside {
        /// What it announces.
        what: String,
        /// Who does.
        by: HostId,
    },
    /// A router announces records of a name outside the mesh's domain about which this router does not believe others.
    NotBelieved {
        /// The records' name.
        name: DomainName,
        /// Who announces them.
        by: HostId,
    },
    /// There are more records than are taken.
    TooMany {
        /// Whose records are not taken.
        by: HostId,
    },
    /// A router announces what this version does not understand.
    NotUnderstood {
        /// Who does.
        by: HostId,
        /// What is wrong with it.
        why: String,
    },
}

impl Conflict {
    /// Returns whose claim was not granted.
    pub const fn by(&self) -> HostId {
        match self {
            Self::Zone { by, .. }
            | Self::Reverse { by, .. }
            | Self::Name { by, .. }
            | Self::Inside { by, .. }
            | Self::Outside { by, .. }
            | Self::NotBelieved { by, .. }
            | Self::TooMany { by }
            | Self::NotUnderstood { by, .. } => *by,
        }
    }
}

/// Whose records of names outside the mesh's domain are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief<'a> {
    /// This router, whose own always are.
    pub own: HostId,
    /// The domains about which others' are; any when there is none.
    pub domains: &'a BTreeSet<DomainName>,
}

impl Belief<'_> {
    fn holds(&self, by: HostId, name: &DomainName) -> bool {
        by == self.own || self.domains.is_empty() || self.domains.iter().any(|domain| name.is_within(domain))
    }
}

/// Who answers for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneTable {
    /// The mesh's domain.
    pub domain: DomainName,
    /// The zones.
    pub zones: BTreeMap<DomainName, Arc<Owner>>,
    /// The prefixes whose reverse zones somebody answers for.
    pub reverse: BTreeMap<IpNet, Arc<Owner>>,
    /// The records for the whole mesh, by name, with who announces them.
    pub names: BTreeMap<DomainName, (HostId, BTreeSet<RecordData>)>,
    /// What is not as its router wants it.
    pub conflicts: BTreeSet<Conflict>,
    /// The names of addresses that lie in nobody's reverse zone.
    addresses: BTreeMap<IpAddr, BTreeSet<DomainName>>,
    /// Names without records that others lie below.
    above: BTreeSet<DomainName>,
}

/// What the table knows of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// These are the records; none when the name has none of the type.
    Records(Vec<RecordData>),
    /// Everything is found under another name.
    Cname(DomainName),
    /// That router knows.
    Ask(Arc<Owner>),
    /// Nobody in the mesh has that name, and nobody else may.
    NoName,
    /// The name is none of the mesh's.
    Elsewhere,
}

/// What is asked for: a name, or an address by a reverse name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A name; `None` of one with characters that no name of the table has.
    Name(Option<DomainName>),
    /// The name of an address, or a zone above such names.
    Reverse(IpNet, Option<DomainName>),
}

impl ZoneTable {
    /// Works out who has what.
    pub fn new(
        domain: &DomainName,
        announced: &BTreeMap<HostId, Announcement>,
        delegates: &[DelegateConfig],
        belief: Belief<'_>,
    ) -> Self {
        let mut table = Self {
            domain: domain.clone(),
            zones: BTreeMap::new(),
            reverse: BTreeMap::new(),
            names: BTreeMap::new(),
            conflicts: BTreeSet::new(),
            addresses: BTreeMap::new(),
            above: BTreeSet::new(),
        };
        // In the order of the host ids: who comes first has it.
        for (host, told) in announced {
            table.claim(*host, told);
        }
        for delegate in delegates {
            table.delegate(delegate);
        }
        for (host, told) in announced {
            table.take_records(*host, &told.records, belief);
        }
        table.derive();
        table
    }

    fn claim(&mut self, by: HostId, told: &Announcement) {
        let mut servers: Vec<IpAddr> = told.servers.iter().copied().collect();
        servers.sort_by_key(IpAddr::is_ipv4);
        let owner = Arc::new(Owner { who: Who::Router(by), servers });
        for zone in &told.zones {
            if !zone.is_within(&self.domain) || *zone == self.domain {
                self.conflicts.insert(Conflict::Outside { what: format!("zone {zone}"), by });
                continue;
            }
            let met = self.zones.iter().filter(|(other, _)| zone.is_within(other) || other.is_within(zone));
            let met = met.filter_map(|(other, owner)| Some((other.clone(), owner.who.host()?)));
            let met: Vec<_> = met.filter(|(_, owner)| *owner != by).collect();
            let is_inside = met.iter().any(|(other, _)| zone.is_within(other));
            let conflict = |(other, owner)| Conflict::Zone { zone: zone.clone(), by, other, owner };
            self.conflicts.extend(met.into_iter().map(conflict));
            if !is_inside {
                self.zones.insert(zone.clone(), Arc::clone(&owner));
            }
        }
        for prefix in &told.reverse {
            let (ipv4, ipv6) = REVERSE_LENGTH_MIN;
            if prefix.prefix_len() < if prefix.addr().is_ipv4() { ipv4 } else { ipv6 } {
                self.conflicts.insert(Conflict::Outside { what: format!("reverse zone of {prefix}"), by });
                continue;
            }
            let met =
                self.reverse.iter().filter(|(other, _)| prefix.contains(*other) || other.contains(prefix));
            let met = met.filter_map(|(other, owner)| Some((*other, owner.who.host()?)));
            let met: Vec<_> = met.filter(|(_, owner)| *owner != by).collect();
            let is_inside = met.iter().any(|(other, _)| other.contains(prefix));
            let conflict = |(other, owner)| Conflict::Reverse { prefix: *prefix, by, other, owner };
            self.conflicts.extend(met.into_iter().map(conflict));
            if !is_inside {
                self.reverse.insert(*prefix, Arc::clone(&owner));
            }
        }
    }

    fn delegate(&mut self, delegate: &DelegateConfig) {
        let owner = Arc::new(Owner { who: Who::Delegate, servers: delegate.servers.clone() });
        if let Some(zone) = &delegate.zone {
            self.zones.entry(zone.clone()).or_insert_with(|| Arc::clone(&owner));
        }
        for prefix in &delegate.reverse {
            self.reverse.entry(*prefix).or_insert_with(|| Arc::clone(&owner));
        }
    }

    fn take_records(&mut self, by: HostId, records: &BTreeSet<Record>, belief: Belief<'_>) {
        let mut of_router: BTreeMap<&DomainName, BTreeSet<RecordData>> = BTreeMap::new();
        for record in records {
            of_router.entry(&record.name).or_default().insert(record.data.clone());
        }
        let mut count: usize = self.names.values().map(|(_, data)| data.len()).sum();
        for (name, data) in of_router {
            let other =
                self.zone_of(name).and_then(|(_, owner)| owner.who.host()).filter(|owner| *owner != by);
            if name.parent().is_none() && *name != self.domain {
                self.conflicts.insert(Conflict::Outside { what: format!("name {name}"), by });
                continue;
            }
            if !name.is_within(&self.domain) && !belief.holds(by, name) {
                self.conflicts.insert(Conflict::NotBelieved { name: name.clone(), by });
                continue;
            }
            let conflict = match (other, self.names.get(name)) {
                (Some(owner), _) => Conflict::Inside { name: name.clone(), by, owner },
                (None, Some((_, same))) if *same == data => continue,
                (None, Some((owner, _))) => Conflict::Name { name: name.clone(), by, owner: *owner },
                (None, None) if count + data.len() > RECORDS_MAX => Conflict::TooMany { by },
                (None, None) => {
                    count += data.len();
                    self.names.insert(name.clone(), (by, data));
                    continue;
                }
            };
            self.conflicts.insert(conflict);
        }
    }

    /// Works out what follows from zones and names.
    fn derive(&mut self) {
        let named = self.names.iter().flat_map(|(name, (_, data))| data.iter().map(move |data| (name, data)));
        let named = named.filter_map(|(name, data)| Some((data.as_address()?, name)));
        let mut addresses: BTreeMap<IpAddr, BTreeSet<DomainName>> = BTreeMap::new();
        for (address, name) in named.filter(|(address, _)| self.reverse_of(&IpNet::from(*address)).is_none())
        {
            addresses.entry(address).or_default().insert(name.clone());
        }
        self.addresses = addresses;
        let below = self.names.keys().chain(self.zones.keys());
        self.above = below.flat_map(|name| name.lineage().skip(1)).collect();
    }

    /// Returns the zone that a name lies in.
    pub fn zone_of(&self, name: &DomainName) -> Option<(DomainName, &Arc<Owner>)> {
        name.lineage().find_map(|zone| self.zones.get(&zone).map(|owner| (zone, owner)))
    }

    /// Returns the longest prefix with a reverse zone that holds a prefix.
    fn reverse_of(&self, net: &IpNet) -> Option<&Arc<Owner>> {
        let holding = self.reverse.iter().filter(|(prefix, _)| prefix.contains(net));
        holding.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, owner)| owner)
    }

    /// Returns the names outside the mesh's domain that have records; reverse names are asked for by their networks.
    pub fn foreign(&self) -> BTreeSet<DomainName> {
        let is_reverse = |name: &DomainName| name.as_str().ends_with(".arpa");
        let names = self.names.keys().filter(|name| !name.is_within(&self.domain) && !is_reverse(name));
        names.cloned().collect()
    }

    /// Returns whether a name lies below one that has records: hosts' resolvers ask for it here too.
    pub fn is_below_record(&self, subject: &Subject) -> bool {
        let Subject::Name(Some(name)) = subject else { return false };
        name.lineage().skip(1).any(|above| self.names.contains_key(&above))
    }

    /// Returns whose zone a name lies in.
    pub fn owner(&self, subject: &Subject) -> Option<&Arc<Owner>> {
        match subject {
            Subject::Name(name) => self.zone_of(name.as_ref()?).map(|(_, owner)| owner),
            Subject::Reverse(net, _) => self.reverse_of(net),
        }
    }

    /// Returns what is known of a question for records of a type, by its number.
    pub fn find(&self, subject: &Subject, type_code: u16) -> Found {
        match subject {
            Subject::Name(None) => Found::Elsewhere,
            Subject::Name(Some(name)) => self.find_name(name, type_code),
            Subject::Reverse(net, name) => self.find_reverse(net, name.as_ref(), type_code),
        }
    }

    fn find_name(&self, name: &DomainName, type_code: u16) -> Found {
        let zone = self.zone_of(name);
        let owner =
            zone.as_ref().map(|(_, owner)| Arc::clone(owner)).filter(|owner| !owner.servers.is_empty());
        if let Some((_, data)) = self.names.get(name) {
            let of_type = |data: &&RecordData| data.type_code() == type_code;
            let records: Vec<RecordData> = data.iter().filter(of_type).cloned().collect();
            let alias = data.iter().find_map(|data| match data {
                RecordData::Cname(target) => Some(target.clone()),
                _ => None,
            });
            return match (records.is_empty(), alias, owner) {
                (false, ..) => Found::Records(records),
                (true, Some(target), _) => Found::Cname(target),
                (true, None, Some(owner)) => Found::Ask(owner),
                (true, None, None) => Found::Records(records),
            };
        }
        if let Some(owner) = owner {
            return Found::Ask(owner);
        }
        let is_known = self.above.contains(name) || *name == self.domain;
        let is_ours = zone.is_some() || name.is_within(&self.domain);
        match (is_known, is_ours) {
            (true, true) => Found::Records(Vec::new()),
            (false, true) => Found::NoName,
            (_, false) => Found::Elsewhere,
        }
    }

    fn find_reverse(&self, net: &IpNet, name: Option<&DomainName>, type_code: u16) -> Found {
        if let Some((_, data)) = name.and_then(|name| self.names.get(name)) {
            return Found::Records(
                data.iter().filter(|data| data.type_code() == type_code).cloned().collect(),
            );
        }
        if let Some(names) =
            self.addresses.get(&net.addr()).filter(|_| net.prefix_len() == net.max_prefix_len())
        {
            let is_ptr = |name: &DomainName| RecordData::Ptr(name.clone());
            let pointers = names.iter().map(is_ptr).filter(|data| data.type_code() == type_code);
            return Found::Records(pointers.collect());
        }
        if let Some(owner) = self.reverse_of(net) {
            return match owner.servers.is_empty() {
                true => Found::NoName,
                false => Found::Ask(Arc::clone(owner)),
            };
        }
        let is_above = self.reverse.keys().any(|prefix| net.contains(prefix))
            || self.addresses.keys().any(|address| net.contains(address));
        match (is_above, crate::state::facts::is_private(net)) {
            (true, true) => Found::Records(Vec::new()),
            (false, true) => Found::NoName,
            (_, false) => Found::Elsewhere,
        }
    }
}

#[cfg(test)]
mod tests;

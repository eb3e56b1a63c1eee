//! Policy rules: messages to values and back.

use std::collections::BTreeSet;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::rtnl::{Message, Rtnl, RtnlError};
use crate::plan::change::Edit;
use crate::state::marks::Marks;
use crate::state::rule::{Rule, RuleFamily};

/// Returns the rules that carry the protocol number of one of the marks.
pub async fn observe(rtnl: &Rtnl, marks: &BTreeSet<Marks>) -> Result<BTreeSet<Rule>, RtnlError> {
    let mut rules = BTreeSet::new();
    for family in [RuleFamily::Ipv4, RuleFamily::Ipv6] {
        let mut message = RuleMessage::default();
        message.header.family = address_family(family);
        for found in rtnl.dump(RouteNetlinkMessage::GetRule(message)).await? {
            if let Message::Route(RouteNetlinkMessage::NewRule(message)) = found {
                let rule = decode(family, &message);
                rules.extend(
                    rule.filter(|rule| marks.iter().any(|mark| mark.route_protocol == rule.protocol)),
                );
            }
        }
    }
    Ok(rules)
}

/// Makes the edit.
pub async fn apply(rtnl: &Rtnl, edit: &Edit<Rule, ()>) -> Result<(), RtnlError> {
    let message = encode(&edit.key);
    if edit.to.is_some() {
        return rtnl.request(RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL).await;
    }
    match rtnl.request(RouteNetlinkMessage::DelRule(message), 0).await {
        Err(error) if error.is_absence() => Ok(()),
        result => result,
    }
}

fn address_family(family: RuleFamily) -> AddressFamily {
    match family {
        RuleFamily::Ipv6 => AddressFamily::Inet6,
        RuleFamily::Ipv4 => AddressFamily::Inet,
    }
}

fn decode(family: RuleFamily, message: &RuleMessage) -> Option<Rule> {
    let mut rule = Rule {
        family,
        preference: 0,
        protocol: 0,
        table: message.header.table.into(),
        unless_mark: None,
        suppress_prefix_length: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(preference) => rule.preference = *preference,
            RuleAttribute::Protocol(protocol) => rule.protocol = u8::from(*protocol),
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::FwMark(mark) if message.header.flags.contains(RuleFlags::Invert) => {
                rule.unless_mark = Some(*mark);
            }
            RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => {
                rule.suppress_prefix_length = Some(*length);
            }
            _ => {}
        }
    }
    (message.header.action == RuleAction::ToTable).then_some(rule)
}

fn encode(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = address_family(rule.family);
    message.header.action = RuleAction::ToTable;
    message.header.table = u8::try_from(rule.table).unwrap_or_default();
    message.attributes.push(RuleAttribute::Priority(rule.preference));
    message.attributes.push(RuleAttribute::Table(rule.table));
    message.attributes.push(RuleAttribute::Protocol(RouteProtocol::from(rule.protocol)));
    if let Some(mark) = rule.unless_mark {
        message.header.flags |= RuleFlags::Invert;
        message.attributes.push(RuleAttribute::FwMark(mark));
        message.attributes.push(RuleAttribute::FwMask(u32::MAX));
    }
    message.attributes.extend(rule.suppress_prefix_length.map(RuleAttribute::SuppressPrefixLen));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_survives_the_way_into_a_message_and_back() {
        for (unless_mark, suppress_prefix_length) in [(None, Some(0)), (Some(0xd1a4), None), (None, None)] {
            let rule = Rule {
                family: RuleFamily::Ipv6,
                preference: 30141,
                protocol: 141,
                table: 1000,
                unless_mark,
                suppress_prefix_length,
            };
            assert_eq!(decode(RuleFamily::Ipv6, &encode(&rule)), Some(rule));
        }
    }
}

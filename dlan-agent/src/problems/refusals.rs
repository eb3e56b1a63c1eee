//! What a refused packet means to a person, and what to do about it.

use ospf_lite::ospf::refusal::Refusal;

/// Returns a line about something that is refused; nothing about what belongs to undisturbed operation.
pub fn note(refusal: Refusal, count: u64) -> Option<String> {
    Some(format!("{refusal} ({count} times): {}", next_step(refusal)?))
}

/// Says what to do.
fn next_step(refusal: Refusal) -> Option<&'static str> {
    Some(match refusal {
        Refusal::InterfaceNotActive
        | Refusal::UnknownNeighbor
        | Refusal::NeighborState
        | Refusal::Negotiation
        | Refusal::AcknowledgmentMismatch
        | Refusal::LsaTooSoon => return None,
        Refusal::Destination
        | Refusal::Source
        | Refusal::Malformed
        | Refusal::Version
        | Refusal::PacketType
        | Refusal::Checksum
        | Refusal::RouterIdZero
        | Refusal::AuthenticationType
        | Refusal::NeighborAddress
        | Refusal::LsaChecksum
        | Refusal::LsaMalformed
        | Refusal::LsaScope
        | Refusal::LsaSequence
        | Refusal::DescriptionScope => {
            "no router sends that: something on the link makes packets up or damages them; look there with tcpdump"
        }
        Refusal::AreaMismatch => "put the neighbor's interface into area 0",
        Refusal::InstanceMismatch => "use instance 0 for IPv6 and 64 for IPv4 at the neighbor",
        Refusal::DuplicateRouterId => "give one of the two routers another `host_id`",
        Refusal::UnexpectedNeighbor => {
            "set the neighbor's `host_id`, which is its Router ID, in the link's section, or its router id there"
        }
        Refusal::AuthenticationMissing => "set `ospf_secret_file` on both routers or on neither",
        Refusal::AuthenticationUnknownSa => {
            "give both routers the key of that number (`ospf_sa_id`, section `ospf_key`)"
        }
        Refusal::AuthenticationProtocolId => {
            "FRR's trailer departs from RFC 7166: take the authentication out at both ends of the link, or run BIRD there"
        }
        Refusal::AuthenticationDigest => "put the same secret into the key's file on both routers",
        Refusal::AuthenticationReplay => {
            "recorded packets are repeated, or the neighbor has lost its count of starts: if it stays unheard, restart \
             this agent"
        }
        Refusal::HelloInterval => "set the same `hello_interval` at both ends",
        Refusal::DeadInterval => "set the same `dead_interval` at both ends",
        Refusal::ExternalRouting => "the neighbor takes area 0 for a stub area: make it a normal one there",
        Refusal::AddressFamily => "configure the neighbor's IPv4 channel with address families (RFC 5838)",
        Refusal::MtuMismatch => "set the same `mtu` at both ends",
        Refusal::MasterMismatch | Refusal::OptionsChanged | Refusal::SequenceMismatch => {
            "packets of the exchange are lost or repeated on the link; it begins again by itself"
        }
        Refusal::BadRequest | Refusal::BadAnswer => {
            "the databases disagree; the exchange begins again by itself"
        }
        Refusal::RequestsFull | Refusal::DatabaseFull | Refusal::RouterFull | Refusal::LinkFull => {
            "some router announces more than this one has room for: see `dlan lsdb` for which"
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_ordinary_has_a_next_step() {
        for refusal in Refusal::ALL {
            assert_eq!(note(*refusal, 1).is_none(), refusal.is_ordinary(), "{refusal}");
        }
    }
}

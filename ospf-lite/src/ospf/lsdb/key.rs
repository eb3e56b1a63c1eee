//! What identifies an LSA in the database: its key, and the scope it is flooded in.

use crate::ids::InterfaceId;
use crate::ospf::lsa::{LsaKey, Scope};

/// Who owns the scope an LSA is flooded in: LSAs with equal keys on two links are two LSAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// The link of this interface.
    Link(InterfaceId),
    /// The area.
    Area,
    /// The autonomous system.
    As,
}

impl Domain {
    /// Returns where an LSA that arrives over `interface` belongs, or nothing for the reserved scope. An unknown type
    /// without the U-bit stays on its link (RFC 5340 section 4.5.1).
    pub const fn of(key: &LsaKey, interface: InterfaceId) -> Option<Self> {
        match key.ls_type.flooding_scope() {
            Scope::Link => Some(Self::Link(interface)),
            Scope::Area => Some(Self::Area),
            Scope::As => Some(Self::As),
            Scope::Reserved => None,
        }
    }
}

/// What identifies an LSA in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LsdbKey {
    /// Where it belongs.
    pub domain: Domain,
    /// Which LSA.
    pub lsa: LsaKey,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LinkStateId, RouterId};
    use crate::ospf::lsa::LsType;

    #[test]
    fn an_unknown_type_without_the_u_bit_belongs_to_its_link() {
        let domain = |bits| {
            let ls_type = LsType::from_bits(bits);
            let lsa = LsaKey { ls_type, link_state_id: LinkStateId(1), advertising_router: RouterId(2) };
            Domain::of(&lsa, InterfaceId(7))
        };
        let link = Some(Domain::Link(InterfaceId(7)));
        assert_eq!([domain(0x3ff0), domain(0x5ff0), domain(0x0008)], [link; 3]);
        assert_eq!([domain(0xbff0), domain(0x2001)], [Some(Domain::Area); 2]);
        assert_eq!([domain(0xdff0), domain(0x4005)], [Some(Domain::As); 2]);
        assert_eq!([domain(0xe001), domain(0x6001)], [None; 2]);
    }
}

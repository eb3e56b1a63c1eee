//! The Options field, which packets and LSAs share.

/// The 24-bit Options field (RFC 5340 appendix A.2, RFC 5838 section 2.2, RFC 7166 section 2.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Options(u32);

impl Options {
    /// V6: the router takes part in IPv6 routing.
    pub const V6: Self = Self(0x00_0001);
    /// E: AS-External-LSAs are flooded.
    pub const E: Self = Self(0x00_0002);
    /// N: NSSA; never set by this engine.
    pub const N: Self = Self(0x00_0008);
    /// R: the router forwards for others.
    pub const R: Self = Self(0x00_0010);
    /// DC: demand circuits; never set by this engine.
    pub const DC: Self = Self(0x00_0020);
    /// AF: address families (RFC 5838).
    pub const AF: Self = Self(0x00_0100);
    /// L: link-local signaling; never set by this engine.
    pub const L: Self = Self(0x00_0200);
    /// AT: an authentication trailer follows the packet (RFC 7166).
    pub const AT: Self = Self(0x00_0400);

    /// Takes the field's low 24 bits.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits & 0x00ff_ffff)
    }

    /// Returns the field.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Returns both together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns this without the other.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns whether every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = [
            (Self::V6, "V6"),
            (Self::E, "E"),
            (Self::N, "N"),
            (Self::R, "R"),
            (Self::DC, "DC"),
            (Self::AF, "AF"),
            (Self::L, "L"),
            (Self::AT, "AT"),
        ];
        f.debug_set()
            .entries(names.iter().filter(|(bit, _)| self.contains(*bit)).map(|(_, name)| name))
            .finish()
    }
}

//! A reader that cannot read past the end of what it was given.

use crate::wire::error::DecodeError;

/// Octets being read from the front, with a name for messages.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    what: &'static str,
    total: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the front of `octets`; `what` names them in errors.
    pub(super) fn new(what: &'static str, octets: &'a [u8]) -> Self {
        Self { what, total: octets.len(), rest: octets }
    }

    /// Returns how many octets are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes the next `count` octets.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.truncated(count))?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the next octet.
    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_be_bytes)
    }

    /// Takes the next two octets.
    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes an octet and the 24 bits behind it.
    pub(super) fn u8_u24(&mut self) -> Result<(u8, u32), DecodeError> {
        let [first, a, b, c] = self.array()?;
        Ok((first, u32::from_be_bytes([0, a, b, c])))
    }

    /// Takes the next four octets.
    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes the next eight octets.
    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes the next sixteen octets.
    pub(super) fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_be_bytes)
    }

    /// Takes the next `N` octets.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.truncated(N))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Returns the error for a field with a value it cannot have.
    pub(super) fn refuse(
        &self,
        field: &'static str,
        found: impl Into<u64>,
        right: &'static str,
    ) -> DecodeError {
        DecodeError::Field { what: self.what, field, found: found.into(), right }
    }

    /// Makes sure that nothing is left.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(DecodeError::Length { what: self.what, found: self.total, right: self.total - self.rest.len() })
    }

    fn truncated(&self, needed: usize) -> DecodeError {
        DecodeError::Truncated {
            what: self.what,
            offset: self.total - self.rest.len(),
            needed,
            left: self.rest.len(),
        }
    }
}

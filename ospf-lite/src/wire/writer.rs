//! A writer of big-endian fields.

/// Octets being written at the end.
#[derive(Debug, Default)]
pub(super) struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    /// Starts with room for `capacity` octets.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { octets: Vec::with_capacity(capacity) }
    }

    /// Returns how many octets are written.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Writes one octet.
    pub(super) fn u8(&mut self, value: u8) {
        self.octets.push(value);
    }

    /// Writes two octets.
    pub(super) fn u16(&mut self, value: u16) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes an octet and 24 bits behind it; a larger value becomes the largest that fits.
    pub(super) fn u8_u24(&mut self, first: u8, value: u32) {
        self.u32(u32::from(first) << 24 | value.min(0x00ff_ffff));
    }

    /// Writes four octets.
    pub(super) fn u32(&mut self, value: u32) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes eight octets.
    pub(super) fn u64(&mut self, value: u64) {
        self.octets.extend_from_slice(&value.to_be_bytes());
    }

    /// Writes the octets.
    pub(super) fn octets(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Writes zeros up to a multiple of four octets.
    pub(super) fn align(&mut self) {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }

    /// Overwrites the two octets at `at`, which are written already.
    pub(super) fn put_u16(&mut self, at: usize, value: u16) {
        if let Some(field) = self.octets.get_mut(at..).and_then(|octets| octets.first_chunk_mut()) {
            *field = value.to_be_bytes();
        }
    }

    /// Returns what is written.
    pub(super) fn as_octets(&self) -> &[u8] {
        &self.octets
    }

    /// Returns what was written.
    pub(super) fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

impl From<Vec<u8>> for Writer {
    /// Writes on behind what is there.
    fn from(octets: Vec<u8>) -> Self {
        Self { octets }
    }
}

/// Returns a length as the protocol's 16-bit fields hold it; nothing sent is ever longer than they can tell.
pub(super) fn length_field(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

//! BFD Control packets: types, octets, and the checks that need no session (RFC 5880 sections 4.1 and 6.8.6).

use std::fmt;
use std::num::NonZeroU8;
use std::time::Duration;

use super::fsm::SessionState;
use super::refusal::Refusal;

/// The protocol version (RFC 5880 section 4.1).
const VERSION: u8 = 1;
/// The octets of a packet without Authentication Section.
const LENGTH: u8 = 24;
/// The octets of the shortest packet with an Authentication Section.
const LENGTH_AUTHENTICATED: u8 = 26;
const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const CONTROL_PLANE_INDEPENDENT: u8 = 0x08;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// Why a session last changed its state (RFC 5880 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Diagnostic {
    /// No Diagnostic.
    #[default]
    None,
    /// Control Detection Time Expired.
    DetectionTimeExpired,
    /// Echo Function Failed.
    EchoFailed,
    /// Neighbor Signaled Session Down.
    NeighborSignaledDown,
    /// Forwarding Plane Reset.
    ForwardingPlaneReset,
    /// Path Down.
    PathDown,
    /// Concatenated Path Down.
    ConcatenatedPathDown,
    /// Administratively Down.
    AdministrativelyDown,
    /// Reverse Concatenated Path Down.
    ReverseConcatenatedPathDown,
    /// A code that the standard reserves, 9..=31.
    Reserved(u8),
}

impl Diagnostic {
    /// Returns the diagnostic of a five-bit code.
    pub const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::None,
            1 => Self::DetectionTimeExpired,
            2 => Self::EchoFailed,
            3 => Self::NeighborSignaledDown,
            4 => Self::ForwardingPlaneReset,
            5 => Self::PathDown,
            6 => Self::ConcatenatedPathDown,
            7 => Self::AdministrativelyDown,
            8 => Self::ReverseConcatenatedPathDown,
            other => Self::Reserved(other),
        }
    }

    /// Returns the five-bit code.
    pub const fn bits(self) -> u8 {
        match self {
            Self::None => 0,
            Self::DetectionTimeExpired => 1,
            Self::EchoFailed => 2,
            Self::NeighborSignaledDown => 3,
            Self::ForwardingPlaneReset => 4,
            Self::PathDown => 5,
            Self::ConcatenatedPathDown => 6,
            Self::AdministrativelyDown => 7,
            Self::ReverseConcatenatedPathDown => 8,
            Self::Reserved(code) => code,
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::DetectionTimeExpired => "detection time expired",
            Self::EchoFailed => "echo failed",
            Self::NeighborSignaledDown => "neighbor signaled session down",
            Self::ForwardingPlaneReset => "forwarding plane reset",
            Self::PathDown => "path down",
            Self::ConcatenatedPathDown => "concatenated path down",
            Self::AdministrativelyDown => "administratively down",
            Self::ReverseConcatenatedPathDown => "reverse concatenated path down",
            Self::Reserved(code) => return write!(f, "reserved code {code}"),
        })
    }
}

/// A Control packet that passed every check that needs no session. Intervals are whole microseconds below 2^32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlPacket {
    /// Why the sender's session last changed its state.
    pub diagnostic: Diagnostic,
    /// The state of the sender's session.
    pub state: SessionState,
    /// What the packet asks or answers.
    pub sequence: Sequence,
    /// Whether the sender's BFD goes on while its control plane restarts.
    pub control_plane_independent: bool,
    /// Whether an Authentication Section follows. This implementation sends none.
    pub authenticated: bool,
    /// Whether the sender asks for silence, having other means to verify the path (section 6.6).
    pub demand: bool,
    /// How many missed packets make the sender's silence a failure.
    pub detect_mult: NonZeroU8,
    /// The sender's number for the session; never 0.
    pub my_discriminator: u32,
    /// This end's number for the session, as the sender has learned it; else 0.
    pub your_discriminator: u32,
    /// The least interval at which the sender would like to send.
    pub desired_min_tx: Duration,
    /// The least interval at which the sender can receive; 0 asks for no periodic packets.
    pub required_min_rx: Duration,
    /// The least interval at which the sender loops Echo packets; 0 for not at all.
    pub required_min_echo_rx: Duration,
}

/// The place of a packet in a Poll Sequence (RFC 5880 section 6.5). No packet polls and answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sequence {
    /// None.
    None,
    /// Poll: an answer is wanted at once.
    Poll,
    /// Final: this is the answer.
    Final,
}

/// Reads a packet, in the order of section 6.8.6. What follows the packet in `octets` is left alone.
pub fn decode(octets: &[u8]) -> Result<ControlPacket, Refusal> {
    let payload = octets;
    let first = payload.first().copied().ok_or(Refusal::LengthBeyondPayload)?;
    if first >> 5 != VERSION {
        return Err(Refusal::Version);
    }
    let Some((mandatory, _)) = payload.split_first_chunk::<{ LENGTH as usize }>() else {
        return Err(Refusal::LengthBeyondPayload);
    };
    let [_, flags, detect_mult, length, rest @ ..] = *mandatory;
    let is_authenticated = flags & AUTHENTICATION != 0;
    if length < if is_authenticated { LENGTH_AUTHENTICATED } else { LENGTH } {
        return Err(Refusal::Length);
    }
    if usize::from(length) > payload.len() {
        return Err(Refusal::LengthBeyondPayload);
    }
    let detect_mult = NonZeroU8::new(detect_mult).ok_or(Refusal::DetectMultZero)?;
    if flags & MULTIPOINT != 0 {
        return Err(Refusal::Multipoint);
    }
    let [my_discriminator, your_discriminator, desired_min_tx, required_min_rx, required_min_echo_rx] =
        words(rest);
    if my_discriminator == 0 {
        return Err(Refusal::MyDiscriminatorZero);
    }
    let micros = |value: u32| Duration::from_micros(u64::from(value));
    Ok(ControlPacket {
        diagnostic: Diagnostic::from_bits(first & 0x1f),
        state: SessionState::from_bits(flags >> 6),
        sequence: sequence(flags)?,
        control_plane_independent: flags & CONTROL_PLANE_INDEPENDENT != 0,
        authenticated: is_authenticated,
        demand: flags & DEMAND != 0,
        detect_mult,
        my_discriminator,
        your_discriminator,
        desired_min_tx: micros(desired_min_tx),
        required_min_rx: micros(required_min_rx),
        required_min_echo_rx: micros(required_min_echo_rx),
    })
}

fn sequence(flags: u8) -> Result<Sequence, Refusal> {
    match (flags & POLL != 0, flags & FINAL != 0) {
        (false, false) => Ok(Sequence::None),
        (true, false) => Ok(Sequence::Poll),
        (false, true) => Ok(Sequence::Final),
        (true, true) => Err(Refusal::PollAndFinal),
    }
}

fn words(octets: [u8; 20]) -> [u32; 5] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t] = octets;
    [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p], [q, r, s, t]].map(u32::from_be_bytes)
}

/// Writes a packet; there is no Authentication Section and no multipoint bit.
pub fn encode(packet: &ControlPacket) -> Vec<u8> {
    let sequence = match packet.sequence {
        Sequence::None => 0,
        Sequence::Poll => POLL,
        Sequence::Final => FINAL,
    };
    let independent = if packet.control_plane_independent { CONTROL_PLANE_INDEPENDENT } else { 0 };
    let demand = if packet.demand { DEMAND } else { 0 };
    let flags = packet.state.bits() << 6 | sequence | independent | demand;
    let mut octets = Vec::with_capacity(usize::from(LENGTH));
    octets.extend([
        VERSION << 5 | (packet.diagnostic.bits() & 0x1f),
        flags,
        packet.detect_mult.get(),
        LENGTH,
    ]);
    for word in [
        packet.my_discriminator,
        packet.your_discriminator,
        micros_field(packet.desired_min_tx),
        micros_field(packet.required_min_rx),
        micros_field(packet.required_min_echo_rx),
    ] {
        octets.extend(word.to_be_bytes());
    }
    octets
}

fn micros_field(interval: Duration) -> u32 {
    u32::try_from(interval.as_micros()).unwrap_or(u32::MAX)
}

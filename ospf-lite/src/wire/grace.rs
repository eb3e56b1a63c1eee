//! The body of a Grace-LSA to octets and back: a list of TLVs (RFC 5187 section 2.2, RFC 3630 section 2.3.2).

use crate::ospf::lsa::{GraceLsa, RestartReason};
use crate::wire::error::DecodeError;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Type of the grace period, four octets.
const PERIOD: u16 = 1;
/// Type of the reason, one octet.
const REASON: u16 = 2;

/// Reads the TLVs. Those of unknown types are passed over; the grace period and the reason must be there (RFC 5187
/// section 2.2). Of two of one type the first counts.
pub(super) fn decode(reader: &mut Reader<'_>) -> Result<GraceLsa, DecodeError> {
    let (mut period, mut reason) = (None, None);
    while reader.left() > 0 {
        let (kind, length) = (reader.u16()?, reader.u16()?);
        let mut value = Reader::new("Grace-LSA TLV", reader.take(usize::from(length))?);
        reader.take(usize::from(length).next_multiple_of(4) - usize::from(length))?;
        match kind {
            PERIOD if period.is_none() => {
                period = Some(value.u32()?);
                value.finish()?;
            }
            REASON if reason.is_none() => {
                reason = Some(reason_of(value.u8()?));
                value.finish()?;
            }
            _ => {}
        }
    }
    let lacks = |count| reader.refuse(count, 0_u8, "1");
    let period = period.ok_or_else(|| lacks("count of grace periods"))?;
    Ok(GraceLsa { period, reason: reason.ok_or_else(|| lacks("count of reasons"))? })
}

/// Writes the two TLVs that are always there.
pub(super) fn encode(grace: &GraceLsa, writer: &mut Writer) {
    writer.u16(PERIOD);
    writer.u16(4);
    writer.u32(grace.period);
    writer.u16(REASON);
    writer.u16(1);
    writer.u8(number_of(grace.reason));
    writer.align();
}

const fn reason_of(number: u8) -> RestartReason {
    match number {
        0 => RestartReason::Unknown,
        1 => RestartReason::SoftwareRestart,
        2 => RestartReason::SoftwareReload,
        3 => RestartReason::RedundantProcessor,
        other => RestartReason::Other(other),
    }
}

const fn number_of(reason: RestartReason) -> u8 {
    match reason {
        RestartReason::Unknown => 0,
        RestartReason::SoftwareRestart => 1,
        RestartReason::SoftwareReload => 2,
        RestartReason::RedundantProcessor => 3,
        RestartReason::Other(number) => number,
    }
}

//! The number of the last change to nftables, which the kernel counts in each network namespace: to ask for it costs two calls,
//! to list a table a process.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols};

/// NFT_MSG_GETGEN and its answer NFT_MSG_NEWGEN, of the subsystem NFNL_SUBSYS_NFTABLES.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
/// NFTA_GEN_ID: the number, big-endian.
const ATTRIBUTE_ID: u16 = 1;
/// NLM_F_REQUEST.
const REQUEST: u16 = 1;
/// Octets of a netlink header, and of the header of a nfnetlink message behind it.
const HEADER: usize = 16;
const NFNETLINK_HEADER: usize = 4;
/// More than the answer has.
const ANSWER_MAX: usize = 256;

/// Returns the number of the last change.
pub fn read() -> io::Result<u32> {
    let mut socket = Socket::new(protocols::NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    // The kernel answers before the request returns.
    socket.set_non_blocking(true)?;
    socket.send_to(&request(), &SocketAddr::new(0, 0), 0)?;
    let mut answer = Vec::with_capacity(ANSWER_MAX);
    socket.recv(&mut answer, 0)?;
    generation(&answer).ok_or_else(|| io::Error::other("the kernel does not say how often nftables changed"))
}

fn request() -> Vec<u8> {
    let length = (HEADER + NFNETLINK_HEADER) as u32;
    let mut octets = length.to_ne_bytes().to_vec();
    octets.extend(GET_GENERATION.to_ne_bytes());
    octets.extend(REQUEST.to_ne_bytes());
    // Sequence number, port, and a nfnetlink header of no family.
    octets.resize(HEADER + NFNETLINK_HEADER, 0);
    octets
}

/// Finds the number in an answer.
fn generation(answer: &[u8]) -> Option<u32> {
    let word = |at: usize| Some(u16::from_ne_bytes(answer.get(at..at + 2)?.try_into().ok()?));
    if word(4)? != NEW_GENERATION {
        return None;
    }
    let mut at = HEADER + NFNETLINK_HEADER;
    loop {
        let length = usize::from(word(at)?);
        if word(at + 2)? == ATTRIBUTE_ID {
            return Some(u32::from_be_bytes(answer.get(at + 4..at + 8)?.try_into().ok()?));
        }
        // An attribute has a header at least, and is padded to four octets.
        at += length.max(4).next_multiple_of(4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(message: u16, attribute: u16) -> Vec<u8> {
        let mut octets = 36_u32.to_ne_bytes().to_vec();
        octets.extend(message.to_ne_bytes());
        octets.resize(HEADER + NFNETLINK_HEADER, 0);
        for (kind, value) in [(2, 7_u32), (attribute, 41)] {
            octets.extend(8_u16.to_ne_bytes());
            octets.extend(u16::to_ne_bytes(kind));
            octets.extend(value.to_be_bytes());
        }
        octets
    }

    #[test]
    fn the_number_is_found_behind_other_attributes() {
        assert_eq!(generation(&answer(NEW_GENERATION, ATTRIBUTE_ID)), Some(41));
        assert_eq!(generation(&answer(NEW_GENERATION, 3)), None);
        assert_eq!(generation(&answer(2, ATTRIBUTE_ID)), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_to_its_end(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = generation(&octets);
            let mut told = octets;
            if let Some(kind) = told.get_mut(4..6) {
                kind.copy_from_slice(&NEW_GENERATION.to_ne_bytes());
            }
            let _ = generation(&told);
        }
    }
}

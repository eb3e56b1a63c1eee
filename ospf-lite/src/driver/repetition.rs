//! What a far end says again and again, told from all else in the kernel: it says no more than that its sender is alive, and
//! waits in a socket of its own until somebody is awake anyway.

use std::net::Ipv6Addr;

/// An instruction of the kernel's packet filter: what to do, how many to leave out if it is so and if not, a number.
pub(super) type Instruction = (u16, u8, u8, u32);
/// The filter's words (classic BPF, `linux/filter.h`).
const LOAD_32: u16 = 0x20;
const LOAD_8: u16 = 0x30;
const LOAD_LENGTH: u16 = 0x80;
const IS_EQUAL: u16 = 0x15;
const IS_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// Where the filter finds the IPv6 header (`SKF_NET_OFF`), and the source address in it.
const SOURCE: u32 = 0xfff0_0000 + 8;
/// The longest beginning that is told from others. An instruction leaves out 255 others at most.
const LENGTH_MAX: usize = 128;

/// Packets that are alike: what they begin with, and where they come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    beginning: Vec<u8>,
    source: Option<Ipv6Addr>,
}

impl Pattern {
    /// Returns that of the packets that begin so, from anybody; nothing when that is too long.
    pub fn beginning(octets: &[u8]) -> Option<Self> {
        (octets.len() <= LENGTH_MAX).then(|| Self { beginning: octets.to_vec(), source: None })
    }

    /// Returns that of those among them that come from this address.
    pub fn from(self, source: Ipv6Addr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Returns what leaves the filter with `verdict` if a packet is one of these, and goes on behind it if not.
    fn test(&self, verdict: u32) -> Vec<Instruction> {
        let words = self.beginning.chunks_exact(4);
        let rest = words.remainder();
        let at = |index: usize, step: usize| u32::try_from(index * step).unwrap_or(u32::MAX);
        let number = |octets: &[u8]| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
        let rest_at = at(words.len(), 4);
        let words = words.enumerate().map(|(index, word)| (LOAD_32, at(index, 4), number(word)));
        let rest = rest.iter().enumerate();
        let rest = rest.map(|(index, octet)| (LOAD_8, rest_at + at(index, 1), u32::from(*octet)));
        let source = self.source.map(|source| source.octets());
        let source = source.iter().flat_map(|source| source.chunks_exact(4)).enumerate();
        let source = source.map(|(index, word)| (LOAD_32, SOURCE + at(index, 4), number(word)));

        // What is shorter must not be looked into: the kernel drops a packet for that.
        let mut steps =
            vec![(LOAD_LENGTH, 0, (IS_AT_LEAST, u32::try_from(self.beginning.len()).unwrap_or(u32::MAX)))];
        steps.extend(words.chain(rest).chain(source).map(|(load, at, value)| (load, at, (IS_EQUAL, value))));
        let mut left = steps.len() * 2 + 1;
        let mut instructions = Vec::with_capacity(left);
        for (load, at, (compare, value)) in steps {
            left -= 2;
            instructions.push((load, 0, 0, at));
            instructions.push((compare, 0, u8::try_from(left).unwrap_or(u8::MAX), value));
        }
        instructions.push((RETURN, 0, 0, verdict));
        instructions
    }
}

/// Returns the filter that answers with one number for packets like these, with another for all others.
pub(super) fn filter(patterns: &[&Pattern], alike: u32, others: u32) -> Vec<Instruction> {
    let tests = patterns.iter().flat_map(|pattern| pattern.test(alike));
    tests.chain([(RETURN, 0, 0, others)]).collect()
}

/// How many times in a row something is said before it is expected: over a link that flaps nothing is, and no socket opened for
/// nothing.
pub(super) const ALIKE_MIN: u8 = 4;

/// What one far end says again and again, once it has said it often enough.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    last: Option<Pattern>,
    /// How many times in a row, as far as that counts.
    in_a_row: u8,
    is_expected: bool,
}

impl Repetition {
    /// Takes in what was accepted; `is_settled` says that another one like it would change nothing. Returns whether something
    /// else than before is expected.
    pub fn hear(&mut self, heard: Option<Pattern>, is_settled: bool) -> bool {
        let before = if heard == self.last { self.in_a_row } else { 0 };
        self.in_a_row = if heard.is_some() { before.saturating_add(1).min(ALIKE_MIN) } else { 0 };
        self.last = heard;
        let is_expected = self.in_a_row == ALIKE_MIN && is_settled;
        std::mem::replace(&mut self.is_expected, is_expected) != is_expected
    }

    /// Expects nothing, as at the beginning.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Returns what is expected.
    pub fn expected(&self) -> Option<&Pattern> {
        self.last.as_ref().filter(|_| self.is_expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does what the kernel does with a packet and its source.
    fn run(filter: &[Instruction], packet: &[u8], source: Ipv6Addr) -> u32 {
        let load = |at: u32, length: usize| {
            let (from, octets) = match at.checked_sub(SOURCE) {
                Some(at) => (at, source.octets().to_vec()),
                None => (at, packet.to_vec()),
            };
            let octets = octets.get(from as usize..from as usize + length);
            octets.map(|octets| octets.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
        };
        let (mut at, mut loaded) = (0, 0);
        loop {
            let (code, yes, no, value) = filter[at];
            at += 1;
            let answer = match code {
                LOAD_LENGTH => Some(u32::try_from(packet.len()).unwrap()),
                LOAD_32 => load(value, 4),
                LOAD_8 => load(value, 1),
                IS_EQUAL | IS_AT_LEAST => {
                    let is_so = if code == IS_EQUAL { loaded == value } else { loaded >= value };
                    at += usize::from(if is_so { yes } else { no });
                    Some(loaded)
                }
                RETURN => return value,
                other => panic!("{other} is no instruction of ours"),
            };
            // The kernel drops a packet that is too short for an instruction.
            let Some(answer) = answer else { return 0 };
            loaded = answer;
        }
    }

    #[test]
    fn only_what_begins_alike_and_comes_from_there_is_alike() {
        let near: Ipv6Addr = "fe80::2".parse().unwrap();
        let far = "fe80::1:2".parse().unwrap();
        for length in [0, 1, 3, 4, 24, 40, 43, LENGTH_MAX] {
            let packet: Vec<u8> = (1..=u8::try_from(length).unwrap()).collect();
            let pattern = Pattern::beginning(&packet).unwrap();
            let from_near = pattern.clone().from(near);
            let filter_of = |pattern: &Pattern| filter(&[pattern], 7, 9);
            assert_eq!(run(&filter_of(&pattern), &packet, far), 7);
            assert_eq!(run(&filter_of(&from_near), &packet, near), 7);
            assert_eq!(run(&filter_of(&from_near), &packet, far), 9);
            let longer = [&packet[..], &[0; 36]].concat();
            assert_eq!(run(&filter_of(&from_near), &longer, near), 7, "a trailer differs each time");
            for at in 0..length {
                let mut other = packet.clone();
                other[at] ^= 0x10;
                assert_eq!(run(&filter_of(&pattern), &other, near), 9, "octet {at} of {length}");
                assert_eq!(run(&filter_of(&pattern), &packet[..at], near), 9, "{at} octets of {length}");
            }
        }
        assert_eq!(Pattern::beginning(&[0; LENGTH_MAX + 1]), None);
    }

    #[test]
    fn each_of_several_is_found_and_nothing_else() {
        let packets = [vec![3, 1, 0, 40, 9], vec![3, 1, 0, 40, 8], vec![3, 1]];
        let patterns: Vec<_> = packets.iter().map(|packet| Pattern::beginning(packet).unwrap()).collect();
        let source = Ipv6Addr::LOCALHOST;
        for known in 0..=2 {
            let expected: Vec<_> = patterns[..known].iter().collect();
            let filter = filter(&expected, 1, 0);
            for (index, packet) in packets.iter().enumerate() {
                assert_eq!(run(&filter, packet, source), u32::from(index < known), "{packet:?} of {known}");
            }
        }
    }

    #[test]
    fn what_was_said_often_enough_is_expected_until_something_else_is_said() {
        let says = |octet: u8| Pattern::beginning(&[octet; 24]);
        let mut repetition = Repetition::default();
        let say_before = |repetition: &mut Repetition, octet| {
            for _ in 1..ALIKE_MIN {
                assert!(!repetition.hear(says(octet), true));
                assert_eq!(repetition.expected(), None, "not said often enough");
            }
        };
        say_before(&mut repetition, 1);
        assert!(repetition.hear(says(1), true));
        assert_eq!(repetition.expected(), says(1).as_ref());
        assert!(!repetition.hear(says(1), true));
        assert!(repetition.hear(says(2), true), "something else");
        assert_eq!(repetition.expected(), None);
        say_before(&mut repetition, 3);
        assert!(repetition.hear(says(3), true));
        assert!(repetition.hear(says(3), false), "not settled any more");
        assert_eq!(repetition.expected(), None);
        assert!(repetition.hear(says(3), true));
        repetition.forget();
        assert_eq!(repetition.expected(), None);
        say_before(&mut repetition, 3);
        for _ in 0..2 * ALIKE_MIN {
            assert!(!repetition.hear(None, true), "too long to be told from others");
        }
    }
}

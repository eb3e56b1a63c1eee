//! Which of its notifications the kernel keeps to itself, and which it puts aside, as classic BPF.

use std::collections::BTreeSet;

use nix::libc;
use socket2::SockFilter;

use super::rtnl_next_hop::{RTM_DELNEXTHOP, RTM_NEWNEXTHOP};

/// Devices whose notifications can be put aside: an instruction leaves out 255 others at most.
pub const ASIDE_MAX: usize = 128;

/// An instruction of the kernel's packet filter: what to do, how many to leave out if it is so and if not, a number.
type Instruction = (u16, u8, u8, u32);
/// The filter's words (`linux/filter.h`).
const LOAD_32: u16 = 0x20;
const LOAD_16: u16 = 0x28;
const LOAD_8: u16 = 0x30;
const IS_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// What the filter answers for a message that is let through whole, and for one that is not.
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;
/// Where a message has its type and its sender's port, what is told of a neighbor its family and what is told of a device its
/// number (`struct nlmsghdr`, `struct ndmsg`, `struct ifinfomsg`).
const NLMSG_TYPE: u32 = 4;
const NLMSG_PID: u32 = 12;
const NDM_FAMILY: u32 = 16;
const IFI_INDEX: u32 = 20;

/// Returns what leaves in the kernel what would be read for nothing: what it finds out of neighbors as traffic comes and goes, of
/// which only entries of forwarding databases are let through; routes and next hop objects that were set from `own_port`. And
/// what is told of the devices with these numbers, as long as they are there: [`aside`] lets that through.
pub fn at_once(own_port: u32, put_aside: &BTreeSet<u32>) -> Vec<SockFilter> {
    let rest: [Instruction; 13] = [
        (LOAD_16, 0, 0, NLMSG_TYPE),
        (IS_EQUAL, 5, 0, type_as_loaded(libc::RTM_NEWNEIGH)),
        (IS_EQUAL, 4, 0, type_as_loaded(libc::RTM_DELNEIGH)),
        (IS_EQUAL, 5, 0, type_as_loaded(libc::RTM_NEWROUTE)),
        (IS_EQUAL, 4, 0, type_as_loaded(libc::RTM_DELROUTE)),
        (IS_EQUAL, 3, 0, type_as_loaded(RTM_NEWNEXTHOP)),
        (IS_EQUAL, 2, 4, type_as_loaded(RTM_DELNEXTHOP)),
        (LOAD_8, 0, 0, NDM_FAMILY),
        (IS_EQUAL, 2, 3, libc::AF_BRIDGE.cast_unsigned()),
        (LOAD_32, 0, 0, NLMSG_PID),
        (IS_EQUAL, 1, 0, as_loaded(own_port)),
        (RETURN, 0, 0, ALL),
        (RETURN, 0, 0, NOTHING),
    ];
    program(devices(put_aside, NOTHING).into_iter().chain(rest))
}

/// Returns what lets through what is told of the devices with these numbers, as long as they are there, and nothing else.
pub fn aside(put_aside: &BTreeSet<u32>) -> Vec<SockFilter> {
    program(devices(put_aside, ALL).into_iter().chain([(RETURN, 0, 0, NOTHING)]))
}

/// Returns what leaves the filter with `verdict` if a message tells that one of these devices is there or changes, and goes on behind
/// it if not.
fn devices(numbers: &BTreeSet<u32>, verdict: u32) -> Vec<Instruction> {
    let count = u8::try_from(numbers.len().min(ASIDE_MAX)).unwrap_or_default();
    if count == 0 {
        return Vec::new();
    }
    let compare = |(left, number): (u8, &u32)| (IS_EQUAL, left, u8::from(left == 0), as_loaded(*number));
    let mut instructions = vec![
        (LOAD_16, 0, 0, NLMSG_TYPE),
        (IS_EQUAL, 0, count + 2, type_as_loaded(libc::RTM_NEWLINK)),
        (LOAD_32, 0, 0, IFI_INDEX),
    ];
    instructions.extend((0..count).rev().zip(numbers).map(compare));
    instructions.push((RETURN, 0, 0, verdict));
    instructions
}

fn program(instructions: impl Iterator<Item = Instruction>) -> Vec<SockFilter> {
    instructions.map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value)).collect()
}

/// Returns a number as the filter loads it, which takes numbers for those of a network.
const fn as_loaded(number: u32) -> u32 {
    u32::from_be_bytes(number.to_ne_bytes())
}

const fn type_as_loaded(message_type: u16) -> u32 {
    u16::from_be_bytes(message_type.to_ne_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Socket, Type};

    use super::*;

    const OWN: u32 = 4711;

    /// A socket behind a filter, and its other end.
    fn behind(filter: &[SockFilter]) -> (Socket, Socket) {
        let (kernel, socket) = Socket::pair(Domain::UNIX, Type::DGRAM, None).unwrap();
        socket.attach_filter(filter).unwrap();
        socket.set_nonblocking(true).unwrap();
        (kernel, socket)
    }

    /// Returns whether a message is passed on.
    fn passes((kernel, socket): &(Socket, Socket), octets: &[u8]) -> bool {
        kernel.send(octets).unwrap();
        let mut buffer = Vec::with_capacity(octets.len());
        socket.recv(buffer.spare_capacity_mut()).is_ok()
    }

    fn message(kind: u16, port: u32, family: u8, number: u32) -> Vec<u8> {
        let head = [28_u32.to_ne_bytes(), [0; 4], [0; 4], port.to_ne_bytes()];
        let mut octets = [head.as_flattened(), &[family, 0, 0, 0], &number.to_ne_bytes(), &[0; 4]].concat();
        octets[4..6].copy_from_slice(&kind.to_ne_bytes());
        octets
    }

    #[test]
    fn the_kernel_passes_on_whatever_may_say_something() {
        let at_once = behind(&at_once(OWN, &BTreeSet::new()));
        let set = [libc::RTM_NEWROUTE, libc::RTM_DELROUTE, RTM_NEWNEXTHOP, RTM_DELNEXTHOP];
        let ports = [0, 9, OWN, OWN.swap_bytes()];
        for (kind, port) in (0..130).flat_map(|kind| ports.map(|port| (kind, port))) {
            for family in 0..=u8::MAX {
                let is_neighbor = [libc::RTM_NEWNEIGH, libc::RTM_DELNEIGH].contains(&kind);
                let is_bridge = i32::from(family) == libc::AF_BRIDGE;
                let is_passed_on = if is_neighbor { is_bridge } else { !set.contains(&kind) || port != OWN };
                let octets = message(kind, port, family, 7);
                assert_eq!(passes(&at_once, &octets), is_passed_on, "{kind} {port} {family}");
            }
        }
    }

    #[test]
    fn what_is_put_aside_is_passed_on_at_one_of_the_two_ends() {
        let most: BTreeSet<u32> = (1..).step_by(3).take(ASIDE_MAX).collect();
        let too_many: BTreeSet<u32> = (1..).step_by(3).take(ASIDE_MAX + 9).collect();
        for put_aside in [BTreeSet::new(), BTreeSet::from([7]), BTreeSet::from([6, 7, 300]), most, too_many] {
            let (now, late) = (behind(&at_once(OWN, &put_aside)), behind(&aside(&put_aside)));
            let before = behind(&at_once(OWN, &BTreeSet::new()));
            for (kind, number) in (0..130).flat_map(|kind| (0..420).map(move |number| (kind, number))) {
                let octets = message(kind, 9, 0, number);
                let is_late =
                    kind == libc::RTM_NEWLINK && put_aside.iter().take(ASIDE_MAX).any(|one| *one == number);
                assert_eq!(passes(&late, &octets), is_late, "{kind} {number}");
                assert_eq!(passes(&now, &octets), passes(&before, &octets) && !is_late, "{kind} {number}");
            }
        }
    }
}

//! A prefix without some of what lies within it.

use ipnet::IpNet;

/// Returns prefixes that cover `net` but nothing of `holes`.
pub fn without(net: IpNet, holes: &[IpNet]) -> Vec<IpNet> {
    let inner: Vec<IpNet> = holes.iter().copied().filter(|hole| net.contains(hole)).collect();
    if inner.is_empty() {
        return vec![net];
    }
    if inner.contains(&net) {
        return Vec::new();
    }
    let halves = net.subnets(net.prefix_len().saturating_add(1));
    halves.into_iter().flatten().flat_map(|half| without(half, &inner)).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use ipnet::Ipv4Net;
    use proptest::prelude::*;

    use super::*;

    fn net() -> impl Strategy<Value = IpNet> {
        (0_u8..32, 24_u8..=32).prop_map(|(host, length)| {
            IpNet::V4(Ipv4Net::new(Ipv4Addr::new(10, 0, 0, host), length).unwrap().trunc())
        })
    }

    proptest! {
        #[test]
        fn every_address_stays_unless_it_is_in_a_hole(
            whole in net(),
            holes in prop::collection::vec(net(), 0..5),
        ) {
            let holes: Vec<IpNet> = holes.into_iter().filter(|hole| whole.contains(hole)).collect();
            let left = without(whole, &holes);
            for host in 0..=255 {
                let address = Ipv4Addr::new(10, 0, 0, host);
                let is_wanted = |net: &IpNet| net.contains(&std::net::IpAddr::V4(address));
                let times = left.iter().filter(|net| is_wanted(net)).count();
                let wanted = is_wanted(&whole) && !holes.iter().any(is_wanted);
                prop_assert_eq!(times, usize::from(wanted));
            }
        }
    }
}

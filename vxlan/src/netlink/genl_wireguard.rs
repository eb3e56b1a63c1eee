//! The kernel's WireGuard, over generic netlink.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use futures_util::StreamExt as _;
use ipnet::IpNet;
use netlink_packet_generic::ctrl::nlas::GenlCtrlAttrs;
use netlink_packet_generic::ctrl::{GenlCtrl, GenlCtrlCmd};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};
use netlink_packet_wireguard::{
    WireguardAddressFamily, WireguardAllowedIp, WireguardAllowedIpAttr, WireguardAttribute, WireguardCmd,
    WireguardMessage, WireguardPeer, WireguardPeerAttribute, WireguardPeerFlags,
};
use rtnetlink::packet_core::{
    Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload, ParseableParametrized,
};
use rtnetlink::proto::ConnectionHandle;
use rtnetlink::sys::{SocketAddr, protocols::NETLINK_GENERIC};

use super::error::NetlinkError;
use super::rtnl::{check, is_acknowledgment};
use crate::key::{KEY_LENGTH, PresharedKey, PrivateKey, PublicKey};
use crate::link::LinkName;
use crate::uapi::{DeviceReport, PeerReport};
use crate::wireguard::{Peer, PeerStep, WireGuardLink, peer_steps};

/// A connection to the kernel's WireGuard.
#[derive(Debug)]
pub(super) struct KernelWireGuard {
    handle: ConnectionHandle<GenlMessage<WireguardMessage>>,
    family: u16,
}

impl KernelWireGuard {
    /// Opens a connection, or returns nothing where the kernel has no WireGuard. Asking loads the module if there is one.
    pub(super) async fn open() -> Result<Option<Self>, NetlinkError> {
        let family = match resolve_family().await {
            Ok(family) => family,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error),
        };
        let handle = connect().map_err(NetlinkError::Kernel)?;
        Ok(Some(Self { handle, family }))
    }

    /// Returns what a device says about itself. The kernel splits a large device over several messages.
    pub(super) async fn report(&self, device: &LinkName) -> Result<DeviceReport, NetlinkError> {
        let message = WireguardMessage {
            cmd: WireguardCmd::GetDevice,
            attributes: vec![WireguardAttribute::IfName(device.as_str().to_owned())],
        };
        let mut report = DeviceReport::default();
        let mut replies = self.request(message, NLM_F_DUMP)?;
        while let Some(reply) = replies.next().await {
            check(&reply.payload)?;
            match reply.payload {
                NetlinkPayload::InnerMessage(message) => read_device(&mut report, &message.payload),
                NetlinkPayload::Done(_) => return Ok(report),
                _ => {}
            }
        }
        Err(NetlinkError::Closed)
    }

    /// Changes a device from one value to another, peer by peer; without `from`, sets everything.
    pub(super) async fn set(
        &self,
        device: &LinkName,
        from: Option<&WireGuardLink>,
        to: &WireGuardLink,
    ) -> Result<(), NetlinkError> {
        if let Some(attributes) = device_attributes(from, to) {
            self.act(device, attributes).await?;
        }
        let none = BTreeMap::new();
        for step in peer_steps(from.map_or(&none, |from| &from.peers), &to.peers) {
            self.act(device, vec![WireguardAttribute::Peers(vec![peer_message(&step)])]).await?;
        }
        Ok(())
    }

    /// Sends to a peer at another address, if the device has the peer.
    pub(super) async fn set_endpoint(
        &self,
        device: &LinkName,
        peer: &PublicKey,
        endpoint: std::net::SocketAddr,
    ) -> Result<(), NetlinkError> {
        let peer = WireguardPeer(vec![
            WireguardPeerAttribute::PublicKey(*peer.octets()),
            WireguardPeerAttribute::Flags(WireguardPeerFlags::UpdateOnly),
            WireguardPeerAttribute::Endpoint(endpoint),
        ]);
        self.act(device, vec![WireguardAttribute::Peers(vec![peer])]).await
    }

    async fn act(
        &self,
        device: &LinkName,
        mut attributes: Vec<WireguardAttribute>,
    ) -> Result<(), NetlinkError> {
        attributes.insert(0, WireguardAttribute::IfName(device.as_str().to_owned()));
        let message = WireguardMessage { cmd: WireguardCmd::SetDevice, attributes };
        let mut replies = self.request(message, NLM_F_ACK)?;
        while let Some(reply) = replies.next().await {
            check(&reply.payload)?;
            if is_acknowledgment(&reply.payload) {
                return Ok(());
            }
        }
        Err(NetlinkError::Closed)
    }

    fn request(
        &self,
        message: WireguardMessage,
        flags: u16,
    ) -> Result<impl futures_util::Stream<Item = NetlinkMessage<GenlMessage<WireguardMessage>>>, NetlinkError>
    {
        let mut message = GenlMessage::from_payload(message);
        message.set_resolved_family_id(self.family);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        self.handle.request(request, SocketAddr::new(0, 0)).map_err(|_| NetlinkError::Closed)
    }
}

/// Opens a generic netlink connection that speaks one family's messages.
fn connect<F>() -> io::Result<ConnectionHandle<GenlMessage<F>>>
where
    F: GenlFamily + Emitable + ParseableParametrized<[u8], GenlHeader> + Debug + Unpin + Send + 'static,
{
    let (mut connection, handle, _) = rtnetlink::proto::new_connection(NETLINK_GENERIC)?;
    connection.set_forward_ack(true);
    connection.set_forward_done(true);
    tokio::spawn(connection);
    Ok(handle)
}

/// Asks the kernel for the number of WireGuard's family.
async fn resolve_family() -> Result<u16, NetlinkError> {
    let handle = connect::<GenlCtrl>().map_err(NetlinkError::Kernel)?;
    let name = GenlCtrlAttrs::FamilyName(WireguardMessage::family_name().to_owned());
    let payload = GenlCtrl { cmd: GenlCtrlCmd::GetFamily, nlas: vec![name] };
    let mut request = NetlinkMessage::from(GenlMessage::from_payload(payload));
    request.header.flags = NLM_F_REQUEST;
    let mut replies = handle.request(request, SocketAddr::new(0, 0)).map_err(|_| NetlinkError::Closed)?;
    while let Some(reply) = replies.next().await {
        check(&reply.payload)?;
        if let NetlinkPayload::InnerMessage(message) = reply.payload {
            let family = message.payload.nlas.iter().find_map(|attribute| match attribute {
                GenlCtrlAttrs::FamilyId(family) => Some(*family),
                _ => None,
            });
            if let Some(family) = family {
                return Ok(family);
            }
        }
    }
    Err(NetlinkError::Closed)
}

/// Returns what differs of the device itself, if anything does.
fn device_attributes(from: Option<&WireGuardLink>, to: &WireGuardLink) -> Option<Vec<WireguardAttribute>> {
    let mut attributes = Vec::new();
    if from.is_none_or(|from| from.private_key != to.private_key) {
        attributes.push(WireguardAttribute::PrivateKey(*to.private_key.octets()));
    }
    if from.is_none_or(|from| from.listen_port != to.listen_port) {
        attributes.push(WireguardAttribute::ListenPort(to.listen_port));
    }
    if from.is_none_or(|from| from.fwmark != to.fwmark) {
        attributes.push(WireguardAttribute::Fwmark(to.fwmark));
    }
    (!attributes.is_empty()).then_some(attributes)
}

fn peer_message(step: &PeerStep<'_>) -> WireguardPeer {
    use WireguardPeerAttribute as Attribute;
    match step {
        PeerStep::Remove(key) => WireguardPeer(vec![
            Attribute::PublicKey(*key.octets()),
            Attribute::Flags(WireguardPeerFlags::RemoveMe | WireguardPeerFlags::UpdateOnly),
        ]),
        PeerStep::Add(key, peer) => set_peer(key, None, peer),
        PeerStep::Update { key, from, to } => set_peer(key, Some(from), to),
    }
}

fn set_peer(key: &PublicKey, from: Option<&Peer>, to: &Peer) -> WireguardPeer {
    use WireguardPeerAttribute as Attribute;
    let no_key = PresharedKey::from_octets([0; KEY_LENGTH]);
    let preshared_key = to.preshared_key.as_ref().unwrap_or(&no_key);
    let mut attributes = vec![
        Attribute::PublicKey(*key.octets()),
        Attribute::Flags(WireguardPeerFlags::ReplaceAllowedIps),
        Attribute::PresharedKey(*preshared_key.octets()),
        Attribute::PersistentKeepalive(to.keepalive.unwrap_or(0)),
    ];
    // An endpoint that is not changed is not set again: the peer may just have roamed.
    if from.is_none_or(|from| from.endpoint != to.endpoint) {
        attributes.extend(to.endpoint.map(Attribute::Endpoint));
    }
    attributes.push(Attribute::AllowedIps(to.allowed_ips.iter().map(allowed_ip).collect()));
    WireguardPeer(attributes)
}

fn allowed_ip(prefix: &IpNet) -> WireguardAllowedIp {
    let family = match prefix {
        IpNet::V4(_) => WireguardAddressFamily::Ipv4,
        IpNet::V6(_) => WireguardAddressFamily::Ipv6,
    };
    WireguardAllowedIp(vec![
        WireguardAllowedIpAttr::Family(family),
        WireguardAllowedIpAttr::IpAddr(prefix.addr()),
        WireguardAllowedIpAttr::Cidr(prefix.prefix_len()),
    ])
}

/// Takes in one message about a device.
fn read_device(report: &mut DeviceReport, message: &WireguardMessage) {
    for attribute in &message.attributes {
        match attribute {
            WireguardAttribute::PrivateKey(key) if *key != [0; KEY_LENGTH] => {
                report.private_key = Some(PrivateKey::from_octets(*key));
            }
            WireguardAttribute::ListenPort(port) => report.listen_port = *port,
            WireguardAttribute::Fwmark(mark) => report.fwmark = *mark,
            WireguardAttribute::Peers(peers) => {
                for peer in peers {
                    read_peer(report, peer);
                }
            }
            _ => {}
        }
    }
}

/// Takes in one peer, which may continue one of an earlier message with more allowed IPs.
fn read_peer(report: &mut DeviceReport, peer: &WireguardPeer) {
    use WireguardPeerAttribute as Attribute;
    let key = peer.iter().find_map(|attribute| match attribute {
        Attribute::PublicKey(key) => Some(PublicKey::from_octets(*key)),
        _ => None,
    });
    let Some(key) = key else { return };
    let seen = report.peers.entry(key).or_insert_with(PeerReport::empty);
    for attribute in peer.iter() {
        match attribute {
            Attribute::PresharedKey(key) => {
                seen.peer.preshared_key = (*key != [0; KEY_LENGTH]).then(|| PresharedKey::from_octets(*key));
            }
            Attribute::Endpoint(endpoint) => seen.peer.endpoint = Some(*endpoint),
            Attribute::PersistentKeepalive(seconds) => {
                seen.peer.keepalive = (*seconds > 0).then_some(*seconds)
            }
            Attribute::LastHandshake(at) => {
                let seconds = u64::try_from(at.seconds).ok().filter(|seconds| *seconds > 0);
                let part = u32::try_from(at.nano_seconds).ok().filter(|part| *part < 1_000_000_000);
                seen.last_handshake = seconds.map(|seconds| Duration::new(seconds, part.unwrap_or(0)));
            }
            Attribute::RxBytes(octets) => seen.rx_bytes = *octets,
            Attribute::TxBytes(octets) => seen.tx_bytes = *octets,
            Attribute::AllowedIps(list) => {
                seen.peer.allowed_ips.extend(list.iter().filter_map(read_allowed_ip))
            }
            _ => {}
        }
    }
}

fn read_allowed_ip(allowed: &WireguardAllowedIp) -> Option<IpNet> {
    let (mut address, mut length) = (None, None);
    for attribute in allowed.iter() {
        match attribute {
            WireguardAllowedIpAttr::IpAddr(ip) => address = Some(*ip),
            WireguardAllowedIpAttr::Cidr(cidr) => length = Some(*cidr),
            _ => {}
        }
    }
    IpNet::new(address?, length?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn wanted() -> WireGuardLink {
        let peer = Peer {
            endpoint: Some("[2001:db8::1]:51820".parse().unwrap()),
            preshared_key: Some(PresharedKey::from_octets([7; 32])),
            keepalive: Some(25),
            allowed_ips: BTreeSet::from(["10.1.0.4/32".parse().unwrap(), "fd00::4/128".parse().unwrap()]),
        };
        let silent =
            Peer { endpoint: None, preshared_key: None, keepalive: None, allowed_ips: BTreeSet::new() };
        WireGuardLink {
            private_key: PrivateKey::from_octets([1; 32]),
            listen_port: 51820,
            fwmark: 0xd1a4,
            peers: BTreeMap::from([
                (PublicKey::from_octets([4; 32]), peer),
                (PublicKey::from_octets([5; 32]), silent),
            ]),
        }
    }

    fn through_octets(attributes: Vec<WireguardAttribute>) -> WireguardMessage {
        let message = WireguardMessage { cmd: WireguardCmd::SetDevice, attributes };
        let mut octets = vec![0; message.buffer_len()];
        message.emit(&mut octets);
        let header = GenlHeader { cmd: message.cmd.into(), version: 1 };
        WireguardMessage::parse_with_param(&octets, header).unwrap()
    }

    #[test]
    fn what_is_sent_reads_back_as_what_was_wanted() {
        let wanted = wanted();
        let mut report = DeviceReport::default();
        read_device(&mut report, &through_octets(device_attributes(None, &wanted).unwrap()));
        for step in peer_steps(&BTreeMap::new(), &wanted.peers) {
            let message = through_octets(vec![WireguardAttribute::Peers(vec![peer_message(&step)])]);
            read_device(&mut report, &message);
        }
        assert_eq!(report.to_link(), wanted);
    }

    #[test]
    fn peer_split_over_two_messages_has_the_allowed_ips_of_both() {
        let key = PublicKey::from_octets([4; 32]);
        let mut report = DeviceReport::default();
        for prefix in ["10.1.0.4/32", "fd00::4/128"] {
            let part = WireguardPeer(vec![
                WireguardPeerAttribute::PublicKey(*key.octets()),
                WireguardPeerAttribute::AllowedIps(vec![allowed_ip(&prefix.parse().unwrap())]),
            ]);
            read_device(&mut report, &through_octets(vec![WireguardAttribute::Peers(vec![part])]));
        }
        assert_eq!(report.peers[&key].peer.allowed_ips.len(), 2);
    }

    #[test]
    fn unchanged_endpoint_is_not_sent_again() {
        let key = PublicKey::from_octets([4; 32]);
        let from = wanted().peers[&key].clone();
        let to = Peer { keepalive: None, ..from.clone() };
        let WireguardPeer(attributes) = set_peer(&key, Some(&from), &to);
        assert!(!attributes.iter().any(|attribute| matches!(attribute, WireguardPeerAttribute::Endpoint(_))));
        assert!(attributes.contains(&WireguardPeerAttribute::PersistentKeepalive(0)));
    }

    #[test]
    fn device_that_is_as_wanted_needs_no_attribute() {
        assert_eq!(device_attributes(Some(&wanted()), &wanted()), None);
    }
}

//! A router's embedded WireGuard device, spoken to over its own socket, as somebody on the router could.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use crate::error::LabError;
use crate::node::Node;

/// What the device says of each peer, by public key in hexadecimal digits: every line, by its name.
pub type Peers = BTreeMap<String, BTreeMap<String, String>>;

/// Says something to a router's device, and returns what it answers.
pub fn tell(router: &Node, request: &str) -> Result<String, LabError> {
    tell_device(router, "dlan-wg", request)
}

/// Says something to an embedded device of a router.
pub fn tell_device(router: &Node, device: &str, request: &str) -> Result<String, LabError> {
    let path = router.path(&format!("/run/dlan/wireguard/{device}.sock"));
    let told = UnixStream::connect(&path).and_then(|mut stream| {
        stream.write_all(request.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    });
    told.map_err(|source| LabError::File { act: "speak to", path, source })
}

/// Returns what a router's device says of its peers.
pub fn peers(router: &Node) -> Result<Peers, LabError> {
    let mut peers = Peers::new();
    let mut key = None;
    for line in tell(router, "get=1\n\n")?.lines() {
        match line.split_once('=') {
            Some(("public_key", value)) => {
                peers.insert(value.to_owned(), BTreeMap::new());
                key = Some(value.to_owned());
            }
            Some((name, value)) => {
                if let Some(peer) = key.as_ref().and_then(|key| peers.get_mut(key)) {
                    peer.insert(name.to_owned(), value.to_owned());
                }
            }
            None => {}
        }
    }
    Ok(peers)
}

//! The asking side of UAPI: one request over a unix socket, with a deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::{DeviceReport, GET, UapiError, parse_get_reply, parse_set_reply};

/// How long a device has for an answer. One that died keeps the connection open and never answers.
pub const DEADLINE: Duration = Duration::from_secs(3);

/// The longest reply that is read, in octets: enough for some thousand peers.
const REPLY_MAX: usize = 4 << 20;

/// What can go wrong while a device is asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket cannot be reached or broke.
    #[error("cannot speak to the WireGuard process at {path}")]
    Socket {
        /// The socket's path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer did not come in time.
    #[error("the WireGuard process at {path} does not answer within {} s", DEADLINE.as_secs())]
    Deadline {
        /// The socket's path.
        path: PathBuf,
    },
    /// The answer is none, or says no.
    #[error("the WireGuard process at {path} answered otherwise than expected")]
    Answer {
        /// The socket's path.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: UapiError,
    },
}

/// Asks the device behind the socket `path` for everything it knows.
pub async fn get(path: &Path) -> Result<DeviceReport, ClientError> {
    let reply = request(path, GET).await?;
    parse_get_reply(&reply).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
}

/// Sends a request made by [`super::set_device`], [`super::set_peer`] or [`super::remove_peer`].
pub async fn set(path: &Path, text: &str) -> Result<(), ClientError> {
    let reply = request(path, text).await?;
    parse_set_reply(&reply).map_err(|source| ClientError::Answer { path: path.to_owned(), source })
}

async fn request(path: &Path, text: &str) -> Result<Zeroizing<String>, ClientError> {
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(text.as_bytes()).await?;
        read_reply(&mut stream).await
    };
    match tokio::time::timeout(DEADLINE, exchange).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(source)) => Err(ClientError::Socket { path: path.to_owned(), source }),
        Err(_) => Err(ClientError::Deadline { path: path.to_owned() }),
    }
}

/// Reads up to the empty line that ends a reply.
pub(crate) async fn read_reply(stream: &mut UnixStream) -> io::Result<Zeroizing<String>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(4096));
    while !octets.ends_with(b"\n\n") {
        if octets.len() >= REPLY_MAX {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the reply has no end"));
        }
        if stream.read_buf(&mut *octets).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let text = String::from_utf8(std::mem::take(&mut *octets))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(Zeroizing::new(text))
}

//! The command line's end of the control socket: asks once, with a deadline.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::control::protocol::{ProtocolError, REPLY_MAX, Reply, Request, decode_reply, encode_request};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens on the socket.
    #[error("the agent is not running: nobody listens on {path}")]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is another user's.
    #[error("only root may speak with the agent over {path}")]
    NotPermitted {
        /// The socket.
        path: PathBuf,
    },
    /// The socket failed.
    #[error("cannot speak with the agent over {path}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No answer in time.
    #[error("the agent did not answer within {} s", deadline.as_secs())]
    Deadline {
        /// How long was waited.
        deadline: Duration,
    },
    /// The answer or the request is not a line of the protocol.
    #[error("cannot speak with the agent")]
    Protocol(#[from] ProtocolError),
}

/// Asks the agent that listens on `path`, and waits for its answer at most for `deadline`.
pub async fn ask(path: &Path, request: &Request, deadline: Duration) -> Result<Reply, ClientError> {
    let line = encode_request(request)?;
    timeout(deadline, exchange(path, &line)).await.map_err(|_| ClientError::Deadline { deadline })?
}

async fn exchange(path: &Path, line: &[u8]) -> Result<Reply, ClientError> {
    let failed = |source| ClientError::Io { path: path.to_owned(), source };
    let mut stream = UnixStream::connect(path).await.map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning { path: path.to_owned() }
        }
        io::ErrorKind::PermissionDenied => ClientError::NotPermitted { path: path.to_owned() },
        _ => failed(source),
    })?;
    // An agent that is busy answers before it reads: what it says matters more than that it did not listen.
    let written = stream.write_all(line).await;
    let limit = u64::try_from(REPLY_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut answer = Vec::new();
    let read = stream.take(limit).read_to_end(&mut answer).await;
    // What came before the socket failed is whole if its line is: an agent that does not read has said why.
    if !answer.ends_with(b"\n") {
        read.map_err(failed)?;
    }
    if answer.is_empty() {
        written.map_err(failed)?;
        return Err(failed(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(decode_reply(&answer)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_is_called_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = runtime.block_on(ask(&path, &Request::Status {}, Duration::from_secs(1)));
        assert!(matches!(asked, Err(ClientError::NotRunning { .. })), "{asked:?}");
    }
}

//! The agent's end of the control socket: reads one request a client, with limits and deadlines, and hands it on.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::caller::Caller;
use crate::control::protocol::{
    ProtocolError, REQUEST_MAX, Refusal, RefusalKind, Reply, Request, decode_request, encode_reply,
};

/// How many clients are served at once; one more is told that the agent is busy.
pub const CLIENTS_MAX: usize = 16;
/// How long a client may take to write its request, and again to read the reply.
const CLIENT_DEADLINE: Duration = Duration::from_secs(5);
/// How long accepting rests after it failed, for want of descriptors as a rule.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// A request with the place for its answer.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Who asks.
    pub caller: Caller,
    /// Where the answer goes; a client that left is no error.
    pub answer: oneshot::Sender<Reply>,
}

/// The listening socket; its file goes away with it.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    deadline: Duration,
}

/// Why the control socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {path}")]
pub struct BindError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl Server {
    /// Listens on `path`, readable by its owner alone from the first moment, in place of whatever was there. The caller
    /// holds the lock that makes it the only agent.
    pub fn bind(path: &Path) -> Result<Self, BindError> {
        Self::bind_with_deadline(path, CLIENT_DEADLINE)
    }

    fn bind_with_deadline(path: &Path, deadline: Duration) -> Result<Self, BindError> {
        let refused = |source| BindError { path: path.to_owned(), source };
        let mut young = path.as_os_str().to_owned();
        young.push(".young");
        let young = PathBuf::from(young);
        match fs::remove_file(&young) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&young).map_err(refused)?;
        fs::set_permissions(&young, fs::Permissions::from_mode(0o600)).map_err(refused)?;
        fs::rename(&young, path).map_err(refused)?;
        Ok(Self { listener, path: path.to_owned(), deadline })
    }

    /// Serves until the receiver of the calls is gone. Never ends by a client's doing.
    pub async fn serve(self, calls: mpsc::Sender<Call>) {
        let places = Arc::new(Semaphore::new(CLIENTS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = calls.closed() => return,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "control socket cannot accept");
                    tokio::time::sleep(ACCEPT_REST).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                refuse_at_once(&stream);
                continue;
            };
            let (calls, deadline) = (calls.clone(), self.deadline);
            tokio::spawn(async move {
                if let Err(error) = serve_client(stream, &calls, deadline).await {
                    debug!(%error, "control client left");
                }
                drop(place);
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            debug!(%error, "control socket was gone already");
        }
    }
}

/// Tells a client too many that the agent is busy, without waiting for it.
fn refuse_at_once(stream: &UnixStream) {
    let reply = refusal(RefusalKind::Busy, format!("{CLIENTS_MAX} clients are being served, try again"));
    if let Ok(line) = encode_reply(reply) {
        // A client whose socket takes nothing in this moment sees the end of the stream instead.
        let _ = stream.try_write(&line);
    }
}

async fn serve_client(stream: UnixStream, calls: &mpsc::Sender<Call>, deadline: Duration) -> io::Result<()> {
    let caller = match stream.peer_cred() {
        Ok(credentials) => Caller::of(credentials.pid(), credentials.uid()),
        Err(error) => return Err(error),
    };
    let (reading, mut writing) = stream.into_split();
    let reply = match timeout(deadline, read_request(reading)).await {
        Ok(Ok(request)) => answer(request, caller, calls).await,
        Ok(Err(ReadError::Protocol(error))) => refusal(kind_of(&error), error.to_string()),
        Ok(Err(ReadError::Io(error))) => return Err(error),
        Err(_) => refusal(RefusalKind::Busy, format!("no request came within {} s", deadline.as_secs_f32())),
    };
    let line = encode_reply(reply)
        .or_else(|error| encode_reply(refusal(RefusalKind::Failed, format!("cannot answer: {error}"))))
        .map_err(io::Error::other)?;
    timeout(deadline, async {
        writing.write_all(&line).await?;
        writing.shutdown().await
    })
    .await
    .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

enum ReadError {
    Protocol(ProtocolError),
    Io(io::Error),
}

/// Reads up to the first line end, the end of the stream, or one octet past the limit.
async fn read_request(reading: tokio::net::unix::OwnedReadHalf) -> Result<Request, ReadError> {
    let limit = u64::try_from(REQUEST_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut line = Vec::new();
    BufReader::new(reading.take(limit)).read_until(b'\n', &mut line).await.map_err(ReadError::Io)?;
    decode_request(&line).map_err(ReadError::Protocol)
}

async fn answer(request: Request, caller: Caller, calls: &mpsc::Sender<Call>) -> Reply {
    let (answer, answered) = oneshot::channel();
    let stopping = || refusal(RefusalKind::Busy, "the agent is ending".to_owned());
    if calls.send(Call { request, caller, answer }).await.is_err() {
        return stopping();
    }
    answered.await.unwrap_or_else(|_| stopping())
}

const fn kind_of(error: &ProtocolError) -> RefusalKind {
    match error {
        ProtocolError::OtherVersion { .. } => RefusalKind::OtherVersion,
        ProtocolError::TooLong { .. } | ProtocolError::Malformed { .. } => RefusalKind::BadRequest,
    }
}

const fn refusal(kind: RefusalKind, message: String) -> Reply {
    Reply::Refused(Refusal { kind, message })
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::control::client;
    use crate::control::protocol::decode_reply;

    /// Runs a server that answers everything with [`Reply::Stopping`], and gives its socket to `clients`.
    fn with_server<F: Future<Output = ()>>(deadline: Duration, clients: impl FnOnce(PathBuf) -> F) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::bind_with_deadline(&path, deadline).unwrap();
            let (sender, mut calls) = mpsc::channel::<Call>(1);
            tokio::spawn(server.serve(sender));
            tokio::spawn(async move {
                while let Some(call) = calls.recv().await {
                    call.answer.send(Reply::Stopping).ok();
                }
            });
            clients(path).await;
        });
    }

    async fn exchange(path: &Path, octets: &[u8]) -> Reply {
        let mut stream = UnixStream::connect(path).await.unwrap();
        stream.write_all(octets).await.ok();
        let mut line = Vec::new();
        stream.read_to_end(&mut line).await.unwrap();
        decode_reply(&line).unwrap()
    }

    fn kind(reply: &Reply) -> RefusalKind {
        match reply {
            Reply::Refused(refusal) => refusal.kind,
            other => panic!("answered {other:?}"),
        }
    }

    #[test]
    fn a_request_is_answered() {
        with_server(CLIENT_DEADLINE, |path| async move {
            let reply = client::ask(&path, &Request::Status {}, CLIENT_DEADLINE).await.unwrap();
            assert_eq!(reply, Reply::Stopping);
        });
    }

    #[test]
    fn the_socket_is_its_owners_alone() {
        with_server(CLIENT_DEADLINE, |path| async move {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        });
    }

    #[test]
    fn malformed_and_foreign_requests_are_refused_by_name() {
        with_server(CLIENT_DEADLINE, |path| async move {
            assert_eq!(kind(&exchange(&path, b"hello\n").await), RefusalKind::BadRequest);
            assert_eq!(kind(&exchange(&path, b"\n").await), RefusalKind::BadRequest);
            let foreign = b"{\"version\":99,\"request\":{\"command\":\"status\"}}\n";
            assert_eq!(kind(&exchange(&path, foreign).await), RefusalKind::OtherVersion);
        });
    }

    #[test]
    fn an_oversized_request_is_refused_and_the_next_client_is_served() {
        with_server(CLIENT_DEADLINE, |path| async move {
            assert_eq!(kind(&exchange(&path, &vec![b'x'; REQUEST_MAX + 1]).await), RefusalKind::BadRequest);
            assert_eq!(
                client::ask(&path, &Request::Routes {}, CLIENT_DEADLINE).await.unwrap(),
                Reply::Stopping
            );
        });
    }

    #[test]
    fn a_client_that_says_nothing_is_told_so_and_let_go() {
        with_server(Duration::from_millis(30), |path| async move {
            assert_eq!(kind(&exchange(&path, b"{\"version\"").await), RefusalKind::Busy);
        });
    }

    #[test]
    fn one_client_too_many_is_told_that_the_agent_is_busy() {
        with_server(CLIENT_DEADLINE, |path| async move {
            let mut silent = Vec::new();
            for _ in 0..CLIENTS_MAX {
                silent.push(UnixStream::connect(&path).await.unwrap());
            }
            assert_eq!(kind(&exchange(&path, b"").await), RefusalKind::Busy);
            drop(silent);
        });
    }

    #[test]
    fn the_command_line_of_one_client_too_many_hears_the_words() {
        with_server(CLIENT_DEADLINE, |path| async move {
            let mut silent = Vec::new();
            for _ in 0..CLIENTS_MAX {
                silent.push(UnixStream::connect(&path).await.unwrap());
            }
            for _ in 0..20 {
                let reply = client::ask(&path, &Request::Status {}, CLIENT_DEADLINE).await.unwrap();
                assert_eq!(kind(&reply), RefusalKind::Busy);
            }
            drop(silent);
        });
    }
}

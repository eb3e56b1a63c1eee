//! An embedded WireGuard device, run as a process of its own so that traffic flows on without the agent.
//!
//! The process makes a tun device, moves its packets, and serves UAPI on a unix socket until it is told to end or its
//! device is deleted. Requests pass through this process before they reach the engine, which takes one peer a request
//! and cannot change a peer it has: a request is split up, and a peer is taken out before it is put in again.
//!
//! A keepalive interval alone does not start a session: somebody must send a packet to a peer first.

mod receive_buffers;

use std::fs;
use std::io;
use std::os::fd::IntoRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use defguard_boringtun::device::{DeviceConfig, DeviceHandle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Notify};
use zeroize::Zeroizing;

use crate::key::{PrivateKey, RandomnessError};
use crate::link::LinkName;
use crate::mtu::EMBEDDED_MTU_MAX;
use crate::netlink::{self, LinksError, socket_path};
use crate::uapi::client::{DEADLINE, read_reply};
use crate::uapi::{DeviceSettings, GET, set_device};

/// How long a client may take for a request.
const CLIENT_DEADLINE: Duration = Duration::from_secs(10);

/// The longest request that is read, in octets.
const REQUEST_MAX: usize = 1 << 20;

/// The answer to a request that is not understood: EPROTO.
const NOT_UNDERSTOOD: &str = "errno=71\n\n";

/// The answer where the engine does not answer: EIO.
const NO_ANSWER: &str = "errno=5\n\n";

/// Why an embedded device cannot be run any more, or at all.
#[derive(Debug, thiserror::Error)]
pub enum UserspaceError {
    /// The MTU does not fit the engine's buffers.
    #[error("an embedded WireGuard device has an MTU of at most {EMBEDDED_MTU_MAX}, {0} is wanted")]
    Mtu(u32),
    /// The device's name is taken, or it cannot be set up.
    #[error(transparent)]
    Device(#[from] LinksError),
    /// No randomness for a first key.
    #[error(transparent)]
    Randomness(#[from] RandomnessError),
    /// The engine cannot make the device.
    #[error("cannot make the tun device {device}: {reason}")]
    Engine {
        /// The device.
        device: LinkName,
        /// What the engine says.
        reason: String,
    },
    /// Another process serves the device's socket.
    #[error("another process serves {0}")]
    Served(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {path}")]
    Listen {
        /// The socket's path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The system refuses something the process needs.
    #[error("cannot {act}")]
    System {
        /// What was to be done.
        act: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The engine ended although its device is there.
    #[error("the WireGuard engine of {0} failed")]
    Failed(LinkName),
}

/// Runs the device until SIGTERM or SIGINT arrives or the device is deleted. The process must end after this returns: with
/// it goes the device.
///
/// Detaches itself from the caller's session, and once the device is up also from its standard output and error.
pub fn run(device: &LinkName, mtu: u32, socket_directory: &Path) -> Result<(), UserspaceError> {
    if mtu > EMBEDDED_MTU_MAX {
        return Err(UserspaceError::Mtu(mtu));
    }
    // Refused where this process leads a group, as when a person types the command: then it stays in the foreground.
    let is_detached = nix::unistd::setsid().is_ok();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| UserspaceError::System { act: "start the event loop", source })?;
    runtime.block_on(run_device(device, mtu, socket_directory, is_detached))
}

async fn run_device(
    device: &LinkName,
    mtu: u32,
    socket_directory: &Path,
    is_detached: bool,
) -> Result<(), UserspaceError> {
    let signals = |source| UserspaceError::System { act: "listen for signals", source };
    let mut terminate = signal(SignalKind::terminate()).map_err(signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(signals)?;
    netlink::check_name_is_free(device).await?;
    let path = socket_path(socket_directory, device);
    clear_way(&path).await?;

    let (engine, mut handle) = make_device(device).await?;
    netlink::mark_own(device, mtu).await?;
    let listener = listen(&path)?;
    tracing::info!(%device, mtu, pid = std::process::id(), "embedded WireGuard runs");
    if is_detached {
        let_go()?;
    }

    let (ended, mut has_ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        handle.wait();
        // Nobody waits for it if the process ends for another reason.
        let _ = ended.send(());
    });
    let outcome = tokio::select! {
        () = serve(listener, engine) => Err(UserspaceError::Failed(device.clone())),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = &mut has_ended => match netlink::check_name_is_free(device).await {
            Ok(()) => Ok(()),
            Err(_) => Err(UserspaceError::Failed(device.clone())),
        },
    };
    // A socket that stays behind refuses connections, and is cleared away by the next process.
    let _ = fs::remove_file(&path);
    outcome
}

/// Makes the tun device with its engine, and returns the engine's end of UAPI.
async fn make_device(device: &LinkName) -> Result<(Engine, DeviceHandle), UserspaceError> {
    let system = |act| move |source| UserspaceError::System { act, source };
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(system("make a socket pair"))?;
    ours.set_nonblocking(true).map_err(system("set up a socket pair"))?;
    let ours = UnixStream::from_std(ours).map_err(system("set up a socket pair"))?;
    let config = DeviceConfig {
        n_threads: 1,
        // A connected socket takes its source address once, by a route looked up before it has its mark, and keeps it
        // when the WAN gets another address. An unconnected one asks the routes for each packet.
        use_connected_socket: false,
        use_multi_queue: false,
        uapi_fd: theirs.into_raw_fd(),
    };
    let handle = DeviceHandle::new(device.as_str(), config)
        .map_err(|error| UserspaceError::Engine { device: device.clone(), reason: error.to_string() })?;
    let mut engine = Engine { stream: ours, failed: Arc::default() };
    // Without a key the engine falls over the first packet that reaches its port.
    let key = PrivateKey::generate()?;
    let settings = DeviceSettings { private_key: Some(&key), port_and_fwmark: None };
    engine.ask(&set_device(&settings)).await.map_err(system("set a first key"))?;
    Ok((engine, handle))
}

/// Removes a socket that nobody serves any more.
async fn clear_way(path: &Path) -> Result<(), UserspaceError> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(UserspaceError::Served(path.to_owned()));
    }
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(UserspaceError::Listen { path: path.to_owned(), source }),
    }
}

/// Makes the socket, for root alone.
fn listen(path: &Path) -> Result<UnixListener, UserspaceError> {
    let attempt = || {
        if let Some(directory) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    attempt().map_err(|source| UserspaceError::Listen { path: path.to_owned(), source })
}

/// Lets go of the caller's directory and output: a closed pipe there must not end this process.
fn let_go() -> Result<(), UserspaceError> {
    let attempt = || {
        std::env::set_current_dir("/")?;
        let null = fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        nix::unistd::dup2_stdout(&null)?;
        nix::unistd::dup2_stderr(&null)?;
        io::Result::Ok(())
    };
    attempt().map_err(|source| UserspaceError::System { act: "let go of the caller", source })
}

/// Answers clients, one request of the engine at a time, until the engine fails to answer: what it says after that could
/// not be matched to a request.
async fn serve(listener: UnixListener, engine: Engine) {
    let failed = Arc::clone(&engine.failed);
    let engine = Arc::new(Mutex::new(engine));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = failed.notified() => return,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: it passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let engine = Arc::clone(&engine);
        tokio::spawn(async move {
            // A client that goes away or sends nonsense is its own trouble.
            let _ = serve_client(stream, &engine).await;
        });
    }
}

async fn serve_client(mut stream: UnixStream, engine: &Mutex<Engine>) -> io::Result<()> {
    while let Some(request) = tokio::time::timeout(CLIENT_DEADLINE, read_request(&mut stream)).await?? {
        let reply = match split(&request) {
            Some(parts) => {
                let reply = engine.lock().await.ask_all(&parts).await;
                let has_moved = parts.iter().any(|part| part.contains("\nlisten_port="));
                // With another port come other sockets.
                if has_moved && let Err(error) = receive_buffers::widen() {
                    tracing::debug!(%error, "sockets have the system's receive buffers");
                }
                reply
            }
            None => Zeroizing::new(NOT_UNDERSTOOD.to_owned()),
        };
        stream.write_all(reply.as_bytes()).await?;
    }
    Ok(())
}

/// Reads up to the empty line that ends a request, or nothing where the client has gone.
async fn read_request(stream: &mut UnixStream) -> io::Result<Option<Zeroizing<String>>> {
    let mut octets = Zeroizing::new(Vec::new());
    while !octets.ends_with(b"\n\n") {
        if octets.len() >= REQUEST_MAX || stream.read_buf(&mut *octets).await? == 0 {
            return Ok(None);
        }
    }
    let text = String::from_utf8(std::mem::take(&mut *octets));
    text.map(|text| Some(Zeroizing::new(text)))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Splits a request into those the engine takes, in order: the device's own settings first, then for each peer its
/// removal and, unless that is all, its new value. Returns nothing for a text that is no request.
fn split(request: &str) -> Option<Vec<Zeroizing<String>>> {
    let mut lines = request.lines().filter(|line| !line.is_empty());
    match lines.next()? {
        "get=1" => return Some(vec![Zeroizing::new(GET.to_owned())]),
        "set=1" => {}
        _ => return None,
    }
    let mut parts = vec![Zeroizing::new(String::from("set=1\n"))];
    for line in lines {
        let (key, value) = line.split_once('=')?;
        match (key, parts.last_mut()) {
            ("public_key", _) => {
                parts.push(Zeroizing::new(format!("set=1\npublic_key={value}\nremove=true\n")));
                parts.push(Zeroizing::new(format!("set=1\npublic_key={value}\n")));
            }
            ("remove", _) if value == "true" => drop(parts.pop()),
            ("protocol_version", _) => {}
            (_, Some(part)) => {
                part.push_str(line);
                part.push('\n');
            }
            (_, None) => return None,
        }
    }
    parts.iter_mut().for_each(|part| part.push('\n'));
    parts.retain(|part| part.as_str() != "set=1\n\n");
    Some(parts)
}

/// Our end of the engine's UAPI.
struct Engine {
    stream: UnixStream,
    /// Raised when a request got no answer.
    failed: Arc<Notify>,
}

impl Engine {
    /// Passes the requests on until one is refused, and returns the last answer.
    async fn ask_all(&mut self, requests: &[Zeroizing<String>]) -> Zeroizing<String> {
        let mut reply = Zeroizing::new(String::from("errno=0\n\n"));
        for request in requests {
            reply = match self.ask(request).await {
                Ok(reply) => reply,
                Err(_) => {
                    self.failed.notify_one();
                    return Zeroizing::new(NO_ANSWER.to_owned());
                }
            };
            if !reply.ends_with("errno=0\n\n") {
                break;
            }
        }
        reply
    }

    async fn ask(&mut self, request: &str) -> io::Result<Zeroizing<String>> {
        let exchange = async {
            self.stream.write_all(request.as_bytes()).await?;
            read_reply(&mut self.stream).await
        };
        tokio::time::timeout(DEADLINE, exchange).await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(request: &str) -> Option<Vec<String>> {
        split(request).map(|parts| parts.iter().map(|part| part.to_string()).collect())
    }

    #[test]
    fn request_with_several_peers_becomes_one_for_each_after_its_removal() {
        let request =
            "set=1\nlisten_port=1\nfwmark=2\npublic_key=aa\nallowed_ip=::/0\npublic_key=bb\nremove=true\n\n";
        let expected = [
            "set=1\nlisten_port=1\nfwmark=2\n\n",
            "set=1\npublic_key=aa\nremove=true\n\n",
            "set=1\npublic_key=aa\nallowed_ip=::/0\n\n",
            "set=1\npublic_key=bb\nremove=true\n\n",
        ];
        assert_eq!(parts(request).unwrap(), expected);
    }

    #[test]
    fn question_is_passed_on_and_nonsense_is_not() {
        assert_eq!(parts("get=1\n\n").unwrap(), ["get=1\n\n"]);
        assert_eq!(parts("set=1\n\n").unwrap(), Vec::<String>::new());
        assert_eq!(parts("hello\n\n"), None);
        assert_eq!(parts("set=1\nnonsense\n\n"), None);
        assert_eq!(parts("\n\n"), None);
    }
}

//! The name server's sockets: takes requests in over UDP and TCP, has the resolver decide, and asks whom it names.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::Name;
use ospf_lite::driver::Clock;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::asking;
use super::resolver::{Progress, Resolver, Service, Wishes};
use super::wire::{self, Answer, Question};

/// The largest request.
const REQUEST_MAX: usize = 4096;
/// Connections at once; those beyond are closed at once.
const CONNECTIONS_MAX: usize = 32;
/// How many connections may wait to be taken.
const BACKLOG: i32 = 32;
/// How long a connection may be silent, and how long an answer may take to be taken.
const CONNECTION_IDLE: Duration = Duration::from_secs(5);
/// How soon an address that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Asks the server from within the agent.
#[derive(Debug, Clone)]
pub struct Asker(Rc<Shared>);

/// Where questions come in, and which are answered there.
pub type Places = BTreeMap<SocketAddr, Service>;

/// The server. It lives in the tasks of a `LocalSet`, and ends when it is dropped.
#[derive(Debug)]
pub struct NameServer {
    shared: Rc<Shared>,
    tasks: BTreeMap<SocketAddr, (Service, JoinHandle<()>)>,
}

#[derive(Debug)]
struct Shared {
    clock: Clock,
    resolver: RefCell<Resolver>,
    connections: Cell<usize>,
    /// The addresses that cannot be had, with the reason.
    refused: RefCell<BTreeMap<SocketAddr, String>>,
}

impl NameServer {
    /// Makes a server that listens nowhere.
    pub fn new(clock: Clock, resolver: Resolver) -> Self {
        let shared = Shared {
            clock,
            resolver: RefCell::new(resolver),
            connections: Cell::new(0),
            refused: RefCell::default(),
        };
        Self { shared: Rc::new(shared), tasks: BTreeMap::new() }
    }

    /// Listens at these places and at no other.
    pub fn listen(&mut self, places: &Places) {
        self.tasks.retain(|at, (service, task)| {
            let stays = places.get(at) == Some(service);
            if !stays {
                task.abort();
                self.shared.refused.borrow_mut().remove(at);
            }
            stays
        });
        for (at, service) in places {
            let start =
                || (*service, tokio::task::spawn_local(serve(Rc::clone(&self.shared), *at, *service)));
            self.tasks.entry(*at).or_insert_with(start);
        }
    }

    /// Looks at the resolver, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Resolver) -> T) -> T {
        look(&mut self.shared.resolver.borrow_mut())
    }

    /// Returns what asks the server without a socket.
    pub fn asker(&self) -> Asker {
        Asker(Rc::clone(&self.shared))
    }

    /// Returns the addresses at which it cannot listen, with the reason.
    pub fn refused(&self) -> BTreeMap<SocketAddr, String> {
        self.shared.refused.borrow().clone()
    }
}

impl Asker {
    /// Returns whether there is anybody to be asked about a name.
    pub fn can_answer(&self, name: &Name) -> bool {
        self.0.resolver.borrow().can_answer(name)
    }

    /// Returns the answer to a question about any name.
    pub async fn ask(&self, question: Question) -> Answer {
        let wishes = Wishes { recursion: true, ..Wishes::default() };
        let now = self.0.clock.now();
        let progress = self.0.resolver.borrow_mut().begin(now, question, Service::Agent, wishes);
        self.0.settle(progress).await
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

/// Serves one address for as long as it is wanted.
async fn serve(shared: Rc<Shared>, at: SocketAddr, service: Service) {
    loop {
        match sockets(at) {
            Ok((udp, tcp)) => {
                info!(%at, "name server");
                shared.refused.borrow_mut().remove(&at);
                let udp = Rc::new(udp);
                tokio::join!(datagrams(&shared, &udp, service), connections(&shared, &tcp, service));
            }
            Err(error) => {
                let reason = error.to_string();
                if shared.refused.borrow_mut().insert(at, reason) != Some(error.to_string()) {
                    warn!(%at, %error, "the name server cannot listen, tried again");
                }
            }
        }
        sleep(RETRY).await;
    }
}

fn sockets(at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let bound = |kind, protocol| {
        let socket = Socket::new(Domain::for_address(at), kind, Some(protocol))?;
        // The address may come a moment later.
        match at {
            SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
            SocketAddr::V6(_) => {
                socket.set_freebind_v6(true)?;
                socket.set_only_v6(true)?;
            }
        }
        if protocol == Protocol::TCP {
            socket.set_reuse_address(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        Ok::<_, io::Error>(socket)
    };
    let udp = UdpSocket::from_std(bound(Type::DGRAM, Protocol::UDP)?.into())?;
    let tcp = bound(Type::STREAM, Protocol::TCP)?;
    tcp.listen(BACKLOG)?;
    Ok((udp, TcpListener::from_std(tcp.into())?))
}

async fn datagrams(shared: &Rc<Shared>, socket: &Rc<UdpSocket>, service: Service) {
    let mut buffer = vec![0; REQUEST_MAX];
    loop {
        // An error of the socket is one of an earlier answer: its receiver has gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(request) = buffer.get(..length).and_then(|octets| shared.take(octets, from, service)) else {
            continue;
        };
        match request.progress {
            Progress::Done(answer) => {
                let octets = wire::encode(&request.message, &answer, true, service == Service::Dns64);
                // What does not fit into the socket's buffer is lost, as anywhere else on the way.
                octets.map(|octets| socket.try_send_to(&octets, from));
            }
            Progress::Ask(_) => {
                let (shared, socket) = (Rc::clone(shared), Rc::clone(socket));
                tokio::task::spawn_local(async move {
                    let octets = shared.finish(request, true, service).await;
                    octets.map(|octets| socket.try_send_to(&octets, from));
                });
            }
        }
    }
}

async fn connections(shared: &Rc<Shared>, listener: &TcpListener, service: Service) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // No file is left to open.
            sleep(RETRY).await;
            continue;
        };
        if shared.connections.get() < CONNECTIONS_MAX {
            let open = Open::new(shared);
            tokio::task::spawn_local(async move {
                // A client that goes away is no error.
                let _ = connection(&open.0, stream, from, service).await;
            });
        }
    }
}

/// A connection that counts for as long as it is there.
struct Open(Rc<Shared>);

impl Open {
    fn new(shared: &Rc<Shared>) -> Self {
        shared.connections.update(|count| count + 1);
        Self(Rc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.update(|count| count.saturating_sub(1));
    }
}

async fn connection(
    shared: &Rc<Shared>,
    mut stream: TcpStream,
    from: SocketAddr,
    service: Service,
) -> io::Result<()> {
    loop {
        let length = usize::from(timeout(CONNECTION_IDLE, stream.read_u16()).await??);
        if length > REQUEST_MAX {
            return Ok(());
        }
        let mut buffer = vec![0; length];
        timeout(CONNECTION_IDLE, stream.read_exact(&mut buffer)).await??;
        let Some(request) = shared.take(&buffer, from, service) else { return Ok(()) };
        let Some(octets) = shared.finish(request, false, service).await else { return Ok(()) };
        let length = u16::try_from(octets.len()).unwrap_or_default().to_be_bytes();
        timeout(CONNECTION_IDLE, stream.write_all(&[&length, octets.as_slice()].concat())).await??;
    }
}

/// A request, and how far it has come.
struct Request {
    message: Message,
    progress: Progress,
}

impl Shared {
    /// Takes a request in; `None` when there is nothing to be said to it.
    fn take(&self, octets: &[u8], from: SocketAddr, service: Service) -> Option<Request> {
        let now = self.clock.now();
        let mut resolver = self.resolver.borrow_mut();
        if !resolver.is_within_rate(now, from.ip()) {
            return None;
        }
        let message = Message::from_vec(octets).ok()?;
        if message.metadata.message_type != MessageType::Query {
            return None;
        }
        let refusal = wire::refusal(&message)
            .or_else(|| (!resolver.is_admitted(from.ip())).then_some(ResponseCode::Refused));
        let progress = match (refusal, message.queries.first()) {
            (Some(code), _) => Progress::Done(Answer::empty(code)),
            (None, Some(query)) => {
                let wishes = Wishes {
                    recursion: message.metadata.recursion_desired,
                    dnssec_ok: message.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok),
                    checking_disabled: message.metadata.checking_disabled,
                };
                resolver.begin(now, Question::new(&query.name, query.query_type), service, wishes)
            }
            (None, None) => return None,
        };
        Some(Request { message, progress })
    }

    /// Asks whoever has to be asked, and returns the octets of the answer.
    async fn finish(&self, request: Request, is_udp: bool, service: Service) -> Option<Vec<u8>> {
        let Request { message, progress } = request;
        let answer = self.settle(progress).await;
        wire::encode(&message, &answer, is_udp, service == Service::Dns64)
    }

    async fn settle(&self, mut progress: Progress) -> Answer {
        loop {
            match progress {
                Progress::Done(answer) => return answer,
                Progress::Ask(work) => {
                    let reply = asking::ask(work.servers(), &work.query()).await;
                    progress = self.resolver.borrow_mut().proceed(self.clock.now(), *work, reply.as_ref());
                }
            }
        }
    }
}

//! What a service carries: through the nginx that dlan configures, and through the same nginx configured by hand.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::load;
use crate::console::Console;
use crate::error::LabError;
use crate::lab::{Lab, write_file};
use crate::observe::COLD_START_LIMIT;
use crate::{tools, wait};

/// How many clients connect at one time.
const CLIENTS: usize = 8;
/// How often everything is measured; the median counts.
const RUNS: usize = 3;
/// The ports: of the server, of dlan's nginx, of the one by hand.
const SERVER_PORT: u16 = 8080;
const PORTS: [(&str, u16); 3] = [("dlan's nginx", 80), ("nginx by hand", 90), ("no proxy", SERVER_PORT)];
/// What a client says that wants octets for as long as it stays; anything else is answered by as much, and the end.
const STREAM: u8 = b's';
const ROUTER: &str = "r1";
const LIMIT: Duration = Duration::from_secs(60);

/// Measures both, nginx on one processor, clients and server on another.
pub fn measure(console: Console, window: Duration) -> Result<(), LabError> {
    super::on_two_routers(console, "bench-proxy", |lab| measure_in(console, lab, window))
}

fn measure_in(console: Console, lab: &Lab, window: Duration) -> Result<(), LabError> {
    lab.start_mesh(&|step| console.replace(step))?;
    lab.wait_for_adjacencies(COLD_START_LIMIT)?;
    let own: IpAddr = "10.2.1.1".parse().map_err(|_| LabError::Asked("no address".to_owned()))?;
    let service =
        format!("config service 'web'\n\tlist listen '*:80'\n\tlist upstream '{own}:{SERVER_PORT}'\n");
    lab.write_config(ROUTER, &format!("{}\n{service}", lab.read_config(ROUTER)?))?;
    lab.dlan(ROUTER, &["apply"])?;
    let _server = Server::start(lab, SocketAddr::new(own, SERVER_PORT))?;
    let mut by_hand = start_nginx(lab, own)?;
    let result = rows(console, lab, own, window);
    let _ = nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(i32::try_from(by_hand.id()).unwrap_or_default()),
        nix::sys::signal::Signal::SIGTERM,
    );
    let _ = by_hand.wait();
    result
}

/// Starts an nginx as somebody would who knows nginx and wants the same.
fn start_nginx(lab: &Lab, own: IpAddr) -> Result<std::process::Child, LabError> {
    let node = lab.node(ROUTER)?;
    let program = tools::program("nginx", "usr/sbin/nginx")?;
    let module = tools::program("nginx", "usr/lib/nginx/modules/ngx_stream_module.so")?;
    let text = format!(
        "load_module {module};\ndaemon off;\nuser root;\nworker_processes 1;\npid /run/by-hand.pid;\n\
         error_log stderr emerg;\nevents {{ worker_connections 4096; }}\n\
         stream {{ server {{ listen 90; proxy_pass {own}:{SERVER_PORT}; }} }}\n"
    );
    write_file(&node.path("/run/by-hand.conf"), &text)?;
    let mut command = node.command(&program, &["-e", "stderr", "-c", "/run/by-hand.conf"]);
    command.envs(tools::environment()?);
    command.spawn().map_err(|why| LabError::Asked(format!("nginx: {why}")))
}

fn rows(console: Console, lab: &Lab, own: IpAddr, window: Duration) -> Result<(), LabError> {
    let node = lab.node(ROUTER)?;
    for (name, port) in PORTS {
        wait::until(LIMIT, &format!("an answer of {name}"), || {
            let at = SocketAddr::new(own, port);
            match node.inside(|| connect_once(at)).map_err(|error| error.with_causes())? {
                Ok(true) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })?;
    }
    for pid in node.processes(|line| line.first().is_some_and(|name| name.starts_with("nginx: worker"))) {
        load::pin_server(pid)?;
    }
    console.replace("");
    console.line(format!(
        "\nA service on one processor: one stream; then {CLIENTS} clients that connect, are answered and end; {} s each, median of {RUNS}",
        window.as_secs()
    ));
    for (name, port) in PORTS {
        let at = SocketAddr::new(own, port);
        let (mut carried, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let octets = node.inside(|| stream(at, window))?;
            carried.push(octets.map_err(|why| LabError::Asked(format!("{name}: {why}")))?);
            connections
                .push(node.inside(|| load::run(CLIENTS, window, |_| Ok(()), |(), _| connect_once(at)))??);
        }
        carried.sort_by(f64::total_cmp);
        connections.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
        let (Some(carried), Some(load)) = (carried.get(RUNS / 2), connections.get(RUNS / 2)) else {
            continue;
        };
        console.line(format!(
            "  {name:<14} {:>7.2} Gbit/s, {:>6.0} connections a second, 99 of 100 within {:>6.2} ms, {} failed",
            carried / 1e9,
            load.per_second,
            load.percentile.as_secs_f64() * 1000.0,
            load.missed
        ));
    }
    Ok(())
}

/// Returns how many bits a second come over one connection.
fn stream(at: SocketAddr, window: Duration) -> io::Result<f64> {
    load::pin_client();
    let mut stream = TcpStream::connect(at)?;
    stream.write_all(&[STREAM])?;
    let (mut buffer, mut octets) = (vec![0; 256 * 1024], 0_u64);
    let begun = Instant::now();
    while begun.elapsed() < window {
        octets += u64::try_from(stream.read(&mut buffer)?).unwrap_or_default();
    }
    #[expect(clippy::cast_precision_loss, reason = "for people: three digits")]
    let bits = octets as f64 * 8.0;
    Ok(bits / begun.elapsed().as_secs_f64())
}

/// Connects, asks, and reads to the end.
fn connect_once(at: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"?")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer == b"?")
}

/// The server behind the proxy, until it is dropped.
struct Server(Arc<AtomicBool>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Server {
    fn start(lab: &Lab, at: SocketAddr) -> Result<Self, LabError> {
        let broken = |why: io::Error| LabError::Asked(format!("server: {why}"));
        let listener = lab.node(ROUTER)?.inside(|| TcpListener::bind(at))?.map_err(broken)?;
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..CLIENTS {
            let (listener, is_over) = (listener.try_clone().map_err(broken)?, Arc::clone(&is_over));
            std::thread::spawn(move || {
                load::pin_client();
                while !is_over.load(Ordering::SeqCst) {
                    // A client that goes away is none of the server's affair.
                    let _ = listener.accept().and_then(|(stream, _)| serve(stream, &is_over));
                }
            });
        }
        Ok(Self(is_over))
    }
}

fn serve(mut stream: TcpStream, is_over: &AtomicBool) -> io::Result<()> {
    let mut asked = [0; 1];
    stream.read_exact(&mut asked)?;
    if asked != [STREAM] {
        return stream.write_all(&asked);
    }
    let block = vec![7; 256 * 1024];
    while !is_over.load(Ordering::SeqCst) {
        stream.write_all(&block)?;
    }
    Ok(())
}

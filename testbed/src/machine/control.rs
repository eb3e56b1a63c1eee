//! Running commands inside a machine, beside everything that can go wrong in it: a small server there, in a network namespace of
//! its own, and its client here.
//!
//! A connection is one command: a request, then frames each way until the exit code.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use socket2::{SockRef, TcpKeepalive};

use crate::error::LabError;
use crate::machine::{CONTROL_NAMESPACE, CONTROL_PORT, MACHINE_END};

/// How long a machine may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often a silent machine is asked whether it is there, and how often in vain until it counts as gone.
const ALIVE: Duration = Duration::from_secs(15);
const ALIVE_TRIES: u32 = 8;
/// The most that one frame carries, in octets.
const FRAME_MAX: usize = 1 << 20;
/// What is read at once, in octets.
const CHUNK: usize = 16 * 1024;

/// What a frame carries.
const REQUEST: u8 = 0;
const INPUT: u8 = 1;
const OUTPUT: u8 = 2;
const ERRORS: u8 = 3;
const EXIT: u8 = 4;

/// Serves commands for ever; runs in a machine.
pub fn serve() -> Result<(), LabError> {
    let broken = |source| LabError::Asked(format!("cannot listen: {source}"));
    let at = SocketAddr::from((MACHINE_END, CONTROL_PORT));
    // The socket belongs to the namespace of the thread that makes it; the commands run in this one's.
    let made = std::thread::spawn(move || {
        let namespace = std::fs::File::open(CONTROL_NAMESPACE)?;
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        TcpListener::bind(at)
    });
    let listener = made.join().unwrap_or_else(|_| Err(std::io::Error::other("panic"))).map_err(broken)?;
    for stream in listener.incoming().flatten() {
        // Who hung up needs no answer.
        std::thread::spawn(move || drop(carry_out(stream)));
    }
    Ok(())
}

/// Carries out one command and returns when it has ended and was answered.
fn carry_out(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let request = match read_frame(&mut stream)? {
        Some((REQUEST, octets)) => octets,
        _ => return Err(std::io::Error::other("no request")),
    };
    let words: Vec<String> = serde_json::from_slice(&request)?;
    let writer = Arc::new(Mutex::new(stream.try_clone()?));
    let (program, arguments) = words.split_first().ok_or_else(|| std::io::Error::other("no program"))?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let code = match command.spawn() {
        Ok(child) => watch(child, stream, &writer)?,
        Err(source) => {
            send(&writer, ERRORS, format!("cannot run {program}: {source}\n").as_bytes())?;
            127
        }
    };
    send(&writer, EXIT, &[code])?;
    writer.lock().unwrap_or_else(PoisonError::into_inner).shutdown(Shutdown::Both)
}

/// Passes on what goes in and out of a process until it ends, and returns its exit code; it is killed when the client goes away.
fn watch(mut child: Child, mut stream: TcpStream, writer: &Arc<Mutex<TcpStream>>) -> std::io::Result<u8> {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or_default());
    let mut input = child.stdin.take();
    std::thread::spawn(move || {
        loop {
            match read_frame(&mut stream) {
                Ok(Some((INPUT, octets))) if octets.is_empty() => input = None,
                Ok(Some((INPUT, octets))) => {
                    // A process that reads no further says so by its exit code.
                    let _ = input.as_mut().map(|input| input.write_all(&octets));
                }
                _ => break,
            }
        }
        // Nobody is left to hear of it; one that has ended needs no end.
        let _ = killpg(group, Signal::SIGKILL);
    });
    let readers = [
        child.stdout.take().map(|pipe| pass_on(pipe, OUTPUT, writer.clone())),
        child.stderr.take().map(|pipe| pass_on(pipe, ERRORS, writer.clone())),
    ];
    for reader in readers.into_iter().flatten() {
        // What a reader could not pass on, the client does not want.
        let _ = reader.join();
    }
    let status = child.wait()?;
    let code = status.code().or_else(|| status.signal().map(|signal| signal + 128)).unwrap_or(255);
    Ok(u8::try_from(code).unwrap_or(255))
}

fn pass_on(
    mut pipe: impl Read + Send + 'static,
    kind: u8,
    writer: Arc<Mutex<TcpStream>>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if send(&writer, kind, buffer.get(..count).unwrap_or_default()).is_err() {
                break;
            }
        }
    })
}

fn send(writer: &Mutex<TcpStream>, kind: u8, octets: &[u8]) -> std::io::Result<()> {
    write_frame(&mut *writer.lock().unwrap_or_else(PoisonError::into_inner), kind, octets)
}

/// Runs a command in the machine whose cabinet's network this thread is in, with this process's input and output, and returns its
/// exit code.
pub fn run(words: &[String]) -> Result<u8, LabError> {
    let broken = |source: std::io::Error| LabError::Asked(format!("the machine does not answer: {source}"));
    let at = SocketAddr::from((MACHINE_END, CONTROL_PORT));
    let mut stream = TcpStream::connect_timeout(&at, PATIENCE).map_err(broken)?;
    stream.set_nodelay(true).map_err(broken)?;
    let alive = TcpKeepalive::new().with_time(ALIVE).with_interval(ALIVE).with_retries(ALIVE_TRIES);
    SockRef::from(&stream).set_tcp_keepalive(&alive).map_err(broken)?;
    let request = serde_json::to_vec(words).unwrap_or_default();
    write_frame(&mut stream, REQUEST, &request).map_err(broken)?;
    let mut sender = stream.try_clone().map_err(broken)?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; CHUNK];
        let mut input = std::io::stdin();
        while let Ok(count @ 1..) = input.read(&mut buffer) {
            if write_frame(&mut sender, INPUT, buffer.get(..count).unwrap_or_default()).is_err() {
                return;
            }
        }
        // A command that has ended hears of no end.
        let _ = write_frame(&mut sender, INPUT, &[]);
    });
    loop {
        match read_frame(&mut stream).map_err(broken)? {
            Some((OUTPUT, octets)) => std::io::stdout().write_all(&octets).map_err(broken)?,
            Some((ERRORS, octets)) => std::io::stderr().write_all(&octets).map_err(broken)?,
            Some((EXIT, octets)) => {
                std::io::stdout().flush().map_err(broken)?;
                return Ok(octets.first().copied().unwrap_or(255));
            }
            _ => return Err(broken(std::io::Error::other("it broke off"))),
        }
    }
}

fn write_frame(stream: &mut impl Write, kind: u8, octets: &[u8]) -> std::io::Result<()> {
    let size = u32::try_from(octets.len()).map_err(std::io::Error::other)?;
    let mut frame = vec![kind];
    frame.extend_from_slice(&size.to_be_bytes());
    frame.extend_from_slice(octets);
    stream.write_all(&frame)
}

/// Returns a frame's kind and content; `None` where the connection ended before it.
fn read_frame(stream: &mut impl Read) -> std::io::Result<Option<(u8, Vec<u8>)>> {
    let mut head = [0; 5];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let [kind, size @ ..] = head;
    let size = usize::try_from(u32::from_be_bytes(size)).unwrap_or(usize::MAX);
    if size > FRAME_MAX {
        return Err(std::io::Error::other(format!("a frame of {size} octets")));
    }
    let mut octets = vec![0; size];
    stream.read_exact(&mut octets)?;
    Ok(Some((kind, octets)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has a command carried out over a pair of sockets and returns what came back.
    fn answered(words: &[&str], input: &[u8]) -> (String, String, Option<u8>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let worker = std::thread::spawn(move || carry_out(server));
        write_frame(&mut client, REQUEST, &serde_json::to_vec(words).unwrap()).unwrap();
        write_frame(&mut client, INPUT, input).unwrap();
        write_frame(&mut client, INPUT, &[]).unwrap();
        let (mut output, mut errors, mut code) = (Vec::new(), Vec::new(), None);
        while let Some((kind, octets)) = read_frame(&mut client).unwrap() {
            match kind {
                OUTPUT => output.extend(octets),
                ERRORS => errors.extend(octets),
                EXIT => code = octets.first().copied(),
                other => panic!("a frame of kind {other}"),
            }
        }
        drop(worker.join());
        (String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap(), code)
    }

    #[test]
    fn a_command_gets_its_input_and_answers_on_both_channels_with_its_code() {
        let said = answered(&["sh", "-c", "cat; echo wrong >&2; exit 7"], b"what went in");
        assert_eq!(said, ("what went in".to_owned(), "wrong\n".to_owned(), Some(7)));
    }

    #[test]
    fn a_program_that_is_not_there_is_said() {
        let (_, errors, code) = answered(&["no-such-program"], b"");
        assert!(errors.contains("no-such-program") && code == Some(127), "{errors} {code:?}");
    }

    #[test]
    fn a_command_whose_client_goes_away_is_killed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let worker = std::thread::spawn(move || carry_out(server));
        let words = serde_json::to_vec(&["sh", "-c", "echo begun; sleep 1000"]).unwrap();
        write_frame(&mut client, REQUEST, &words).unwrap();
        assert_eq!(read_frame(&mut client).unwrap().unwrap(), (OUTPUT, b"begun\n".to_vec()));
        drop(client);
        // It ends, long before the command would by itself.
        drop(worker.join().unwrap());
    }
}

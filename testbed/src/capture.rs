//! What can be read on a network: tcpdump in a node, and a search through what it saw.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::LabError;
use crate::lab::Lab;

/// A running capture.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: PathBuf,
    what: String,
}

/// What a capture saw.
#[derive(Debug)]
pub struct Seen {
    octets: Vec<u8>,
}

impl Capture {
    /// Starts capturing on a node's device and returns once it does.
    pub fn start(lab: &Lab, node: &str, device: &str, filter: &str) -> Result<Self, LabError> {
        let what = format!("capture on {node}'s {device}");
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let file = lab.file(&format!("{node}-{device}-{number}.pcap"));
        let broken = |why: String| LabError::Asked(format!("{what}: {why}"));
        let mut child = Command::new("nsenter")
            .args([
                "-t",
                &lab.node(node)?.pid.to_string(),
                "-n",
                "--",
                "tcpdump",
                "-n",
                "-p",
                "-U",
                "--immediate-mode",
                "-Z",
                "root",
            ])
            .args(["-B", "32768", "-i", device, "-w"])
            .arg(&file)
            .args(filter.split_whitespace())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| broken(source.to_string()))?;
        let stderr = child.stderr.take();
        let (say, hear) = mpsc::channel();
        std::thread::spawn(move || {
            for line in
                stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok)
            {
                // Nobody listens after the first line that matters.
                let _ = say.send(line);
            }
        });
        let capture = Self { child, file, what };
        loop {
            match hear.recv_timeout(Duration::from_secs(10)) {
                Ok(line) if line.contains("listening on") => return Ok(capture),
                Ok(line) if line.contains("dropped privs") || line.contains("verbose") => {}
                Ok(line) => return Err(LabError::Asked(format!("{}: {line}", capture.what))),
                Err(_) => return Err(LabError::Asked(format!("{}: it did not start", capture.what))),
            }
        }
    }

    /// Ends the capture and returns what it saw.
    pub fn stop(mut self) -> Result<Seen, LabError> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        // It may just begin to wait for a packet when the signal comes, and look at nothing until one does.
        while let Ok(None) = self.child.try_wait() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
            std::thread::sleep(Duration::from_millis(20));
        }
        let seen = self.so_far();
        let _ = std::fs::remove_file(&self.file);
        seen
    }

    /// Returns what it has seen until now.
    pub fn so_far(&self) -> Result<Seen, LabError> {
        let unread = |source| LabError::File { act: "read", path: self.file.clone(), source };
        Ok(Seen { octets: std::fs::read(&self.file).map_err(unread)? })
    }
}

impl Seen {
    /// Returns whether the words can be read in what was seen.
    pub fn shows(&self, words: &[u8]) -> bool {
        let Some(first) = words.first() else { return true };
        let mut rest = self.octets.as_slice();
        while let Some(at) = rest.iter().position(|octet| octet == first) {
            rest = rest.get(at..).unwrap_or_default();
            if rest.starts_with(words) {
                return true;
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        false
    }

    /// Returns how many packets were seen.
    pub fn packets(&self) -> usize {
        self.records().count()
    }

    /// Returns each packet from its Ethernet header on, with the time since the epoch at which the kernel had it.
    pub fn records(&self) -> impl Iterator<Item = (Duration, &[u8])> {
        // A file header of 24 octets, then per packet 16 octets, seconds, microseconds and length the first three words of it.
        let mut rest = self.octets.get(24..).unwrap_or_default();
        std::iter::from_fn(move || {
            let word = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
            let (seconds, micros, length) = (word(0)?, word(4)?, word(8)?);
            let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(16);
            let octets = rest.get(16..end).unwrap_or_default();
            rest = rest.get(end..).unwrap_or_default();
            Some((Duration::from_secs(seconds.into()) + Duration::from_micros(micros.into()), octets))
        })
    }

    /// Returns how many octets were seen.
    pub fn octets(&self) -> usize {
        self.octets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_wherever_they_are() {
        let seen = Seen { octets: b"aab".to_vec() };
        assert!(seen.shows(b"ab") && seen.shows(b"aa") && !seen.shows(b"ba"));
    }

    #[test]
    fn packets_are_counted_from_their_headers() {
        let mut octets = vec![0; 24];
        for length in [3_u8, 0, 60] {
            octets.extend([0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0, 0, length, 0, 0, 0]);
            octets.extend(vec![1; usize::from(length)]);
        }
        assert_eq!(Seen { octets }.packets(), 3);
    }

    #[test]
    fn packets_come_with_their_times() {
        let mut octets = vec![0; 24];
        octets.extend([2, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 8, 9]);
        let seen = Seen { octets };
        let expected = (Duration::from_micros(2_000_007), [8, 9].as_slice());
        assert_eq!(seen.records().collect::<Vec<_>>(), [expected]);
    }
}

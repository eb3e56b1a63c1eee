//! The nginx that is installed: what it says of itself, and the workers that it has replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::process::{self, Process, Signal};
use super::{System, command, nginx_workers, programs};
use crate::state::nginx::{Described, Linkage, NginxFacts, StreamModule, decode};
use crate::state::program::ProgramName;

/// The stream module's file.
const MODULE_FILE: &str = "ngx_stream_module.so";
/// Where modules are beside a program that was not put where it was built for.
const MODULES_BESIDE: &str = "../lib/nginx/modules";
/// The groups that systems give to nobody.
const GROUPS: [&str; 2] = ["nogroup", "nobody"];
/// How many workers that were replaced may keep their connections at one time; then the oldest gives them up.
const REPLACED_WORKERS_MAX: usize = 8;

/// What a program's file said of itself, as long as the file is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    path: PathBuf,
    changed: Option<SystemTime>,
    described: Option<Described>,
}

impl System {
    /// Returns the nginx that is installed.
    pub(super) async fn nginx(&self) -> Option<NginxFacts> {
        let path = programs::find(ProgramName::Nginx)?;
        let changed = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let mut asked = self.nginx.lock().await;
        let is_known = asked.as_ref().is_some_and(|asked| asked.path == path && asked.changed == changed);
        if !is_known {
            let said = command::run_for_both(&path.to_string_lossy(), &["-V"]).await;
            let described = said.ok().and_then(|said| decode(&String::from_utf8_lossy(&said)));
            *asked = Some(Asked { path: path.clone(), changed, described });
        }
        let described = asked.as_ref()?.described.clone()?;
        let groups = fs::read_to_string(self.config.root.join("etc/group")).unwrap_or_default();
        Some(NginxFacts {
            stream: stream_module(&path, &described),
            version: described.version,
            group: group_of_nobody(&groups)?,
            path,
        })
    }

    /// Ends the oldest of too many workers that were replaced and keep connections still; returns how many were ended.
    pub async fn bound_replaced_workers(&self) -> usize {
        let record = self.record.lock().await;
        let master = record.programs.get(&ProgramName::Nginx).and_then(|recorded| recorded.process);
        let Some(master) = master.filter(|process| process::runs(*process)) else { return 0 };
        let mut replaced: Vec<Process> = nginx_workers::replaced(master);
        replaced.sort_by_key(|process| process.start_time);
        let excess = replaced.len().saturating_sub(REPLACED_WORKERS_MAX);
        let ended = replaced.into_iter().take(excess);
        ended.filter(|worker| process::signal(*worker, Signal::TERM).is_ok()).count()
    }
}

fn stream_module(program: &Path, described: &Described) -> StreamModule {
    match described.stream {
        Some(Linkage::BuiltIn) => StreamModule::BuiltIn,
        Some(Linkage::Dynamic) => {
            let beside = program.parent().map(|directory| directory.join(MODULES_BESIDE));
            let directories = described.modules.iter().cloned().chain(beside);
            let mut files = directories.map(|directory| directory.join(MODULE_FILE));
            let file = files.find(|file| file.is_absolute() && file.is_file());
            let file = file.and_then(|file| fs::canonicalize(file).ok());
            file.map_or(StreamModule::Missing, StreamModule::File)
        }
        None => StreamModule::Missing,
    }
}

/// Returns the name of the group that nobody is in, from the text of `/etc/group`.
fn group_of_nobody(groups: &str) -> Option<String> {
    let is_there = |name: &&str| groups.lines().any(|line| line.split(':').next() == Some(name));
    GROUPS.into_iter().find(is_there).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_nobody_has_the_name_that_the_system_gives_it() {
        let group = |text: &str| group_of_nobody(text);
        assert_eq!(group("root:x:0:\nnogroup:x:65534:\n").as_deref(), Some("nogroup"));
        assert_eq!(group("root:x:0:\nnobody:*:65534:\n").as_deref(), Some("nobody"));
        assert_eq!(group("root:x:0:\nnobodyelse:*:7:\n"), None);
    }
}

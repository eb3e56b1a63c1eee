//! The kernel's modules that a machine gets: those named, what they depend on, and the two lists by which `modprobe` finds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::LabError;
use crate::files::failed;

/// A module as its file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its file.
    pub file: PathBuf,
    /// The modules that must be there before it, by name.
    pub depends: Vec<String>,
    /// Under which other names the kernel asks for it.
    pub aliases: Vec<String>,
}

/// Modules by name; in names the kernel takes `-` for `_`.
pub type Modules = BTreeMap<String, Module>;

/// Returns the modules below a directory whose name, with `*` at the end for any rest, is among `wanted`, and what those need.
pub fn choose(directory: &Path, wanted: &[&str]) -> Result<Modules, LabError> {
    let mut files = BTreeMap::new();
    find(directory, &mut files)?;
    let is_wanted = |name: &str| {
        wanted.iter().any(|wanted| match wanted.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => name == *wanted,
        })
    };
    let mut queue: Vec<String> = files.keys().filter(|name| is_wanted(name)).cloned().collect();
    let mut chosen = Modules::new();
    while let Some(name) = queue.pop() {
        // What is built into the kernel has no file.
        let (false, Some(file)) = (chosen.contains_key(&name), files.get(&name)) else { continue };
        let octets = fs::read(file).map_err(failed("read", file))?;
        let module = Module {
            file: file.clone(),
            depends: values(&octets, "depends=")
                .flat_map(|list| list.split(',').map(name_of).collect::<Vec<_>>())
                .filter(|name| !name.is_empty())
                .collect(),
            aliases: values(&octets, "alias=").collect(),
        };
        queue.extend(module.depends.iter().cloned());
        chosen.insert(name, module);
    }
    Ok(chosen)
}

/// Returns `modules.dep` and `modules.alias` for modules that all lie in one directory.
pub fn indexes(modules: &Modules) -> (String, String) {
    let (mut dependencies, mut aliases) = (String::new(), String::new());
    for (name, module) in modules {
        // Writing to a String cannot fail.
        let _ = write!(dependencies, "{name}.ko:");
        for needed in needs(modules, name) {
            let _ = write!(dependencies, " {needed}.ko");
        }
        dependencies.push('\n');
        for alias in &module.aliases {
            let _ = writeln!(aliases, "alias {alias} {name}");
        }
    }
    (dependencies, aliases)
}

/// Returns all that a module needs, so that each comes before what it needs itself, as `modprobe` reads it from the end.
fn needs(modules: &Modules, name: &str) -> Vec<String> {
    fn visit(modules: &Modules, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        for needed in modules.get(name).map(|module| module.depends.as_slice()).unwrap_or_default() {
            if modules.contains_key(needed) && seen.insert(needed.clone()) {
                visit(modules, needed, seen, order);
                order.push(needed.clone());
            }
        }
    }
    let mut order = Vec::new();
    visit(modules, name, &mut BTreeSet::from([name.to_owned()]), &mut order);
    order.reverse();
    order
}

fn find(directory: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), LabError> {
    let entries = fs::read_dir(directory).map_err(failed("read", directory))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find(&path, files)?;
        } else if let Some(name) = entry.file_name().to_str().and_then(|name| name.strip_suffix(".ko")) {
            files.insert(name_of(name), path);
        }
    }
    Ok(())
}

fn name_of(text: &str) -> String {
    text.replace('-', "_")
}

/// Returns the values of one key of a module's description: texts that end with a zero, as the kernel's build leaves them.
fn values<'a>(octets: &'a [u8], key: &'a str) -> impl Iterator<Item = String> + 'a {
    octets.split(|octet| *octet == 0).filter_map(move |text| {
        Some(String::from_utf8_lossy(text.strip_prefix(key.as_bytes())?).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("dlan-modules-{name}-{}", std::process::id()));
        let files: [(&str, &[u8]); 4] = [
            ("net/vxlan.ko", b"x\0depends=udp-tunnel,ip6_udp_tunnel\0alias=rtnl-link-vxlan\0"),
            ("net/udp_tunnel.ko", b"depends=\0"),
            ("net/ip6_udp_tunnel.ko", b"depends=udp_tunnel\0"),
            ("net/tun.ko", b"depends=\0alias=char-major-10-200\0"),
        ];
        for (path, content) in files {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), content).unwrap();
        }
        root
    }

    #[test]
    fn what_a_module_needs_comes_with_it_and_nothing_else() {
        let root = tree("needs");
        let modules = choose(&root, &["vx*"]).unwrap();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(modules.keys().collect::<Vec<_>>(), ["ip6_udp_tunnel", "udp_tunnel", "vxlan"]);
        let (dependencies, aliases) = indexes(&modules);
        assert!(dependencies.contains("vxlan.ko: ip6_udp_tunnel.ko udp_tunnel.ko\n"), "{dependencies}");
        assert_eq!(aliases, "alias rtnl-link-vxlan vxlan\n");
    }
}

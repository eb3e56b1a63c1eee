//! The nginx that is installed, as it describes itself.

use std::fmt;
use std::path::PathBuf;

/// The nginx that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NginxFacts {
    /// The program's file.
    pub path: PathBuf,
    /// Its version.
    pub version: NginxVersion,
    /// Where its stream module is.
    pub stream: StreamModule,
    /// The group of nobody, by which its workers run.
    pub group: String,
}

/// Where nginx's stream module is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamModule {
    /// In the program.
    BuiltIn,
    /// In this file, to be loaded.
    File(PathBuf),
    /// Nowhere.
    Missing,
}

/// nginx's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NginxVersion(pub u16, pub u16, pub u16);

/// The first version that sends version 2 of the PROXY protocol.
pub const PROXY_VERSION_2: NginxVersion = NginxVersion(1, 31, 4);

impl fmt::Display for NginxVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// What nginx says of itself (`nginx -V`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its version.
    pub version: NginxVersion,
    /// Whether the stream module is built in, or to be loaded; `None`: neither.
    pub stream: Option<Linkage>,
    /// Where its modules are.
    pub modules: Option<PathBuf>,
}

/// How a module belongs to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// It is a part of it.
    BuiltIn,
    /// It is a file of its own.
    Dynamic,
}

/// Reads what nginx says of itself.
pub fn decode(text: &str) -> Option<Described> {
    let version = text.lines().find_map(|line| line.split_once("nginx/")).and_then(|(_, rest)| {
        let version = rest.split([' ', '(', '-']).next()?;
        let mut numbers = version.split('.').map(|number| number.trim().parse::<u16>().ok());
        Some(NginxVersion(numbers.next()??, numbers.next()??, numbers.next()??))
    })?;
    let arguments = || text.lines().filter_map(|line| line.strip_prefix("configure arguments:"));
    let words = || arguments().flat_map(str::split_ascii_whitespace);
    let stream = words().find_map(|word| match word {
        "--with-stream" => Some(Linkage::BuiltIn),
        "--with-stream=dynamic" => Some(Linkage::Dynamic),
        _ => None,
    });
    let value = |name: &str| words().find_map(|word| word.strip_prefix(name)).map(PathBuf::from);
    let modules = value("--modules-path=").or_else(|| value("--prefix=").map(|it| it.join("modules")));
    Some(Described { version, stream, modules })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debian_s_and_openwrt_s_nginx_are_read_as_what_they_are() {
        let debian = "nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.15 3 Sep 2024\nTLS SNI support enabled\n\
            configure arguments: --with-cc-opt='-g -O2' --prefix=/usr/share/nginx --modules-path=/usr/lib/nginx/modules \
            --with-stream_ssl_preread_module --with-stream=dynamic --with-stream_geoip_module=dynamic\n";
        let openwrt = "nginx version: nginx/1.26.1 (x86_64-pc-linux-gnu)\nconfigure arguments: --prefix=/usr --with-stream\n";
        assert_eq!(
            decode(debian),
            Some(Described {
                version: NginxVersion(1, 22, 1),
                stream: Some(Linkage::Dynamic),
                modules: Some("/usr/lib/nginx/modules".into()),
            })
        );
        assert_eq!(
            decode(openwrt),
            Some(Described {
                version: NginxVersion(1, 26, 1),
                stream: Some(Linkage::BuiltIn),
                modules: Some("/usr/modules".into()),
            })
        );
        assert_eq!(decode("nginx version: nginx/1.22.1\n").unwrap().stream, None);
    }

    proptest! {
        #[test]
        fn any_description_is_read_or_refused(text in any::<String>(), version in "[0-9.]{0,12}") {
            let _ = decode(&text);
            let _ = decode(&format!("nginx version: nginx/{version}\nconfigure arguments: {text}"));
        }
    }
}

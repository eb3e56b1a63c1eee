//! Names of network devices, as the kernel accepts them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device name the kernel accepts: 1 to 15 octets, no slash, no white space, not `.` or `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

/// A text that cannot be a device name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a device name: 1 to 15 octets without slash, colon or white space")]
pub struct BadLinkName(pub String);

impl LinkName {
    /// Checks the text.
    pub fn new(text: &str) -> Result<Self, BadLinkName> {
        let fits = (1..=15).contains(&text.len()) && text != "." && text != "..";
        let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if fits && !text.contains(bad) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadLinkName(text.to_owned()))
        }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for LinkName {
    type Err = BadLinkName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl TryFrom<String> for LinkName {
    type Error = BadLinkName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_the_kernel_accepts() {
        for good in ["dlan-wg", "dlan-vx256", "a", "fifteen-octets-"] {
            assert_eq!(LinkName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "a:b", "a b", "sixteen--octets-", "tab\t", "nul\0"] {
            assert_eq!(LinkName::new(bad), Err(BadLinkName(bad.to_owned())), "{bad:?}");
        }
    }
}

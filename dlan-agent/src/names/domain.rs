//! A domain name in lower case without its last dot, safe to print and to write into other programs' files.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name in characters, so that it fits the 255 octets of RFC 1035 section 2.3.4.
const NAME_MAX: usize = 253;
/// The longest label.
const LABEL_MAX: usize = 63;

/// A text that is no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a domain name: labels of 1 to 63 letters, digits, '-' and '_', joined by dots, 253 characters in all"
)]
pub struct NotAName;

/// A domain name: at least one label; letters, digits, `-` and `_`, which service names begin with (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

impl DomainName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this name is that name or lies below it.
    pub fn is_within(&self, zone: &Self) -> bool {
        let rest = self.0.strip_suffix(zone.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// Returns the name without its first label; `None` of a name with only one.
    pub fn parent(&self) -> Option<Self> {
        self.0.split_once('.').map(|(_, rest)| Self(rest.to_owned()))
    }

    /// Returns this name and all those that it lies below, the longest first.
    pub fn lineage(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Returns `label.self`.
    pub fn child(&self, label: &str) -> Result<Self, NotAName> {
        format!("{label}.{self}").parse()
    }
}

impl FromStr for DomainName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let text = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && label.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-' | '_'))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= NAME_MAX && text.split('.').all(is_label) { Ok(Self(text)) } else { Err(NotAName) }
    }
}

impl TryFrom<String> for DomainName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_lies_within_itself_and_what_it_ends_with_label_by_label() {
        assert!(name("nas.r1.lan").is_within(&name("r1.lan")));
        assert!(name("R1.lan.").is_within(&name("r1.lan")));
        assert!(!name("xr1.lan").is_within(&name("r1.lan")));
        assert!(!name("lan").is_within(&name("r1.lan")));
        let lineage: Vec<_> = name("a.b.c").lineage().map(String::from).collect();
        assert_eq!(lineage, ["a.b.c", "b.c", "c"]);
    }

    #[test]
    fn what_could_break_out_of_a_file_is_no_name() {
        let long = "a".repeat(64);
        for text in
            ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a\"b", "a\nb", "a;b", "a{b", "ä", "*.a", &long]
        {
            assert_eq!(text.parse::<DomainName>(), Err(NotAName), "{text:?}");
        }
        assert_eq!("ab.".repeat(85).parse::<DomainName>(), Err(NotAName));
    }

    proptest! {
        #[test]
        fn any_text_is_a_name_or_refused_and_a_name_stays_itself(text in "\\PC{0,80}") {
            if let Ok(name) = text.parse::<DomainName>() {
                prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
                prop_assert!(name.lineage().all(|above| name.is_within(&above)));
            }
        }
    }
}

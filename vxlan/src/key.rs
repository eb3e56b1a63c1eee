//! WireGuard's keys; the secret ones cannot be printed and are wiped when dropped.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// The length of every key, in octets.
pub const KEY_LENGTH: usize = 32;

/// The length of every key as text: base64 with padding.
const TEXT_LENGTH: usize = 44;

/// A text that is no key. It never repeats the text, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the length of a key.
    #[error("a key is {TEXT_LENGTH} characters of base64, this has {0}")]
    TextLength(usize),
    /// Not base64.
    #[error(
        "a key is {TEXT_LENGTH} characters of base64 (A-Z a-z 0-9 + / and one = at the end), this has other characters"
    )]
    Base64,
    /// All octets are zero, which stands for "no key".
    #[error("a key of zeros is no key")]
    Zero,
}

/// The system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a key: the system gives no randomness")]
pub struct RandomnessError(#[source] getrandom::Error);

fn parse(text: &str) -> Result<Zeroizing<[u8; KEY_LENGTH]>, KeyError> {
    let text = text.trim();
    if text.len() != TEXT_LENGTH {
        return Err(KeyError::TextLength(text.chars().count()));
    }
    let decoded = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError::Base64)?);
    let octets = <[u8; KEY_LENGTH]>::try_from(decoded.as_slice()).map_err(|_| KeyError::Base64)?;
    if octets == [0; KEY_LENGTH] { Err(KeyError::Zero) } else { Ok(Zeroizing::new(octets)) }
}

fn random() -> Result<Zeroizing<[u8; KEY_LENGTH]>, RandomnessError> {
    let mut octets = Zeroizing::new([0; KEY_LENGTH]);
    getrandom::fill(octets.as_mut_slice()).map_err(RandomnessError)?;
    Ok(octets)
}

/// A Curve25519 public key. Its text is base64, as `wg` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY_LENGTH]);

impl PublicKey {
    /// Takes the 32 octets.
    pub const fn from_octets(octets: [u8; KEY_LENGTH]) -> Self {
        Self(octets)
    }

    /// Returns the 32 octets.
    pub const fn octets(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|octets| Self(*octets))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name([u8; KEY_LENGTH]);

        impl $name {
            /// Takes the 32 octets.
            pub const fn from_octets(octets: [u8; KEY_LENGTH]) -> Self {
                Self(octets)
            }

            /// Returns the 32 octets.
            pub const fn octets(&self) -> &[u8; KEY_LENGTH] {
                &self.0
            }

            /// Returns the key as text for its own file, wiped when dropped.
            pub fn to_base64(&self) -> Zeroizing<String> {
                Zeroizing::new(STANDARD.encode(self.0))
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
secret!(
    /// A Curve25519 private key; it has no readable `Debug` and is wiped when dropped.
    PrivateKey
);
secret!(
    /// A pre-shared key; it has no readable `Debug` and is wiped when dropped.
    PresharedKey
);

impl FromStr for PrivateKey {
    type Err = KeyError;

    /// Reads the key clamped, so that it equals what a device says it has.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|octets| Self(*octets).clamped())
    }
}

impl FromStr for PresharedKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map(|octets| Self(*octets))
    }
}

impl PrivateKey {
    /// Makes a key from the system's randomness.
    pub fn generate() -> Result<Self, RandomnessError> {
        random().map(|octets| Self(*octets).clamped())
    }

    /// Returns the key with the bits set that RFC 7748 section 5 asks of a private key. The kernel stores a key so,
    /// and a key that is not would be seen as another one than was wanted.
    #[must_use]
    pub fn clamped(&self) -> Self {
        let mut key = self.clone();
        let [first, .., last] = &mut key.0;
        *first &= 0xf8;
        *last = (*last & 0x7f) | 0x40;
        key
    }

    /// Returns the public key that belongs to this private key.
    pub fn public_key(&self) -> PublicKey {
        let secret = x25519_dalek::StaticSecret::from(self.0);
        PublicKey(x25519_dalek::PublicKey::from(&secret).to_bytes())
    }
}

impl PresharedKey {
    /// Makes a key from the system's randomness.
    pub fn generate() -> Result<Self, RandomnessError> {
        random().map(|octets| Self(*octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Alice's key pair of RFC 7748 section 6.1.
    const PRIVATE: &str = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
    const PUBLIC: &str = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";

    #[test]
    fn public_key_is_the_one_of_rfc_7748() {
        let octets: [u8; 32] = STANDARD.decode(PRIVATE).unwrap().try_into().unwrap();
        assert_eq!(PrivateKey::from_octets(octets).public_key().to_string(), PUBLIC);
        assert_eq!(PRIVATE.parse::<PrivateKey>().unwrap().public_key().to_string(), PUBLIC);
    }

    #[test]
    fn text_that_is_no_key_is_refused_without_repeating_it() {
        assert_eq!("abc".parse::<PublicKey>(), Err(KeyError::TextLength(3)));
        assert_eq!(PUBLIC.replace('w', "!").parse::<PublicKey>(), Err(KeyError::Base64));
        let zeros = format!("{}=", "A".repeat(43));
        assert_eq!(zeros.parse::<PublicKey>(), Err(KeyError::Zero));
        let error = PRIVATE.replace('w', "!").parse::<PrivateKey>().unwrap_err();
        assert!(!error.to_string().contains("dCnMYpX08"));
    }

    #[test]
    fn key_file_may_end_with_a_newline() {
        assert_eq!(format!("{PUBLIC}\n").parse::<PublicKey>().unwrap().to_string(), PUBLIC);
    }

    #[test]
    fn made_keys_differ_and_are_clamped() {
        let (one, other) = (PrivateKey::generate().unwrap(), PrivateKey::generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.clamped(), one);
        assert_ne!(PresharedKey::generate().unwrap(), PresharedKey::generate().unwrap());
    }

    #[test]
    fn secrets_are_not_readable_in_debug_output() {
        let key: PrivateKey = PRIVATE.parse().unwrap();
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
        assert_eq!(key.to_base64().parse::<PrivateKey>().unwrap(), key);
    }
}

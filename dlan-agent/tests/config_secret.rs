//! What is read from the files of secrets, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use dlan_agent::config::secret::{Whence, read_ospf_secret, read_preshared_key, read_private_key};

const KEY: &str = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=";

fn whence() -> Whence {
    Whence { section: "link 'r4'".to_owned(), option: "wg_psk_file" }
}

struct Secret(tempfile::TempDir);

impl Secret {
    fn new(content: impl AsRef<[u8]>, mode: u32) -> Self {
        let secret = Self(tempfile::tempdir().unwrap());
        fs::write(secret.path(), content).unwrap();
        fs::set_permissions(secret.path(), Permissions::from_mode(mode)).unwrap();
        secret
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("secret")
    }

    /// Returns why the file is refused, without its name.
    fn refusal(&self) -> String {
        let path = self.path();
        let message = read_preshared_key(&path, &whence()).unwrap_err().to_string();
        message.replace(path.to_str().unwrap(), "FILE")
    }
}

#[test]
fn a_key_is_read_with_or_without_a_line_s_end() {
    for content in [KEY.to_owned(), format!("{KEY}\n"), format!("{KEY}\r\n")] {
        let secret = Secret::new(content, 0o600);
        assert_eq!(read_preshared_key(&secret.path(), &whence()).unwrap().octets(), &[4; 32]);
        assert!(read_private_key(&secret.path(), &whence()).is_ok());
    }
}

#[test]
fn an_ospf_secret_is_the_line_as_it_stands() {
    let secret = Secret::new("correct horse, battery staple \n", 0o640);
    let key = read_ospf_secret(&secret.path(), &whence()).unwrap();
    assert_eq!(key.octets(), b"correct horse, battery staple ");
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_command_that_mends_it() {
    for mode in [0o604, 0o644, 0o602, 0o777] {
        let expected = format!(
            "link 'r4': option wg_psk_file: FILE: everyone on this router can get at it (mode {mode:04o}): run chmod 600 FILE"
        );
        assert_eq!(Secret::new(KEY, mode).refusal(), expected);
    }
}

#[test]
fn what_is_no_key_is_refused_without_repeating_it() {
    let at = "link 'r4': option wg_psk_file: FILE: ";
    for (content, words) in [
        ("".as_bytes(), "it is empty"),
        (b"\n\n", "it is empty"),
        (b"hunter2\n", "a key is 44 characters of base64, this has 7; wg genpsk makes a pre-shared key"),
        (b"one\ntwo\n", "it has more than one line; a secret is one line"),
        (b"\xff\xfe", "it is not text"),
        (b"a\0b", "it is not text"),
        (&[b'x'; 1025], "it is larger than 1024 octets, so it is no secret of dlan"),
    ] {
        let refusal = Secret::new(content, 0o600).refusal();
        assert_eq!(refusal, format!("{at}{words}"));
        assert!(!refusal.contains("hunter2"));
    }
}

#[test]
fn a_missing_file_and_a_folder_are_told_apart() {
    let refusal = |path: &str| read_private_key(Path::new(path), &whence()).unwrap_err().to_string();
    assert_eq!(refusal("/nowhere/key"), "link 'r4': option wg_psk_file: /nowhere/key: there is no such file");
    assert_eq!(refusal("/"), "link 'r4': option wg_psk_file: /: it is not a regular file");
}

//! An error in one line with its causes, as logs and people get it.

use std::error::Error;

/// Returns an error's words with those of its causes. One that ends with its cause's words needs them only once.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("no socket")]
    struct Inner;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("cannot start")]
        Silent(#[source] Inner),
        #[error("cannot start: {0}")]
        Telling(#[source] Inner),
    }

    #[test]
    fn each_cause_is_said_once() {
        for error in [Outer::Silent(Inner), Outer::Telling(Inner)] {
            assert_eq!(with_causes(&error), "cannot start: no socket");
        }
    }
}

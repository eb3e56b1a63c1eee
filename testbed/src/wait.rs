//! Waiting for a condition, never for a fixed time.

use std::time::{Duration, Instant};

use crate::error::LabError;

/// How often a condition is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until `condition` holds; it returns `Err` with how far it came while it does not.
pub fn until<T>(
    limit: Duration,
    what: &str,
    condition: impl FnMut() -> Result<T, String>,
) -> Result<T, LabError> {
    every(POLL_INTERVAL, limit, what, condition)
}

/// The same, looking only every `interval`: to look costs time that others are measured in.
pub fn every<T>(
    interval: Duration,
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<T, String>,
) -> Result<T, LabError> {
    let begun = Instant::now();
    loop {
        match condition() {
            Ok(value) => return Ok(value),
            Err(state) if begun.elapsed() >= limit => {
                return Err(LabError::Waited { waited: limit.as_secs(), what: format!("{what} ({state})") });
            }
            Err(_) => std::thread::sleep(interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_ends_with_how_far_it_came() {
        let error = until::<()>(Duration::ZERO, "four neighbors", || Err("three".to_owned())).unwrap_err();
        assert!(error.to_string().contains("four neighbors (three)"));
    }

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looked = 0;
        let seen = until(Duration::from_secs(5), "the third look", || {
            looked += 1;
            if looked == 3 { Ok(looked) } else { Err(looked.to_string()) }
        });
        assert_eq!(seen.unwrap(), 3);
    }
}

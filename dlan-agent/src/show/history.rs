//! The last applies, as a table, and what one of them changed.

use super::table::Table;
use crate::control::apply_report::{HistoryReport, WindowReport};

/// Returns the applies, the latest last.
pub fn history(entries: &[HistoryReport]) -> String {
    if entries.is_empty() {
        return "Nothing was applied yet.\n".to_owned();
    }
    let mut table = Table::new(&[">NUMBER", "TIME (UTC)", "BY", "OUTCOME", "LINES"]);
    for entry in entries {
        let count = |mark: &str| entry.diff.lines().filter(|line| line.starts_with(mark)).count();
        let lines = format!("+{} -{}", count("+ "), count("- "));
        table.row([
            entry.number.to_string(),
            utc(entry.time),
            entry.by.clone(),
            entry.outcome.clone(),
            lines,
        ]);
    }
    format!(
        "{}`dlan history NUMBER` shows what one changed, `dlan rollback NUMBER` returns to it.\n",
        table.render(0)
    )
}

/// Returns what one apply changed.
pub fn history_entry(entry: &HistoryReport) -> String {
    let diff = if entry.diff.is_empty() { "The configuration stayed as it was.\n" } else { &entry.diff };
    format!("Apply {}, {}, {}: {}\n{diff}", entry.number, utc(entry.time), entry.by, entry.outcome)
}

/// Returns whether an apply waits to be confirmed.
pub fn window(window: Option<&WindowReport>) -> String {
    match window {
        Some(window) => format!("The apply by {} is {}.\n", window.by, window.text),
        None => "Nothing waits to be confirmed.\n".to_owned(),
    }
}

/// Returns a time of day and date for people.
fn utc(seconds: u64) -> String {
    let days = seconds / 86_400;
    let (year, month, day) = civil(days);
    let of_day = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// Returns the date of a day counted from 1970-01-01, by the Gregorian calendar: years are counted from March, so that the leap day
/// is a year's last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (951_868_800, "2000-03-01 00:00:00"),
            (1_709_164_800, "2024-02-29 00:00:00"),
            (4_107_542_399, "2100-02-28 23:59:59"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn the_history_is_a_table_and_an_entry_shows_its_lines() {
        let entry = HistoryReport {
            number: 3,
            time: 0,
            by: "root, from 10.2.1.11".to_owned(),
            outcome: "confirmed".to_owned(),
            in_force: true,
            diff: "  config link\n- a\n+ b\n+ c\n".to_owned(),
        };
        let text = history(std::slice::from_ref(&entry));
        assert!(text.contains("3  1970-01-01 00:00:00  root, from 10.2.1.11  confirmed  +2 -1"), "{text}");
        assert!(history_entry(&entry).ends_with("confirmed\n  config link\n- a\n+ b\n+ c\n"));
        assert_eq!(history(&[]), "Nothing was applied yet.\n");
    }
}

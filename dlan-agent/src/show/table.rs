//! Aligned tables as wide as what they hold.

/// Rows under a heading; every row has as many cells as the heading.
#[derive(Debug, Clone)]
pub struct Table {
    rows: Vec<Vec<String>>,
    /// Which columns are numbers, and so stand at the right.
    right: Vec<bool>,
}

impl Table {
    /// Starts a table with a heading; a column whose title begins with `>` holds numbers.
    pub fn new(titles: &[&str]) -> Self {
        let right = titles.iter().map(|title| title.starts_with('>')).collect();
        let heading = titles.iter().map(|title| title.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![heading], right }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns whether there is nothing but the heading.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Returns the table, every line indented by `indent` spaces.
    pub fn render(&self, indent: usize) -> String {
        let mut widths = vec![0; self.right.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
                if *right {
                    line.push_str(&gap);
                    line.push_str(cell);
                } else {
                    line.push_str(cell);
                    line.push_str(&gap);
                }
                line.push_str("  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Returns `-` for nothing.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Returns a number of seconds in two units at most: `42 s`, `3 min 4 s`, `2 h 5 min`, `3 d 1 h`.
pub fn duration(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Returns a number of octets in three digits: `512 B`, `1.5 kB`, `20 MB`.
pub fn octets(count: u64) -> String {
    let mut value = count as f64;
    let mut units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for larger in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" || value >= 9.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Returns microseconds as milliseconds: `0.42 ms`, `12.3 ms`, `123 ms`.
pub fn milliseconds(micros: u64) -> String {
    let value = micros as f64 / 1000.0;
    match micros {
        0..10_000 => format!("{value:.2} ms"),
        10_000..100_000 => format!("{value:.1} ms"),
        _ => format!("{value:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", ">COST", "STATE"]);
        table.row(["r1".to_owned(), "5".to_owned(), "Full".to_owned()]);
        table.row(["long-name".to_owned(), "1000".to_owned(), "Init".to_owned()]);
        assert_eq!(
            table.render(1),
            " NAME       COST  STATE\n r1            5  Full\n long-name  1000  Init\n"
        );
    }

    #[test]
    fn amounts_are_said_in_fitting_units() {
        let said: Vec<_> = [0, 59, 60, 184, 3600, 90_061].map(duration).into();
        assert_eq!(said, ["0 s", "59 s", "1 min", "3 min 4 s", "1 h", "1 d 1 h"]);
        let said: Vec<_> = [0, 999, 1000, 1549, 19_999_999, u64::MAX].map(octets).into();
        assert_eq!(said, ["0 B", "999 B", "1.0 kB", "1.5 kB", "20 MB", "18 EB"]);
        let said: Vec<_> = [420, 12_340, 123_456].map(milliseconds).into();
        assert_eq!(said, ["0.42 ms", "12.3 ms", "123 ms"]);
    }
}

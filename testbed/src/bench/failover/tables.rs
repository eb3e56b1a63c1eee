//! What was found, as tables in Markdown: a row for each case, the routers side by side.

use std::time::Duration;

use super::Orders;
use super::case::Case;
use super::failure::Sample;
use super::lane::{Finding, Purpose};
use super::subject::Subject;
use crate::console::Console;

/// What stands where nothing was measured.
const NOTHING: &str = "-";

impl Finding {
    /// Returns it in one line, for the person who waits.
    pub fn summary(&self) -> String {
        let [ipv6, ipv4] = [0, 1].map(|family| spread(&self.away(family)));
        let what = match self.purpose {
            Purpose::Failures(shape) => format!("{}, {}", shape.name(), self.case.title()),
            Purpose::Prefixes => format!("{} prefixes, {}", self.prefixes, self.case.title()),
            Purpose::Changes => "Update to kernel".to_owned(),
        };
        format!("{what}, {}: {ipv6} / {ipv4} ms", self.subject.name())
    }

    fn away(&self, family: usize) -> Vec<f64> {
        let of = |sample: &Sample| sample.away.get(family).copied().flatten();
        self.samples.iter().filter_map(of).map(milliseconds).collect()
    }

    fn lost_at_return(&self) -> usize {
        self.samples.iter().map(|sample| sample.lost_at_return).sum()
    }

    /// Returns the processor time, and how much of it is not what is used at rest.
    fn processor(&self) -> (f64, f64) {
        let median = |of: fn(&Sample) -> Duration| {
            middle(self.samples.iter().map(|sample| milliseconds(of(sample))).collect()).unwrap_or_default()
        };
        let all = median(|sample| sample.processor);
        (all, (all - median(|sample| sample.rest)).max(0.0))
    }
}

/// Prints every table that something was found for.
pub(super) fn print(console: Console, orders: &Orders, findings: &[Finding]) {
    for shape in &orders.shapes {
        let here = of(findings, Purpose::Failures(*shape));
        let rows: Vec<_> =
            orders.cases.iter().map(|case| (case.title().to_owned(), case_of(&here, *case))).collect();
        let title = format!("The link R1-R2 fails in {}: how long traffic is away, ms", shape.title());
        print_away(console, (&title, "failure, timers"), &rows, orders);
        print_rest(console, "failure, timers", &rows, orders);
    }
    for case in orders.prefix_cases() {
        let mut here = case_of(&of(findings, Purpose::Prefixes), case);
        if here.is_empty() {
            continue;
        }
        // Without any it is what was found in the mesh.
        here.extend(case_of(&of(findings, Purpose::Failures(super::Shape::Mesh)), case));
        let rows: Vec<_> =
            orders.prefixes.iter().map(|count| (count.to_string(), with_prefixes(&here, *count))).collect();
        let title = format!(
            "The same in a full mesh of four ({}), with prefixes of each family behind R2, BIRD: the last one's traffic, ms",
            case.title()
        );
        print_away(console, (&title, "prefixes"), &rows, orders);
        print_rest(console, "prefixes", &rows, orders);
    }
    let rows = [("a prefix comes or goes".to_owned(), of(findings, Purpose::Changes))];
    print_away(
        console,
        ("From a Link State Update at the device to the route in the kernel, ms", "change"),
        &rows,
        orders,
    );
}

type Rows<'a> = [(String, Vec<&'a Finding>)];

fn of(findings: &[Finding], purpose: Purpose) -> Vec<&Finding> {
    findings.iter().filter(|one| one.purpose == purpose).collect()
}

fn case_of<'a>(findings: &[&'a Finding], case: Case) -> Vec<&'a Finding> {
    findings.iter().copied().filter(|one| one.case == case).collect()
}

fn with_prefixes<'a>(findings: &[&'a Finding], count: usize) -> Vec<&'a Finding> {
    findings.iter().copied().filter(|one| one.prefixes == count).collect()
}

/// Prints how long traffic was away: median and worst.
fn print_away(console: Console, (title, first): (&str, &str), rows: &Rows<'_>, orders: &Orders) {
    if rows.iter().all(|(_, found)| found.is_empty()) {
        return;
    }
    let runs =
        rows.iter().flat_map(|(_, found)| found).map(|one| one.samples.len()).max().unwrap_or_default();
    console.heading(&format!("{title}: median (worst) of up to {runs}"));
    console.line("");
    let columns: Vec<&str> = orders.subjects.iter().flat_map(|subject| subject.columns()).collect();
    console.line(head(first, &columns));
    for (title, found) in rows {
        let cells = orders.subjects.iter().flat_map(|subject| {
            let found = find(found, *subject);
            [0, 1].map(|family| found.map_or(NOTHING.to_owned(), |one| spread(&one.away(family))))
        });
        console.line(row(title, cells));
    }
}

/// Prints what it cost r1, and what was lost when the link came back.
fn print_rest(console: Console, first: &str, rows: &Rows<'_>, orders: &Orders) {
    if rows.iter().all(|(_, found)| found.is_empty()) {
        return;
    }
    console.line("");
    let columns: Vec<String> = orders
        .subjects
        .iter()
        .map(|subject| format!("{}: CPU of R1 in ms (beyond rest), lost at return", subject.name()))
        .collect();
    console.line(head(first, &columns));
    for (title, found) in rows {
        let cell = |subject: &Subject| {
            find(found, *subject).map_or(NOTHING.to_owned(), |one| {
                let (all, beyond) = one.processor();
                format!("{all:.1} ({beyond:.1}), {}", one.lost_at_return())
            })
        };
        console.line(row(title, orders.subjects.iter().map(cell)));
    }
}

fn find<'a>(found: &[&'a Finding], subject: Subject) -> Option<&'a Finding> {
    found.iter().copied().find(|one| one.subject == subject)
}

fn head<S: AsRef<str>>(first: &str, columns: &[S]) -> String {
    let names: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    format!("| {first} | {} |\n| --- |{}", names.join(" | "), " ---: |".repeat(columns.len()))
}

fn row(first: &str, cells: impl Iterator<Item = String>) -> String {
    format!("| {first} | {} |", cells.collect::<Vec<_>>().join(" | "))
}

/// Returns the median and the worst.
fn spread(all: &[f64]) -> String {
    let worst = all.iter().copied().fold(0.0, f64::max);
    let digits = usize::from(worst < 20.0);
    middle(all.to_vec()).map_or(NOTHING.to_owned(), |middle| format!("{middle:.digits$} ({worst:.digits$})"))
}

fn middle(mut all: Vec<f64>) -> Option<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_the_median_and_the_worst() {
        assert_eq!(spread(&[3.0, 1.0, 2.04]), "2.0 (3.0)");
        assert_eq!(spread(&[141.3, 160.0, 140.0]), "141 (160)");
        assert_eq!(spread(&[]), "-");
    }

    #[test]
    fn a_row_has_as_many_cells_as_its_head() {
        let head = head("failure", &["a", "b"]);
        let row = row("carrier", ["1", "2"].map(str::to_owned).into_iter());
        for line in head.lines().chain([row.as_str()]) {
            assert_eq!(line.matches('|').count(), 4, "{line}");
        }
    }
}

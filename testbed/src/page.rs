//! A report as one page for a browser, which needs nothing else: what it came to, the topology drawn, figures, a time line for each
//! scenario.

use std::fmt::Write as _;

use crate::picture::{Shown, svg};
use crate::report::{Outcome, summary};
use crate::topology::Topology;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h1{margin-bottom:.2rem}h2{margin:2rem 0 .2rem;font-size:1.15rem}.claim{margin:0;color:#555}svg{display:block;max-width:30rem;height:auto;margin:1rem auto}
table{border-collapse:collapse;width:100%;margin:.8rem 0}th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #e4e4e4;vertical-align:top}
th{color:#777;font-weight:normal}th.n,td.n{text-align:right;white-space:nowrap}.good{color:#1e8449}.bad{color:#c0392b;font-weight:bold}
.line{position:relative;height:1.7rem;margin:1.5rem 4.5rem .3rem 0;background:#f0f0f0;border-radius:3px}
.took{position:absolute;top:0;bottom:0;left:0;background:#a9cbe8;border-radius:3px}.fails .took{background:#e6a19c}
.at{position:absolute;top:0;bottom:0;width:2px;margin-left:-2px;background:#234}.at span{position:absolute;top:-1.25rem;left:-.7rem;width:1.5rem;text-align:center;font-size:.75rem;color:#234}
.sum{position:absolute;right:-4.5rem;width:4.2rem;text-align:right;top:.1rem}ol{margin:.4rem 0;padding-left:1.6rem}li span{color:#777}
pre{white-space:pre-wrap;background:#fbeeee;padding:.6rem}";

/// The least distance between two numbers over a time line, in percent of it: closer ones stand as one.
const APART: f64 = 2.5;

/// Returns the page.
pub fn page(outcomes: &[Outcome], topologies: &[Topology]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What the lab showed</title><style>{STYLE}</style></head><body>\n<h1>What the lab showed</h1>\n<p>{}</p>\n",
        summary(outcomes)
    );
    write_overview(&mut text, outcomes);
    for topology in topologies {
        text.push_str(&svg::draw(topology, &Shown::default()));
    }
    write_figures(&mut text, outcomes);
    // All time lines have one scale, so that they can be compared.
    let longest = outcomes.iter().map(|outcome| outcome.seconds).fold(1.0, f64::max);
    for outcome in outcomes {
        write_outcome(&mut text, outcome, longest);
    }
    text.push_str("</body></html>\n");
    text
}

fn verdict(outcome: &Outcome) -> (&'static str, &'static str) {
    if outcome.failure.is_some() { ("bad", "does not hold") } else { ("good", "holds") }
}

fn write_overview(text: &mut String, outcomes: &[Outcome]) {
    text.push_str("<table><tr><th>scenario</th><th></th><th class=\"n\">took</th></tr>\n");
    for outcome in outcomes {
        let (class, verdict) = verdict(outcome);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td class=\"{class}\">{verdict}</td><td class=\"n\">{:.1} s</td></tr>",
            escaped(outcome.name),
            outcome.seconds
        );
    }
    text.push_str("</table>\n");
}

fn write_figures(text: &mut String, outcomes: &[Outcome]) {
    let figures: Vec<_> = outcomes.iter().flat_map(|outcome| &outcome.figures).collect();
    if figures.is_empty() {
        return;
    }
    text.push_str("<h2>Figures</h2>\n<table>\n");
    for (what, value) in figures {
        let _ = writeln!(text, "<tr><td>{}</td><td class=\"n\">{}</td></tr>", escaped(what), escaped(value));
    }
    text.push_str("</table>\n");
}

fn write_outcome(text: &mut String, outcome: &Outcome, longest: f64) {
    let percent = |seconds: f64| 100.0 * seconds / longest;
    let (colour, verdict) = verdict(outcome);
    let class = if outcome.failure.is_some() { "fails" } else { "holds" };
    let _ = write!(
        text,
        "<section class=\"{class}\"><h2>{}: <span class=\"{colour}\">{verdict}</span></h2><p class=\"claim\">{}</p>\n<div class=\"line\"><div class=\"took\" style=\"width:{:.1}%\"></div>",
        escaped(outcome.name),
        escaped(outcome.claim),
        percent(outcome.seconds)
    );
    // What a scenario notes by itself has no moment.
    let has_moments = outcome.moments.len() == outcome.evidence.len();
    let moments = if has_moments { outcome.moments.as_slice() } else { &[] };
    for (at, name) in marks(moments, percent) {
        let _ = write!(text, "<div class=\"at\" style=\"left:{at:.1}%\"><span>{name}</span></div>");
    }
    let _ = write!(text, "<div class=\"sum\">{:.1} s</div></div>\n<ol>", outcome.seconds);
    for (number, line) in outcome.evidence.iter().enumerate() {
        let moment = moments.get(number).map(|moment| format!("<span>{moment:.1} s</span> "));
        let _ = writeln!(text, "<li>{}{}</li>", moment.unwrap_or_default(), escaped(line));
    }
    text.push_str("</ol>\n");
    for failure in outcome.earlier_failures.iter().chain(&outcome.failure) {
        let _ = writeln!(text, "<pre>{}</pre>", escaped(failure));
    }
    text.push_str("</section>\n");
}

/// Returns where marks stand on a time line, in percent, and what stands over each: the numbers of what was seen then.
fn marks(moments: &[f64], percent: impl Fn(f64) -> f64) -> Vec<(f64, String)> {
    let mut marks: Vec<(f64, usize, usize)> = Vec::new();
    for (number, moment) in (1..).zip(moments) {
        let at = percent(*moment);
        match marks.last_mut() {
            Some((before, _, last)) if at - *before < APART => *last = number,
            _ => marks.push((at, number, number)),
        }
    }
    let name = |first: usize, last: usize| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    marks.into_iter().map(|(at, first, last)| (at, name(first, last))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_at_nearly_one_moment_has_one_mark() {
        let found = marks(&[1.0, 1.2, 50.0], |seconds| seconds);
        assert_eq!(found, [(1.0, "1-2".to_owned()), (50.0, "3".to_owned())]);
    }
}

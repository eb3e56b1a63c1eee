//! A report as one page for a browser, which needs nothing else: the topology drawn, a time line for each scenario, what was seen.

use std::fmt::Write as _;

use crate::picture::{Shown, svg};
use crate::report::{Outcome, summary};
use crate::topology::Topology;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin:2rem 0 .2rem;font-size:1.1rem}.claim{margin:0;color:#555}.line{position:relative;height:1.4rem;margin:.6rem 0;background:#eee}
.took{position:absolute;inset:0 auto 0 0;background:#9cc3e6}.fails .took{background:#e6a19c}.line i{position:absolute;top:0;bottom:0;width:2px;background:#234}
.line b{position:absolute;right:.4rem;font-weight:normal}svg{max-width:30rem;height:auto}li span{color:#777}pre{white-space:pre-wrap;background:#fbeeee;padding:.6rem}";

/// Returns the page.
pub fn page(outcomes: &[Outcome], topologies: &[Topology]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>What the lab showed</title><style>{STYLE}</style></head><body>\n<h1>What the lab showed</h1>\n<p>{}</p>\n",
        summary(outcomes)
    );
    for topology in topologies {
        text.push_str(&svg::draw(topology, &Shown::default()));
    }
    // All time lines have one scale, so that they can be compared.
    let longest = outcomes.iter().map(|outcome| outcome.seconds).fold(1.0, f64::max);
    for outcome in outcomes {
        write_outcome(&mut text, outcome, longest);
    }
    text.push_str("</body></html>\n");
    text
}

fn write_outcome(text: &mut String, outcome: &Outcome, longest: f64) {
    let percent = |seconds: f64| 100.0 * seconds / longest;
    let (class, verdict) =
        if outcome.failure.is_some() { ("fails", "does not hold") } else { ("holds", "holds") };
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "<section class=\"{class}\"><h2>{}: {verdict}</h2><p class=\"claim\">{}</p>\n<div class=\"line\"><div class=\"took\" style=\"width:{:.1}%\"></div>",
        escaped(outcome.name),
        escaped(outcome.claim),
        percent(outcome.seconds)
    );
    for moment in &outcome.moments {
        let _ = write!(text, "<i style=\"left:{:.1}%\"></i>", percent(*moment));
    }
    let _ = write!(text, "<b>{:.1} s</b></div>\n<ul>", outcome.seconds);
    for (number, line) in outcome.evidence.iter().enumerate() {
        // What a scenario notes by itself has no moment.
        let known = outcome.moments.len() == outcome.evidence.len();
        let moment = outcome
            .moments
            .get(number)
            .filter(|_| known)
            .map(|moment| format!("<span>{moment:.1} s</span> "));
        let _ = writeln!(text, "<li>{}{}</li>", moment.unwrap_or_default(), escaped(line));
    }
    text.push_str("</ul>\n");
    for failure in outcome.earlier_failures.iter().chain(&outcome.failure) {
        let _ = writeln!(text, "<pre>{}</pre>", escaped(failure));
    }
    text.push_str("</section>\n");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

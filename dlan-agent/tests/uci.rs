//! The UCI reader, feature by feature, as libuci reads the same text.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
// A test that cannot go on is a test that failed.

use dlan_agent::config::uci::{self, Document};

fn read(text: &str) -> Document {
    let (document, errors) = uci::decode(text);
    assert_eq!(errors, [], "{text}");
    document
}

/// Returns the value of the option `x` that is written as `written`.
fn value(written: &str) -> Option<String> {
    let document = read(&format!("config a\n\toption x {written}"));
    document.sections[0].entries.first().map(|entry| entry.value.clone())
}

/// Returns each error's place and words.
fn errors(text: &str) -> Vec<(usize, usize, String)> {
    let (_, errors) = uci::decode(text);
    errors.into_iter().map(|error| (error.line, error.column, error.problem.to_string())).collect()
}

#[test]
fn values_are_read_in_every_quoting() {
    for (written, expected) in [
        ("5", "5"),
        ("'5'", "5"),
        ("\"5\"", "5"),
        ("'a b'", "a b"),
        ("\"a # b\"", "a # b"),
        ("a'b c'\"d e\"f", "ab cd ef"),
        (r"'don'\''t'", "don't"),
        (r#""say \"x\" \\ y""#, r#"say "x" \ y"#),
        (r"'back\slash'", r"back\slash"),
        (r"a\ b", "a b"),
        (r"a\#b", "a#b"),
        ("a#comment", "a"),
        ("'a'#comment", "a"),
        ("a # comment 'with a quote", "a"),
        ("a\\\nb", "ab"),
        ("a\\\r\nb", "ab"),
        ("\"a\\\nb\"", "ab"),
        ("'a\nb'", "a\nb"),
        ("\"a\nb\"", "a\nb"),
        ("a \\", "a"),
        ("'ünïcode'", "ünïcode"),
    ] {
        assert_eq!(value(written).as_deref(), Some(expected), "{written}");
    }
}

#[test]
fn an_empty_value_is_no_option() {
    for written in ["", "''", "\"\"", "# comment", "''\"\"", "\\\n"] {
        assert_eq!(value(written), None, "{written:?}");
    }
}

#[test]
fn keywords_may_be_one_letter_and_names_may_be_quoted() {
    let document = read("p dlan\nc 'mesh' \"m\"\no 'x' 1\nl x 2\n");
    assert_eq!(document.package, Some(("dlan".to_owned(), 1)));
    let section = &document.sections[0];
    assert_eq!((section.kind.as_str(), section.name.as_deref()), ("mesh", Some("m")));
    let entries: Vec<_> =
        section.entries.iter().map(|e| (e.is_list, e.name.as_str(), e.value.as_str())).collect();
    assert_eq!(entries, [(false, "x", "1"), (true, "x", "2")]);
}

#[test]
fn a_section_without_a_name_is_anonymous() {
    let document = read("config a\nconfig b ''\nconfig c 'd'");
    let names: Vec<_> = document.sections.iter().map(|section| section.name.as_deref()).collect();
    assert_eq!(names, [None, None, Some("d")]);
}

#[test]
fn lines_are_counted_through_comments_and_joined_lines() {
    let document = read("# one\n\nconfig a # three\n\toption x \"1\\\n\\\n\"\n\toption y 2\n");
    let lines: Vec<_> = document.sections[0].entries.iter().map(|entry| entry.line).collect();
    assert_eq!((document.sections[0].line, lines), (3, vec![4, 7]));
}

#[test]
fn a_forgotten_quote_is_told_where_it_opens_and_costs_one_option_only() {
    for mark in ["'", "\""] {
        let text = format!("config a\n\toption x {mark}1\n\n\toption y '2'\n\toption z '3\n");
        let (document, found) = uci::decode(&text);
        let names: Vec<_> = document.sections[0].entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["y"]);
        let places: Vec<_> = found.iter().map(|error| (error.line, error.column)).collect();
        assert_eq!(places, [(2, 11), (5, 11)]);
    }
}

#[test]
fn a_line_that_cannot_be_read_does_not_hide_the_errors_behind_it() {
    let text = "config a\n\toptoin x 1\n\toption y 2 3\n\toption 'a b' 4\n\toption z 5; option w 6\n";
    let places: Vec<_> = errors(text).into_iter().map(|(line, column, _)| (line, column)).collect();
    assert_eq!(places, [(2, 2), (3, 13), (4, 9), (5, 12)]);
}

#[test]
fn options_below_a_section_that_cannot_be_read_are_nobody_s() {
    for line in ["config", "config 'a b'", "config a 'b-c'", "config a b c", "confg a b"] {
        let (document, found) = uci::decode(&format!("config first\n{line}\n\toption x 1\n"));
        assert_eq!(found.len(), 1, "{line}");
        assert!(document.sections[0].entries.is_empty(), "{line}");
        assert!(document.sections[1].broken, "{line}");
    }
}

#[test]
fn a_control_character_ends_the_reading() {
    let (document, found) = uci::decode("config a\n\toption x '\u{1b}[2J'\n");
    assert_eq!(document, Document::default());
    assert_eq!((found[0].line, found[0].column), (2, 12));
    assert_eq!(found[0].problem.to_string(), "this is not text: it has the control character U+001B");
}

//! Any text is read to its end; what was read means the same when it is written as libuci writes it.
#![no_main]

use dlan_agent::config::uci::{self, Document, quote};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (document, errors) = uci::decode(text);
    let lines = text.split('\n').count();
    assert!(errors.iter().all(|error| (1..=lines).contains(&error.line)));
    if errors.is_empty() {
        let (again, errors) = uci::decode(&write(&document));
        // A value that runs over lines may look like a forgotten quote.
        assert!(text.contains('\n') || errors.is_empty());
        assert!(!errors.is_empty() || without_lines(again) == without_lines(document));
    }
});

fn write(document: &Document) -> String {
    let mut text = String::new();
    if let Some((name, _)) = &document.package {
        text.push_str(&format!("package {}\n", quote(name)));
    }
    for section in &document.sections {
        let name = section.name.as_deref().map(quote).unwrap_or_default();
        text.push_str(&format!("\nconfig {} {name}\n", quote(&section.kind)));
        for entry in &section.entries {
            let keyword = if entry.is_list { "list" } else { "option" };
            text.push_str(&format!("\t{keyword} {} {}\n", entry.name, quote(&entry.value)));
        }
    }
    text
}

fn without_lines(mut document: Document) -> Document {
    if let Some((_, line)) = &mut document.package {
        *line = 0;
    }
    for section in &mut document.sections {
        section.line = 0;
        section.entries.iter_mut().for_each(|entry| entry.line = 0);
    }
    document
}

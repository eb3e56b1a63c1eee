//! Reads the UCI file format into sections and options, each with the line it stands on.
//!
//! The format is libuci's: keywords `package`, `config`, `option` and `list` (or their first letters), words that are
//! bare, in single or in double quotes, with adjacent parts joined; a backslash takes the next character as it is, and
//! joins lines at a line's end; `#` starts a comment even right after a bare word; an empty value is no option at all.
//! Two departures, both errors where libuci goes on: a bare `;`, behind which libuci reads some commands and drops
//! others; and a quoted value that runs on into a line that looks like a command, because that is a forgotten quote: the
//! error is where the quote opens, and the rest of the file is read as it was meant.

use super::problem::Problem;
use super::suggest::nearest;

/// The largest file that is read, in octets: room for a thousand links.
pub const FILE_OCTETS_MAX: usize = 256 * 1024;

const KEYWORDS: [&str; 4] = ["package", "config", "option", "list"];

/// A file as its sections, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The `package` command's name and line.
    pub package: Option<(String, usize)>,
    /// The sections, in the order of the file.
    pub sections: Vec<Section>,
}

/// One `config` command with the options below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The kind of section: the first word after `config`.
    pub kind: String,
    /// The section's name; `None` for an anonymous section.
    pub name: Option<String>,
    /// The line of the `config` command, from 1.
    pub line: usize,
    /// Whether the `config` command could not be read, so that what is below it means nothing.
    pub broken: bool,
    /// The options and list items with a value, in the order of the file.
    pub entries: Vec<Entry>,
}

/// One `option` or `list` command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whether it was written with `list`.
    pub is_list: bool,
    /// The option's name.
    pub name: String,
    /// The value, never empty.
    pub value: String,
    /// The line of the command, from 1.
    pub line: usize,
}

/// A place where the text is not UCI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// Reads a text as far as it can be read, and tells every place where it cannot.
pub fn decode(text: &str) -> (Document, Vec<SyntaxError>) {
    let mut decoder = Decoder {
        lexer: Lexer { rest: text, line: 1, column: 1 },
        document: Document::default(),
        errors: Vec::new(),
    };
    if let Some(error) = first_control_character(text) {
        decoder.errors.push(error);
    } else {
        decoder.decode_commands();
    }
    (decoder.document, decoder.errors)
}

/// Returns `value` as libuci writes it: in single quotes, a single quote within as `'\''`.
pub fn quote(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Returns whether a text can be the name of a section or an option.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_kind(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

fn first_control_character(text: &str) -> Option<SyntaxError> {
    text.split('\n').enumerate().find_map(|(index, line)| {
        let bad = |&(_, c): &(usize, char)| c.is_control() && c != '\t' && c != '\r';
        line.chars().enumerate().find(bad).map(|(column, character)| SyntaxError {
            line: index + 1,
            column: column + 1,
            problem: Problem::ControlCharacter { code: u32::from(character) },
        })
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
}

struct Word {
    text: String,
    place: Place,
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl Lexer<'_> {
    fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let character = chars.next()?;
        self.rest = chars.as_str();
        if character == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(character)
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|c| c != '\n' && is_space(c)) {
            self.bump();
        }
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|c| c != '\n') {
            self.bump();
        }
    }

    fn keyword(&mut self) -> Word {
        let place = self.place();
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|&c| !is_space(c)) {
            text.push(c);
            self.bump();
        }
        Word { text, place }
    }

    /// Reads the next word of a command; `Ok(None)` at the command's end.
    fn word(&mut self) -> Result<Option<Word>, SyntaxError> {
        self.skip_blanks();
        let place = self.place();
        let mut text = String::new();
        let mut is_word = false;
        loop {
            match self.peek() {
                Some(mark @ ('\'' | '"')) => self.quoted(mark, &mut text)?,
                Some('\\') => self.escape(&mut text),
                Some(';') => {
                    let Place { line, column } = self.place();
                    return Err(SyntaxError { line, column, problem: Problem::Semicolon });
                }
                Some('#') | None => break,
                Some(c) if is_space(c) => break,
                Some(c) => {
                    text.push(c);
                    self.bump();
                }
            }
            is_word = true;
        }
        Ok(is_word.then_some(Word { text, place }))
    }

    fn quoted(&mut self, mark: char, text: &mut String) -> Result<(), SyntaxError> {
        let Place { line, column } = self.place();
        let unclosed = SyntaxError { line, column, problem: Problem::UnclosedQuote { mark } };
        self.bump();
        loop {
            match self.peek() {
                None => return Err(unclosed),
                Some(c) if c == mark => {
                    self.bump();
                    return Ok(());
                }
                Some('\\') if mark == '"' => self.escape(text),
                Some(c) => {
                    text.push(c);
                    self.bump();
                    if c == '\n' && begins_with_command(self.rest) {
                        return Err(unclosed);
                    }
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) {
        self.bump();
        if self.rest.starts_with("\r\n") {
            self.bump();
        }
        match self.bump() {
            None | Some('\n') => {}
            Some(c) => text.push(c),
        }
    }
}

/// Returns whether libuci's `isspace` holds.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn begins_with_command(text: &str) -> bool {
    let line = text.split('\n').next().unwrap_or_default();
    let mut words = line.split_ascii_whitespace();
    words.next().is_some_and(|word| KEYWORDS.contains(&word)) && words.next().is_some()
}

struct Decoder<'a> {
    lexer: Lexer<'a>,
    document: Document,
    errors: Vec<SyntaxError>,
}

impl Decoder<'_> {
    fn decode_commands(&mut self) {
        loop {
            self.lexer.skip_blanks();
            match self.lexer.peek() {
                None => return,
                Some('\n') => {
                    self.lexer.bump();
                }
                Some('#') => self.lexer.skip_line(),
                Some(_) => self.decode_command(),
            }
        }
    }

    fn decode_command(&mut self) {
        let keyword = self.lexer.keyword();
        match keyword.text.as_str() {
            "package" | "p" => self.decode_package(keyword.place),
            "config" | "c" => self.decode_section(keyword.place),
            "option" | "o" => self.decode_entry(keyword.place, false),
            "list" | "l" => self.decode_entry(keyword.place, true),
            _ => {
                let suggestion = nearest(&keyword.text, KEYWORDS);
                if suggestion.as_deref() == Some("config") {
                    self.open_section(keyword.place.line, None, None);
                }
                self.refuse(keyword.place, Problem::UnknownKeyword { word: keyword.text, suggestion });
                self.lexer.skip_line();
            }
        }
    }

    /// Reads the words of one command, at most `most`; a command that cannot be read is told and gives `None`.
    fn words(&mut self, most: usize) -> Option<Vec<Word>> {
        let mut words = Vec::new();
        loop {
            match self.lexer.word() {
                Err(error) => {
                    if error.problem == Problem::Semicolon {
                        self.lexer.skip_line();
                    }
                    self.errors.push(error);
                    return None;
                }
                Ok(None) => {
                    if self.lexer.peek() == Some('#') {
                        self.lexer.skip_line();
                    }
                    return Some(words);
                }
                Ok(Some(word)) if words.len() == most && word.text.is_empty() => {}
                Ok(Some(word)) if words.len() == most => {
                    self.refuse(word.place, Problem::TooManyWords { word: word.text });
                    self.lexer.skip_line();
                    return None;
                }
                Ok(Some(word)) => words.push(word),
            }
        }
    }

    fn decode_package(&mut self, place: Place) {
        let Some(words) = self.words(1) else { return };
        let Some(name) = words.into_iter().next() else {
            return self.refuse(place, Problem::PackageWithoutName);
        };
        if self.document.package.is_some() || !self.document.sections.is_empty() {
            return self.refuse(place, Problem::PackageNotFirst);
        }
        self.document.package = Some((name.text, place.line));
    }

    fn decode_section(&mut self, place: Place) {
        let Some(words) = self.words(2) else {
            return self.open_section(place.line, None, None);
        };
        let mut words = words.into_iter();
        let kind = words.next().filter(|kind| !kind.text.is_empty());
        let name = words.next().filter(|name| !name.text.is_empty());
        let Some(kind) = kind else {
            self.refuse(place, Problem::SectionWithoutKind);
            return self.open_section(place.line, None, None);
        };
        if !is_kind(&kind.text) {
            self.refuse(kind.place, Problem::BadKind { word: kind.text });
            return self.open_section(place.line, None, None);
        }
        if let Some(name) = name.as_ref().filter(|name| !is_name(&name.text)) {
            let word = name.text.clone();
            self.refuse(name.place, Problem::BadSectionName { word });
            return self.open_section(place.line, None, None);
        }
        self.open_section(place.line, Some(kind.text), name.map(|name| name.text));
    }

    fn open_section(&mut self, line: usize, kind: Option<String>, name: Option<String>) {
        self.document.sections.push(Section {
            broken: kind.is_none(),
            kind: kind.unwrap_or_default(),
            name,
            line,
            entries: Vec::new(),
        });
    }

    fn decode_entry(&mut self, place: Place, is_list: bool) {
        let Some(words) = self.words(2) else { return };
        let mut words = words.into_iter();
        let Some(name) = words.next() else {
            return self.refuse(place, Problem::OptionWithoutName { is_list });
        };
        if !is_name(&name.text) {
            return self.refuse(name.place, Problem::BadOptionName { word: name.text });
        }
        let Some(section) = self.document.sections.last_mut() else {
            return self.refuse(place, Problem::BeforeFirstSection { option: name.text });
        };
        if let Some(value) = words.next().filter(|value| !value.text.is_empty()) {
            section.entries.push(Entry { is_list, name: name.text, value: value.text, line: place.line });
        }
    }

    fn refuse(&mut self, place: Place, problem: Problem) {
        let Place { line, column } = place;
        self.errors.push(SyntaxError { line, column, problem });
    }
}

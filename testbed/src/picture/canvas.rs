//! A sheet of character cells on which lines join where they meet.

use super::Look;
use crate::console::Console;

const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    lines: u8,
    letter: Option<char>,
    look: Look,
}

/// A sheet of character cells.
#[derive(Debug)]
pub struct Canvas {
    width: usize,
    cells: Vec<Cell>,
}

impl Canvas {
    /// Returns an empty sheet.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, cells: vec![Cell::default(); width * height] }
    }

    /// Draws a horizontal line from one column to another.
    pub fn horizontal(&mut self, y: usize, (from, to): (usize, usize), look: Look) {
        let (from, to) = (from.min(to), from.max(to));
        for x in from..=to {
            let left = if x > from { LEFT } else { 0 };
            let right = if x < to { RIGHT } else { 0 };
            self.join((x, y), left | right, look);
        }
    }

    /// Draws a vertical line from one row to another.
    pub fn vertical(&mut self, x: usize, (from, to): (usize, usize), look: Look) {
        let (from, to) = (from.min(to), from.max(to));
        for y in from..=to {
            let up = if y > from { UP } else { 0 };
            let down = if y < to { DOWN } else { 0 };
            self.join((x, y), up | down, look);
        }
    }

    /// Draws a box.
    pub fn frame(&mut self, (x, y): (usize, usize), (width, height): (usize, usize), look: Look) {
        let (right, bottom) = (x + width - 1, y + height - 1);
        self.horizontal(y, (x, right), look);
        self.horizontal(bottom, (x, right), look);
        self.vertical(x, (y, bottom), look);
        self.vertical(right, (y, bottom), look);
    }

    /// Writes over whatever is there.
    pub fn write(&mut self, (x, y): (usize, usize), text: &str, look: Look) {
        for (offset, letter) in text.chars().enumerate() {
            if let Some(cell) = self.cell((x + offset, y)) {
                *cell = Cell { lines: 0, letter: Some(letter), look };
            }
        }
    }

    /// Returns whether nothing but a horizontal line, or nothing, is in some cells of a row.
    pub fn is_free(&self, (x, y): (usize, usize), width: usize) -> bool {
        (x..x + width).all(|x| {
            let cell = self.cells.get(y * self.width + x).copied().unwrap_or_default();
            x < self.width && cell.letter.is_none() && cell.lines & (UP | DOWN) == 0
        })
    }

    /// Returns the sheet as lines of text.
    pub fn render(&self, console: Console) -> String {
        let mut text = String::new();
        for row in self.cells.chunks(self.width) {
            let used =
                row.iter().rposition(|cell| cell.letter.is_some() || cell.lines != 0).map_or(0, |at| at + 1);
            let mut rest = row.get(..used).unwrap_or_default();
            while let Some(first) = rest.first() {
                let same = rest.iter().take_while(|cell| cell.look == first.look).count();
                let (run, after) = rest.split_at(same);
                let letters: String = run.iter().map(Cell::shown).collect();
                text.push_str(&match first.look {
                    Look::Plain => letters,
                    Look::Way => console.way(&letters),
                    Look::Dead => console.bad(&letters),
                    Look::Around => console.faint(&letters),
                });
                rest = after;
            }
            text.push('\n');
        }
        text
    }

    fn join(&mut self, at: (usize, usize), lines: u8, look: Look) {
        if let Some(cell) = self.cell(at) {
            cell.lines |= lines;
            cell.letter = None;
            // Where lines cross, the one that tells more is seen.
            if cell.look != Look::Way || look == Look::Dead {
                cell.look = look;
            }
        }
    }

    fn cell(&mut self, (x, y): (usize, usize)) -> Option<&mut Cell> {
        if x >= self.width { None } else { self.cells.get_mut(y * self.width + x) }
    }
}

impl Cell {
    fn shown(&self) -> char {
        let dead = self.look == Look::Dead;
        self.letter.unwrap_or(match self.lines {
            0 => ' ',
            lines if lines & (UP | DOWN) == 0 => {
                if dead {
                    '╌'
                } else {
                    '─'
                }
            }
            lines if lines & (LEFT | RIGHT) == 0 => {
                if dead {
                    '╎'
                } else {
                    '│'
                }
            }
            lines => corner(lines),
        })
    }
}

fn corner(lines: u8) -> char {
    match (lines & UP != 0, lines & DOWN != 0, lines & LEFT != 0, lines & RIGHT != 0) {
        (false, true, false, _) => '┌',
        (false, true, true, false) => '┐',
        (true, false, false, _) => '└',
        (true, false, true, false) => '┘',
        (true, true, false, _) => '├',
        (true, true, true, false) => '┤',
        (false, _, true, true) => '┬',
        (true, false, true, true) => '┴',
        _ => '┼',
    }
}

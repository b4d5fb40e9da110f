//! Standard output: lines, tables and colour for people.

use std::io::{self, IsTerminal, Write};

use super::error::CliError;
use crate::service::is_unseen;

/// A colour of the terminal's own palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Blasts, and what is broken.
    Red,
    /// Normal cells.
    Green,
    /// Style of what needs attention.
    Yellow,
    /// Style of what matters less.
    Dim,
}

/// Standard output. A closed pipe ends the command quietly: see [`CliError::OutputClosed`].
#[derive(Debug)]
pub(super) struct Output {
    colour: bool,
}

impl Output {
    /// Standard output, in colour on a terminal where `NO_COLOR` (no-color.org) is not set.
    #[must_use]
    pub(super) fn new() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: !refused && io::stdout().is_terminal() }
    }

    /// Writes one line, at once.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub(super) fn line(&self, text: &str) -> Result<(), CliError> {
        self.raw(format!("{text}\n").as_bytes())
    }

    /// Writes these bytes, at once.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub(super) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| CliError::output(&error))
    }

    /// The text in a colour, where there are colours. Pad first: the codes have no width.
    #[must_use]
    pub(super) fn paint(&self, colour: Colour, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Dim => 2,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a remark to standard error, where progress and warnings go. A closed standard error is
/// nothing to stop for.
pub(super) fn remark(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// The text with characters as escapes that nobody sees: a file name must not steer the terminal
/// that shows it, nor a name look like another.
#[must_use]
pub(super) fn clean(text: &str) -> String {
    if !text.contains(is_unseen) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let escape = is_unseen(c);
            let escaped = escape.then(|| c.escape_default()).into_iter().flatten();
            escaped.chain((!escape).then_some(c))
        })
        .collect()
}

/// Columns of plain text, aligned to the left, two blanks between them. Cells are cleaned.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<(Vec<String>, Option<Colour>)>,
}

impl Table {
    /// A table with this first row.
    #[must_use]
    pub(super) fn new(header: &[&str]) -> Self {
        let header = header.iter().map(|cell| (*cell).to_owned()).collect();
        Self { rows: vec![(header, Some(Colour::Dim))] }
    }

    /// Adds a row, all of it in one colour.
    pub(super) fn row(&mut self, cells: Vec<String>, colour: Option<Colour>) {
        self.rows.push((cells.iter().map(|cell| clean(cell)).collect(), colour));
    }

    /// No rows but the first.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// Writes it.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub(super) fn print(&self, out: &Output) -> Result<(), CliError> {
        let columns = self.rows.iter().map(|(cells, _)| cells.len()).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|(cells, _)| cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (cells, colour) in &self.rows {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            let line = padded.join("  ");
            let line = line.trim_end();
            text += &colour.map_or_else(|| line.to_owned(), |colour| out.paint(colour, line));
            text.push('\n');
        }
        out.raw(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_steer_the_terminal() {
        assert_eq!(clean("a\x1b[2J\nb"), "a\\u{1b}[2J\\nb");
        assert_eq!(clean("größe µ.bmp"), "größe µ.bmp");
    }

    #[test]
    fn a_name_cannot_turn_its_line_round() {
        let mut table = Table::new(&["SPECIMEN"]);
        table.row(vec!["a\u{202e}b\u{2066}c\u{200b}".to_owned()], None);
        assert_eq!(table.rows[1].0, ["a\\u{202e}b\\u{2066}c\\u{200b}"]);
    }
}

//! An answer: what a command puts on standard output, as text, as a table, or for a program.

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::cli::explain;
use crate::cli::output::{self, sanitize};
use crate::cli::problem::Problem;

/// Prints an answer on standard output.
pub(crate) fn print(text: &str) -> Result<(), Problem> {
    output::data(text).map_err(|error| explain::output(&error))
}

/// Prints an answer for a program.
pub(crate) fn print_json(answer: &impl Serialize) -> Result<(), Problem> {
    print(&serde_json::to_string_pretty(answer).expect("plain values become JSON"))
}

/// Lays out rows in columns, without lines. `right` names the columns of numbers.
pub(crate) fn table(rows: impl IntoIterator<Item = Vec<String>>, right: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in rows {
        table.add_row(row.iter().map(|cell| sanitize(cell)));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { 1 }, 1));
        if right.contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_and_is_harmless() {
        let rows = [["verified", "9 files"], ["a\x1b[2J", "1,000 files"]];
        let table = table(rows.map(|row| row.map(str::to_owned).to_vec()), &[1]);
        assert_eq!(table, "verified      9 files\na\u{fffd}[2J     1,000 files");
    }
}

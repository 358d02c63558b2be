//! Tables of text with aligned columns.

/// To which side a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows with their columns aligned, two spaces between columns and none at the end of a line.
pub(crate) fn table(rows: &[Vec<String>], columns: &[Align]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(columns).zip(&widths).map(|((cell, align), width)| match align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Align, table};

    #[test]
    fn words_lean_left_and_numbers_right() {
        let rows = [["POOL", "NODES"], ["a-long-name", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[Align::Left, Align::Right]), "POOL         NODES\na-long-name      7\n");
    }
}

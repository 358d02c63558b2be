//! Tables of text with aligned columns.

/// To which side a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows with their columns aligned, two spaces between columns and none at the end of a line.
#[must_use]
pub fn table(rows: &[Vec<String>], columns: &[Align]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(columns).zip(&widths).map(|((cell, align), width)| match align {
            Align::Left => format!("{cell}{}", " ".repeat(width - cell.chars().count())),
            Align::Right => format!("{}{cell}", " ".repeat(width - cell.chars().count())),
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
    fn a_column_may_be_wider_than_formatting_can_pad() {
        let long = "x".repeat(100_000);
        let rows = [vec![long.clone(), "1".to_owned()], vec!["a".to_owned(), "22".to_owned()]];
        let wanted = format!("{long}   1\na{}  22\n", " ".repeat(99_999));
        assert_eq!(table(&rows, &[Align::Left, Align::Right]), wanted);
    }

    #[test]
    fn words_lean_left_and_numbers_right() {
        let rows = [["POOL", "NODES"], ["a-long-name", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows, &[Align::Left, Align::Right]), "POOL         NODES\na-long-name      7\n");
    }
}

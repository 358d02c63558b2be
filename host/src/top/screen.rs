//! The screen of `whittle top`: a line on the whole, the nodes, and below them what comes next and what was said last.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, TableState, Wrap};
use whittle_control::overview::Overview;

use super::cells::{COLUMNS, Order, next, row, summary};

/// How wide each column is; the first takes what is left.
const WIDTHS: [Constraint; 11] = [
    Constraint::Min(20),
    Constraint::Max(22),
    Constraint::Length(17),
    Constraint::Length(16),
    Constraint::Length(9),
    Constraint::Length(8),
    Constraint::Length(5),
    Constraint::Length(6),
    Constraint::Length(4),
    Constraint::Length(4),
    Constraint::Length(9),
];

/// What is on the screen.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) overview: Overview,
    /// What was said about nodes and pods, the newest first.
    pub(super) said: Vec<String>,
    /// What is wrong, such as an API server that does not answer.
    pub(super) trouble: Option<String>,
    pub(super) order: Order,
    /// The node that is selected, and how far the table is scrolled.
    pub(super) place: TableState,
}

impl Screen {
    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let rows =
            [Constraint::Length(1), Constraint::Min(5), Constraint::Percentage(35), Constraint::Length(1)];
        let [head, nodes, below, foot] = Layout::vertical(rows).areas(frame.area());
        let [coming, said] = Layout::horizontal([Constraint::Percentage(50); 2]).areas(below);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Paragraph::new(summary(&self.overview)).style(bold), head);
        let lines = self.order.sorted(&self.overview.nodes).into_iter().map(|node| {
            let style = match node.state {
                "leaving" => Style::new().fg(Color::Red),
                "launching" | "booting" | "not ready" => Style::new().fg(Color::Yellow),
                "quiet" => Style::new().fg(Color::Cyan),
                _ => Style::new(),
            };
            Row::new(row(node)).style(style)
        });
        let table = Table::new(lines, WIDTHS)
            .header(Row::new(COLUMNS).style(bold))
            .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
        frame.render_stateful_widget(table, nodes, &mut self.place);
        frame.render_widget(list("Next, if nothing changes", &next(&self.overview)), coming);
        frame.render_widget(list("Last", &self.said), said);
        let keys = format!("q quit · ↑ ↓ PgUp PgDn move · s sort (now: {})", self.order.name());
        let foot_line = match &self.trouble {
            Some(trouble) => Paragraph::new(trouble.as_str()).style(Style::new().fg(Color::Red)),
            None => Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)),
        };
        frame.render_widget(foot_line, foot);
    }
}

fn list<'a>(title: &'a str, lines: &'a [String]) -> Paragraph<'a> {
    let lines: Vec<Line<'a>> = if lines.is_empty() {
        vec![Line::from("nothing")]
    } else {
        lines.iter().map(|line| Line::from(line.as_str())).collect()
    };
    Paragraph::new(lines).wrap(Wrap { trim: false }).block(Block::new().borders(Borders::TOP).title(title))
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use whittle_control::overview::{Fill, NextMove, NodeRow, Overview};
    use whittle_core::model::instance_type::CapacityType;
    use whittle_core::model::price::Price;
    use whittle_core::model::time::Duration;

    use super::super::cells::Order;
    use super::Screen;

    fn node(name: &str, cpu: u64, price: u64) -> NodeRow {
        NodeRow {
            name: name.into(),
            node_pool: "general".into(),
            instance_type: Some("m7i.large".into()),
            zone: Some("ap-northeast-2a".into()),
            capacity_type: Some(CapacityType::Spot),
            price: Price::from_micros(price),
            fill: Fill { cpu, memory: 400 },
            pods: 3,
            age: Duration::from_secs(60),
            state: "in use",
        }
    }

    fn drawn(order: Order) -> Vec<String> {
        let what = "take a away: it has no pods of its own".to_owned();
        let overview = Overview {
            nodes: vec![node("a", 900, 10_000), node("b", 100, 90_000)],
            pods: 6,
            waiting: 1,
            price: Price::from_micros(100_000),
            fill: Fill { cpu: 500, memory: 400 },
            next: vec![NextMove { within: Duration::from_secs(15), what }],
            ..Overview::default()
        };
        let mut screen = Screen { overview, order, ..Screen::default() };
        let mut terminal = Terminal::new(TestBackend::new(120, 14)).expect("a terminal in memory");
        terminal.draw(|frame| screen.draw(frame)).expect("a terminal in memory");
        let text = terminal.backend().to_string();
        text.lines().map(|line| line.trim_matches(['"', ' ']).to_owned()).collect()
    }

    #[test]
    fn the_screen_shows_the_whole_the_nodes_and_what_comes_next() {
        let lines = drawn(Order::NodePool);
        assert_eq!(lines[0], "2 nodes · cpu 50 % · memory 40 % · $0.1000/h · 6 pods, 1 wait");
        assert!(lines[1].starts_with("NODE ") && lines[1].ends_with("STATE"), "{lines:#?}");
        assert!(lines[2].starts_with("a ") && lines[3].starts_with("b "), "{lines:#?}");
        for word in ["m7i.large", "ap-northeast-2a", "spot", "$0.0100", "90 %", "40 %", "60s", "in use"] {
            assert!(lines[2].contains(word), "{word} is missing: {}", lines[2]);
        }
        assert!(lines.iter().any(|line| line.starts_with("in 15s: take a away")), "{lines:#?}");
    }

    #[test]
    fn nodes_are_sorted_as_asked() {
        let first = |order| drawn(order)[2].chars().next();
        assert_eq!([first(Order::Emptiest), first(Order::Dearest)], [Some('b'), Some('b')]);
        assert_eq!(first(Order::Youngest), Some('a'), "the same age keeps its place");
    }
}

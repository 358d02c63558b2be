//! What `whittle top` shows, in words: for a screen and for a text alike.

use std::cmp::Reverse;

use whittle_control::overview::{Fill, NodeRow, Overview};
use whittle_core::model::time::Duration;

/// The columns of the table of nodes.
pub(super) const COLUMNS: [&str; 11] =
    ["NODE", "NODEPOOL", "TYPE", "ZONE", "BOUGHT", "PRICE/H", "CPU", "MEMORY", "PODS", "AGE", "STATE"];

/// What nodes are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Order {
    #[default]
    NodePool,
    Emptiest,
    Dearest,
    Youngest,
}

impl Order {
    pub(super) const fn next(self) -> Self {
        match self {
            Self::NodePool => Self::Emptiest,
            Self::Emptiest => Self::Dearest,
            Self::Dearest => Self::Youngest,
            Self::Youngest => Self::NodePool,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NodePool => "NodePool",
            Self::Emptiest => "emptiest first",
            Self::Dearest => "dearest first",
            Self::Youngest => "youngest first",
        }
    }

    /// The nodes in this order.
    pub(super) fn sorted(self, nodes: &[NodeRow]) -> Vec<&NodeRow> {
        let mut sorted: Vec<&NodeRow> = nodes.iter().collect();
        match self {
            Self::NodePool => {}
            Self::Emptiest => sorted.sort_by_key(|row| row.fill.cpu.max(row.fill.memory)),
            Self::Dearest => sorted.sort_by_key(|row| Reverse(row.price)),
            Self::Youngest => sorted.sort_by_key(|row| row.age),
        }
        sorted
    }
}

/// What a cluster is about, in one line.
pub(super) fn summary(overview: &Overview) -> String {
    let Overview { nodes, other_nodes, pods, waiting, price, fill, unclear, .. } = overview;
    let not_understood = match unclear.len() {
        0 => String::new(),
        1 => " · 1 object is not understood".to_owned(),
        count => format!(" · {count} objects are not understood"),
    };
    let others = if *other_nodes > 0 { format!(" and {other_nodes} not ours") } else { String::new() };
    let Fill { cpu, memory } = fill;
    format!(
        "{} nodes{others} · cpu {} · memory {} · {price}/h · {pods} pods, {waiting} wait{not_understood}",
        nodes.len(),
        percent(*cpu),
        percent(*memory)
    )
}

/// A node as a row of the table.
pub(super) fn row(node: &NodeRow) -> [String; 11] {
    let or_dash = |text: Option<&str>| text.unwrap_or("–").to_owned();
    [
        node.name.clone(),
        node.node_pool.clone(),
        or_dash(node.instance_type.as_deref()),
        or_dash(node.zone.as_deref()),
        node.capacity_type.map_or_else(|| "–".to_owned(), |one| one.to_string()),
        node.price.to_string(),
        percent(node.fill.cpu),
        percent(node.fill.memory),
        node.pods.to_string(),
        age(node.age),
        node.state.to_owned(),
    ]
}

/// What would be done next, a line each.
pub(super) fn next(overview: &Overview) -> Vec<String> {
    let moves = overview.next.iter().map(|one| format!("in {:>3}: {}", age(one.within), one.what));
    let waits = overview.unplaced.iter().map(|one| format!("no place for {one}"));
    moves.chain(waits).collect()
}

fn percent(thousandths: u64) -> String {
    format!("{} %", thousandths.saturating_add(5) / 10)
}

/// A span in its largest unit, as `kubectl get` shows ages.
pub(super) fn age(span: Duration) -> String {
    let seconds = span.millis() / 1_000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

//! Nodes that stay at the end, by what keeps them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whittle_core::why::{Blocker, MoveBlocked};

use super::Detail;
use crate::words::counted;

/// How many nodes of one reason are named where nobody asked for all of them.
const NODES_NAMED_MAX: usize = 10;

/// The nodes reason by reason, those of the same kind of reason together.
pub(super) fn text(blocked: &[MoveBlocked], detail: Detail) -> String {
    let mut text = String::new();
    if blocked.is_empty() {
        return text;
    }
    text.push_str("\nNodes that stay at the end\n");
    let mut groups: BTreeMap<&str, Vec<&MoveBlocked>> = BTreeMap::new();
    for one in blocked {
        groups.entry(reason(&one.why)).or_default().push(one);
    }
    for (reason, nodes) in groups {
        let named = match detail {
            Detail::Compact => nodes.len().min(NODES_NAMED_MAX),
            Detail::Verbose => nodes.len(),
        };
        let _ = writeln!(text, "  {reason}: {}", counted(nodes.len() as u64, "node"));
        for one in &nodes[..named] {
            let _ = writeln!(text, "    {}: {}", one.claim, one.why);
        }
        if named < nodes.len() {
            let _ = writeln!(text, "    … and {} more", nodes.len() - named);
        }
    }
    text
}

/// What kind of thing keeps a node, in a few words.
fn reason(why: &Blocker) -> &'static str {
    match why {
        Blocker::NodeDoNotDisrupt => "the node asks to be left alone",
        Blocker::PodDoNotDisrupt { .. } => "a pod asks to be left alone",
        Blocker::PodDisruptionBudget { .. } => "a PodDisruptionBudget allows no eviction",
        Blocker::NodePoolBudget { .. } => "the NodePool's disruption budget is used up",
        Blocker::PodsFitNowhere { .. } => "a pod fits on no other node",
        Blocker::Policy { .. } => "a policy is against it",
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocker, Detail, MoveBlocked, text};

    #[test]
    fn nodes_are_grouped_by_reason_and_ten_of_each_are_named() {
        let mut blocked = vec![MoveBlocked { claim: "own".into(), why: Blocker::NodeDoNotDisrupt }];
        blocked.extend((0..1_000).map(|number| MoveBlocked {
            claim: format!("n{number}"),
            why: Blocker::PodsFitNowhere { pod: format!("shop/web-{number}") },
        }));
        let compact = text(&blocked, Detail::Compact);
        let lines: Vec<&str> = compact.lines().collect();
        assert_eq!(
            lines[1..5],
            [
                "Nodes that stay at the end",
                "  a pod fits on no other node: 1000 nodes",
                "    n0: pod shop/web-0 fits on no other node",
                "    n1: pod shop/web-1 fits on no other node",
            ]
        );
        assert_eq!(
            lines[13..],
            [
                "    … and 990 more",
                "  the node asks to be left alone: 1 node",
                "    own: the node asks to be left alone (karpenter.sh/do-not-disrupt)",
            ]
        );
        assert_eq!(text(&blocked, Detail::Verbose).lines().count(), 1 + 1 + 2 + 1_001);
    }
}

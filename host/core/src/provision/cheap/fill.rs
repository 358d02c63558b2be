//! Which pods a node of one instance type would hold best: a proposal, on counts of units and in floats.
//!
//! Nothing here knows labels or rules beyond what units say of themselves: which types they may be on, in which zone, and
//! how many of them may share a node. Whether a proposal is legal is decided when it is carried out.

use crate::provision::cheap::duals::{Row, dot};

/// Pods that are alike to the packer: of one group, bound to one zone or to none.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) size: Row,
    /// How many are left.
    pub(crate) left: u32,
    /// How many may share a node.
    pub(crate) cap: u32,
    /// The zone that they are bound to.
    pub(crate) zone: Option<usize>,
}

/// How many of which items go together on a node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fill {
    pub(crate) items: Vec<(usize, u32)>,
    /// What they are worth together.
    pub(crate) worth: f64,
}

/// Fills a node with the items that may be on it, one after the other the one that goes best with the room that is left:
/// the largest first, and rather of what there is much of.
///
/// `may_join(item, with)`: whether an item may be on a node that has these already. `steps` is what the search may still
/// cost; it is counted down.
pub(crate) fn fill(
    capacity: &Row,
    (items, allowed): (&[Item], &[usize]),
    worth: &Row,
    may_join: impl Fn(usize, &[(usize, u32)]) -> bool,
    steps: &mut u64,
) -> Fill {
    let mut room = *capacity;
    let weight: Row =
        std::array::from_fn(|axis| if capacity[axis] > 0.0 { worth[axis] / capacity[axis] } else { 0.0 });
    let mut open: Vec<usize> = allowed.to_vec();
    let mut fill = Fill::default();
    while !open.is_empty() && *steps > 0 {
        *steps = steps.saturating_sub(open.len() as u64);
        // What a resource weighs grows with how much of it is left.
        let pull: Row = std::array::from_fn(|axis| weight[axis] * room[axis]);
        let mut best: Option<(f64, usize)> = None;
        open.retain(|item| {
            let size = &items[*item].size;
            if !fits(size, &room) {
                return false;
            }
            let score = dot(&pull, size);
            if best.is_none_or(|(most, _)| score > most) {
                best = Some((score, *item));
            }
            true
        });
        let Some((_, item)) = best else { break };
        open.retain(|other| *other != item || may_join(item, &fill.items));
        if !open.contains(&item) {
            continue;
        }
        let known = fill.items.iter().position(|(known, _)| *known == item);
        let so_far = known.map_or(0, |at| fill.items[at].1);
        let most = items[item]
            .left
            .min(items[item].cap)
            .saturating_sub(so_far)
            .min(copies(&items[item].size, &room));
        // Not all at once, so that others that go with it have their turn, and not one by one, which takes long.
        let count = most.div_ceil(4);
        if count == 0 {
            open.retain(|other| *other != item);
            continue;
        }
        for (room, size) in room.iter_mut().zip(&items[item].size) {
            *room -= size * f64::from(count);
        }
        match known {
            Some(at) => fill.items[at].1 += count,
            None => fill.items.push((item, count)),
        }
        fill.worth += dot(worth, &items[item].size) * f64::from(count);
        if so_far + count >= items[item].left.min(items[item].cap) {
            open.retain(|other| *other != item);
        }
    }
    fill
}

fn fits(size: &Row, room: &Row) -> bool {
    size.iter().zip(room).all(|(size, room)| size <= room)
}

/// How many of a size fit into a room.
fn copies(size: &Row, room: &Row) -> u32 {
    let each = size.iter().zip(room).filter(|(size, _)| **size > 0.0).map(|(size, room)| room / size);
    let most = each.fold(f64::from(u32::MAX), f64::min);
    // Saturates, and a fraction of a pod is none.
    most as u32
}

#[cfg(test)]
mod tests {
    use super::{Item, fill};
    use crate::provision::cheap::duals::Row;

    fn row(amounts: &[f64]) -> Row {
        std::array::from_fn(|axis| amounts.get(axis).copied().unwrap_or(0.0))
    }

    fn item(size: &[f64], left: u32, cap: u32) -> Item {
        Item { size: row(size), left, cap, zone: None }
    }

    fn filled(items: &[Item], capacity: &[f64]) -> Vec<(usize, u32)> {
        let allowed: Vec<_> = (0..items.len()).collect();
        let worth = row(&[1.0, 1.0]);
        let mut steps = 1_000_000;
        fill(&row(capacity), (items, &allowed), &worth, |_, _| true, &mut steps).items
    }

    #[test]
    fn pods_that_want_different_things_go_together() {
        let items = [item(&[3.0, 1.0], 9, 9), item(&[1.0, 3.0], 9, 9)];
        assert_eq!(filled(&items, &[8.0, 8.0]), [(0, 2), (1, 2)]);
    }

    #[test]
    fn no_more_pods_share_a_node_than_may() {
        assert_eq!(filled(&[item(&[1.0, 1.0], 9, 2)], &[8.0, 8.0]), [(0, 2)]);
    }

    #[test]
    fn small_pods_take_what_large_ones_leave() {
        let items = [item(&[1.0, 1.0], 9, 9), item(&[5.0, 5.0], 9, 9)];
        assert_eq!(filled(&items, &[8.0, 8.0]), [(1, 1), (0, 3)]);
    }

    #[test]
    fn what_does_not_go_together_is_not_put_together() {
        let items = [item(&[5.0, 5.0], 9, 9), item(&[1.0, 1.0], 9, 9)];
        let worth = row(&[1.0, 1.0]);
        let apart = |item: usize, with: &[(usize, u32)]| item == 0 || with.is_empty();
        let fill = fill(&row(&[8.0, 8.0]), (&items, &[0, 1]), &worth, apart, &mut 1_000);
        assert_eq!(fill.items, [(0, 1)]);
    }
}

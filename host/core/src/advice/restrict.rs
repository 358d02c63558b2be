//! The part of a question that is about some NodePools only, and its answer put back in its place.

use super::{Answer, Question, capacity, consolidation, interruption, taints};

/// A part of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The question that is left.
    pub question: Question,
    /// Where each thing that it is about stands in the whole question.
    pub places: Vec<usize>,
}

/// The part of `question` that is about NodePools for which `concerns` holds; `None` when there is none. Pods are
/// concerned when one of the NodePools that may host them is, a move when one of its nodes is.
#[must_use]
pub fn restrict(question: &Question, concerns: impl Fn(&str) -> bool) -> Option<Part> {
    let (question, places) = match question {
        Question::Choose(whole) => {
            let (groups, places) =
                kept(&whole.groups, |group| group.node_pools.iter().any(|pool| concerns(pool)));
            (Question::Choose(capacity::Question { market: whole.market.clone(), groups }), places)
        }
        Question::Dress(whole) => {
            let (groups, places) =
                kept(&whole.groups, |group| group.node_pools.iter().any(|pool| concerns(pool)));
            (Question::Dress(taints::DressQuestion { groups }), places)
        }
        Question::Review(whole) => {
            let (nodes, places) = kept(&whole.nodes, |node| concerns(&node.node_pool));
            (Question::Review(taints::ReviewQuestion { nodes }), places)
        }
        Question::JudgeOfferings(whole) => {
            let places =
                if concerns(&whole.node_pool) { (0..whole.offerings.len()).collect() } else { vec![] };
            (question.clone(), places)
        }
        Question::Rest(whole) => {
            let (nodes, places) = kept(&whole.nodes, |node| concerns(&node.node_pool));
            (Question::Rest(consolidation::RestQuestion { nodes }), places)
        }
        Question::JudgeMoves(whole) => {
            let is_concerned = |place: &u32| {
                usize::try_from(*place)
                    .ok()
                    .and_then(|place| whole.nodes.get(place))
                    .is_some_and(|node| concerns(&node.node_pool))
            };
            let (moves, places) = kept(&whole.moves, |found| found.nodes.iter().any(is_concerned));
            // The nodes stay as they are, so that the moves' places in them do.
            (Question::JudgeMoves(consolidation::MovesQuestion { nodes: whole.nodes.clone(), moves }), places)
        }
        Question::React(whole) => {
            let (notices, places) = kept(&whole.notices, |notice| concerns(&notice.node.node_pool));
            (Question::React(interruption::Question { notices }), places)
        }
    };
    (!places.is_empty()).then_some(Part { question, places })
}

fn kept<T: Clone>(all: &[T], is_kept: impl Fn(&T) -> bool) -> (Vec<T>, Vec<usize>) {
    all.iter()
        .enumerate()
        .filter(|(_, item)| is_kept(item))
        .map(|(place, item)| (item.clone(), place))
        .unzip()
}

/// The answer to a part, as an answer to the whole question. What the part is not about is left as without advice.
#[must_use]
pub fn widen(question: &Question, places: &[usize], answer: Answer) -> Answer {
    let mut whole = question.neutral();
    match (&mut whole, answer) {
        (Answer::Choose(whole), Answer::Choose(part)) => put(whole, places, part),
        (Answer::Dress(whole), Answer::Dress(part)) => put(whole, places, part),
        (Answer::Rest(whole), Answer::Rest(part)) => put(whole, places, part),
        (Answer::JudgeMoves(whole), Answer::JudgeMoves(part)) => put(whole, places, part),
        (Answer::React(whole), Answer::React(part)) => put(whole, places, part),
        (Answer::JudgeOfferings(whole), Answer::JudgeOfferings(part)) => *whole = part,
        (Answer::Review(whole), Answer::Review(part)) => {
            *whole = part;
            for change in whole {
                let place = usize::try_from(change.node).ok().and_then(|place| places.get(place));
                change.node = place.and_then(|place| u32::try_from(*place).ok()).unwrap_or(change.node);
            }
        }
        // `check` has refused an answer to another question.
        (_, _) => {}
    }
    whole
}

fn put<T>(whole: &mut [T], places: &[usize], part: Vec<T>) {
    for (place, item) in places.iter().zip(part) {
        if let Some(slot) = whole.get_mut(*place) {
            *slot = item;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::words::{LivingNode, WaitingPods};

    fn group(node_pools: &[&str]) -> WaitingPods {
        WaitingPods {
            node_pools: node_pools.iter().map(|&pool| pool.to_owned()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_part_holds_what_concerns_it_and_its_answer_goes_back_to_its_place() {
        let groups = vec![group(&["a"]), group(&["b", "a"]), group(&["b"])];
        let question = Question::Choose(capacity::Question { market: Vec::new(), groups });
        let part = restrict(&question, |pool| pool == "b").unwrap();
        assert_eq!(part.places, [1, 2]);
        let hold = |secs| {
            let span = crate::model::time::Duration::from_secs(secs);
            capacity::Choice::Hold(capacity::Hold { span, reason: String::new() })
        };
        let whole = widen(&question, &part.places, Answer::Choose(vec![hold(1), hold(2)]));
        assert_eq!(whole, Answer::Choose(vec![capacity::Choice::Default, hold(1), hold(2)]));
        assert_eq!(restrict(&question, |pool| pool == "c"), None);
    }

    #[test]
    fn changes_of_nodes_name_the_nodes_of_the_whole_question() {
        let node = |pool: &str| LivingNode { node_pool: pool.to_owned(), ..LivingNode::default() };
        let question = Question::Review(taints::ReviewQuestion { nodes: vec![node("a"), node("b")] });
        let part = restrict(&question, |pool| pool == "b").unwrap();
        let change = |node| taints::Change { node, ..taints::Change::default() };
        let whole = widen(&question, &part.places, Answer::Review(vec![change(0)]));
        assert_eq!(whole, Answer::Review(vec![change(1)]));
    }
}

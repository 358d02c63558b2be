//! Moves of living nodes: how long nodes are to be quiet, and which moves may be carried out.

use std::sync::Arc;

use whittle_core::advice::apply::rest;
use whittle_core::advice::ask::nodes;
use whittle_core::advice::consolidation::{Quiet, RestQuestion, Verdict};
use whittle_core::advice::{Answer, Hook, Question};
use whittle_core::disrupt::Round;
use whittle_core::model::time::Timestamp;
use whittle_core::state::{ClusterState, Snapshot};
use whittle_core::why::{Blocker, MoveBlocked};

use crate::advised::Advised;
use crate::ports::policies::Counsel;

impl Advised {
    /// Asks about moves that were found elsewhere, and takes those out that are not allowed.
    pub(crate) fn judge_round(&mut self, snapshot: &Snapshot, now: Timestamp, round: &mut Round) {
        let policies = Arc::clone(&self.policies);
        let mut counsel = policies.counsel(&snapshot.node_pools);
        if counsel.answers(Hook::Consolidation) {
            let blocked = self.judge_moves(counsel.as_mut(), snapshot, now, round);
            round.blocked.extend(blocked);
        }
    }

    /// Asks how long nodes are to be quiet, lays that over the copy, and gives the nodes that are not to move at all.
    pub(super) fn rest(
        &mut self,
        counsel: &mut dyn Counsel,
        snapshot: &Snapshot,
        copy: &mut ClusterState,
        now: Timestamp,
    ) -> Vec<MoveBlocked> {
        let nodes = nodes::living_nodes(snapshot, counsel.reads());
        let advice = counsel.ask(&Question::Rest(RestQuestion { nodes: nodes.clone() }), now);
        let names: Vec<&str> = nodes.iter().map(|node| node.claim.as_str()).collect();
        self.note(&advice, |place| format!("node {}", names.get(place).copied().unwrap_or_default()));
        let Answer::Rest(quiet) = advice.answer else { return Vec::new() };
        rest(copy, &nodes, &quiet, now);
        let never = nodes.iter().zip(&quiet).filter_map(|(node, quiet)| match quiet {
            Quiet::Never(reason) => Some((&node.claim, reason)),
            Quiet::Default | Quiet::Span(_) => None,
        });
        never
            .map(|(claim, reason)| {
                let message = format!("a policy keeps it: {reason}");
                MoveBlocked { claim: claim.clone(), why: Blocker::Policy { message } }
            })
            .collect()
    }

    /// Asks about the moves of a round, takes those out that are not allowed, and gives them with what was said.
    pub(super) fn judge_moves(
        &mut self,
        counsel: &mut dyn Counsel,
        snapshot: &Snapshot,
        now: Timestamp,
        round: &mut Round,
    ) -> Vec<MoveBlocked> {
        if round.moves.is_empty() {
            return Vec::new();
        }
        let question = nodes::moves(snapshot, &round.moves, counsel.reads());
        let advice = counsel.ask(&Question::JudgeMoves(question), now);
        let claims: Vec<String> = round.moves.iter().map(|found| found.claim.clone()).collect();
        self.note(&advice, |place| format!("node {}", claims.get(place).cloned().unwrap_or_default()));
        let Answer::JudgeMoves(verdicts) = advice.answer else { return Vec::new() };
        let mut verdicts = verdicts.into_iter();
        let mut blocked = Vec::new();
        let Round { moves, next, .. } = round;
        // A move that stays where it is makes no other impossible: its node has more room than was counted on.
        moves.retain(|found| {
            let message = match verdicts.next() {
                None | Some(Verdict::Allow) => return true,
                Some(Verdict::Deny(reason)) => format!("a policy denies the move: {reason}"),
                Some(Verdict::NotBefore(postponement)) => {
                    let until = postponement.until;
                    self.postponed.insert(found.claim.clone(), until);
                    *next = Some(next.map_or(until, |next| next.min(until)));
                    format!("a policy puts the move off: {}", postponement.reason)
                }
            };
            blocked.push(MoveBlocked { claim: found.claim.clone(), why: Blocker::Policy { message } });
            false
        });
        blocked
    }
}

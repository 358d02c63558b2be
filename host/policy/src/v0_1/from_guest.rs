//! From the words of version 0.1 to the core's. Nothing is judged here: what an answer may say is the core's to check.

use whittle_core::advice::{
    capacity as answered_capacity, consolidation as answered_consolidation,
    interruption as answered_interruption, offerings as answered_offerings, taints as answered_taints, words,
};
use whittle_core::model::instance_type::CapacityType;
use whittle_core::model::requirement::{Taint, TaintEffect};
use whittle_core::model::time::{Duration, Timestamp};

use super::bindings::exports::whittle::policy::{
    capacity, consolidation, interruption, meta, offerings, taints,
};
use super::bindings::whittle::policy::types;

pub(super) fn reads(reads: meta::Reads) -> words::Reads {
    words::Reads {
        pod_labels: reads.pod_labels.into_iter().collect(),
        node_labels: reads.node_labels.into_iter().collect(),
        offering_labels: reads.offering_labels.into_iter().collect(),
    }
}

pub(super) fn choice(choice: capacity::Choice) -> answered_capacity::Choice {
    match choice {
        capacity::Choice::Default => answered_capacity::Choice::Default,
        capacity::Choice::Split(split) => {
            let shares = split.shares.into_iter().map(|share| answered_capacity::Share {
                pods: share.pods,
                prefer: share.prefer.into_iter().map(capacity_type).collect(),
            });
            answered_capacity::Choice::Split(answered_capacity::Split {
                shares: shares.collect(),
                reason: split.reason,
            })
        }
        capacity::Choice::Hold(hold) => {
            let (span, reason) = (Duration::from_millis(hold.span), hold.reason);
            answered_capacity::Choice::Hold(answered_capacity::Hold { span, reason })
        }
    }
}

pub(super) fn outfit(outfit: taints::Outfit) -> answered_taints::Outfit {
    answered_taints::Outfit {
        taints: outfit.taints.into_iter().map(taint).collect(),
        startup_taints: outfit.startup_taints.into_iter().map(taint).collect(),
        labels: outfit.labels.into_iter().map(|label| (label.key, label.value)).collect(),
        reason: outfit.reason,
        wait: false,
    }
}

pub(super) fn change(change: taints::Change) -> answered_taints::Change {
    answered_taints::Change {
        node: change.node,
        add: change.add.into_iter().map(taint).collect(),
        remove: change.remove.into_iter().map(taint).collect(),
        reason: change.reason,
        policy: String::new(),
    }
}

pub(super) fn judgement(judgement: offerings::Judgement) -> answered_offerings::Judgement {
    let verdict = match judgement.verdict {
        offerings::Verdict::Forbid(reason) => answered_offerings::Verdict::Forbid(reason),
        offerings::Verdict::Scale(scale) => answered_offerings::Verdict::Scale(scale),
    };
    answered_offerings::Judgement { offering: judgement.offering, verdict }
}

pub(super) fn quiet(quiet: consolidation::Quiet) -> answered_consolidation::Quiet {
    match quiet {
        consolidation::Quiet::Default => answered_consolidation::Quiet::Default,
        consolidation::Quiet::Span(span) => answered_consolidation::Quiet::Span(Duration::from_millis(span)),
        consolidation::Quiet::Never(reason) => answered_consolidation::Quiet::Never(reason),
    }
}

pub(super) fn verdict(verdict: consolidation::Verdict) -> answered_consolidation::Verdict {
    match verdict {
        consolidation::Verdict::Allow => answered_consolidation::Verdict::Allow,
        consolidation::Verdict::Deny(reason) => answered_consolidation::Verdict::Deny(reason),
        consolidation::Verdict::NotBefore(postponement) => {
            let (until, reason) = (Timestamp::from_millis(postponement.until), postponement.reason);
            answered_consolidation::Verdict::NotBefore(answered_consolidation::Postponement { until, reason })
        }
    }
}

pub(super) const fn reaction(reaction: interruption::Reaction) -> answered_interruption::Reaction {
    match reaction {
        interruption::Reaction::Default => answered_interruption::Reaction::Default,
        interruption::Reaction::Ignore => answered_interruption::Reaction::Ignore,
        interruption::Reaction::Cordon => answered_interruption::Reaction::Cordon,
        interruption::Reaction::ReplaceThenDrain => answered_interruption::Reaction::ReplaceThenDrain,
        interruption::Reaction::DrainNow => answered_interruption::Reaction::DrainNow,
    }
}

const fn capacity_type(capacity_type: types::CapacityType) -> CapacityType {
    match capacity_type {
        types::CapacityType::Reserved => CapacityType::Reserved,
        types::CapacityType::Spot => CapacityType::Spot,
        types::CapacityType::OnDemand => CapacityType::OnDemand,
    }
}

fn taint(taint: types::Taint) -> Taint {
    let effect = match taint.effect {
        types::Effect::NoSchedule => TaintEffect::NoSchedule,
        types::Effect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
        types::Effect::NoExecute => TaintEffect::NoExecute,
    };
    Taint { key: taint.key, value: taint.value, effect }
}

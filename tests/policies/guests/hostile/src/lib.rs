//! A guest of the tests that does what its settings say, none of it good. What is wrong with a file as such is made in
//! the tests themselves.

use std::hint::black_box;

use whittle_guest_sdk::prelude::*;

/// What it does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hostile {
    does: Deed,
    /// From this moment on, in milliseconds: before it behaves.
    #[serde(default)]
    from: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Deed {
    Behaves,
    Spins,
    Recurses,
    Allocates,
    FloodsTheLog,
    TrapsAlways,
    TrapsEveryThirdCall,
    AnswersNothing,
    AnswersTwice,
    AnswersMillions,
    AnswersAGigabyte,
    AnswersWithAbsurdNumbers,
    NamesUnknownIds,
    GivesLongReasons,
    /// Asks for labels that Kubernetes would not take.
    LabelsInvalidly,
    /// Copies memory in bulk, which takes time for each byte and is one instruction.
    CopiesForEver,
}

impl Hostile {
    fn deed(&self, now: Instant) -> Deed {
        let waits = now < self.from;
        if waits { Deed::Behaves } else { self.does }
    }
}

/// What every hook does alike; what is left is how it answers.
fn misbehave(deed: Deed, now: Instant) {
    match deed {
        Deed::Spins => loop {
            black_box(now);
        },
        Deed::Recurses => {
            black_box(recurse(now));
        }
        Deed::Allocates => {
            let mut kept: Vec<Vec<u8>> = Vec::new();
            loop {
                kept.push(vec![1; 1 << 20]);
                black_box(&kept);
            }
        }
        Deed::FloodsTheLog => (0..100_000).for_each(|_| log::info("all work and no play makes a dull node")),
        Deed::TrapsAlways => panic!("as always"),
        Deed::TrapsEveryThirdCall if now.is_multiple_of(3) => panic!("every third time"),
        Deed::CopiesForEver => {
            let mut memory = vec![0_u8; 16 << 20];
            loop {
                memory.copy_within(0..(8 << 20), 8 << 20);
                black_box(&memory);
            }
        }
        Deed::Behaves
        | Deed::TrapsEveryThirdCall
        | Deed::AnswersNothing
        | Deed::AnswersTwice
        | Deed::AnswersMillions
        | Deed::AnswersAGigabyte
        | Deed::AnswersWithAbsurdNumbers
        | Deed::NamesUnknownIds
        | Deed::LabelsInvalidly
        | Deed::GivesLongReasons => {}
    }
}

#[expect(unconditional_recursion, reason = "that is the deed")]
fn recurse(depth: u64) -> u64 {
    black_box([depth; 64]);
    recurse(black_box(depth + 1)) + 1
}

/// Answers with `good` for each of `asked` things, or badly.
fn answers<A: Clone>(deed: Deed, asked: usize, good: &A, absurd: A, long: impl Fn(String) -> A) -> Vec<A> {
    match deed {
        Deed::AnswersNothing => Vec::new(),
        Deed::AnswersTwice => vec![good.clone(); asked * 2],
        Deed::AnswersMillions => vec![good.clone(); 2_000_000],
        Deed::AnswersAGigabyte => {
            // One megabyte of memory, shown to the host a thousand times.
            let much = long("x".repeat(1 << 20));
            vec![much; 1_000]
        }
        Deed::AnswersWithAbsurdNumbers | Deed::NamesUnknownIds | Deed::LabelsInvalidly => vec![absurd; asked],
        Deed::GivesLongReasons => vec![long("because ".repeat(1_000)); asked],
        Deed::Behaves
        | Deed::Spins
        | Deed::Recurses
        | Deed::Allocates
        | Deed::FloodsTheLog
        | Deed::TrapsAlways
        | Deed::TrapsEveryThirdCall
        | Deed::CopiesForEver => vec![good.clone(); asked],
    }
}

impl Capacity for Hostile {
    fn choose(&self, _market: &Market<'_>, _group: &PodGroup) -> Choice {
        Choice::Default
    }

    fn choose_all(&self, market: &Market<'_>, groups: &[PodGroup]) -> Vec<Choice> {
        let deed = self.deed(market.now);
        misbehave(deed, market.now);
        let share = Share { pods: u32::MAX, prefer: vec![CapacityType::Spot; 7] };
        let absurd = Choice::Split(Split { shares: vec![share], reason: String::new() });
        answers(deed, groups.len(), &Choice::Default, absurd, |reason| Choice::hold(1_000, reason))
    }
}

impl Taints for Hostile {
    fn dress(&self, _now: Instant, _group: &PodGroup) -> Outfit {
        Outfit::default()
    }

    fn dress_all(&self, now: Instant, groups: &[PodGroup]) -> Vec<Outfit> {
        let deed = self.deed(now);
        misbehave(deed, now);
        let absurd = match deed {
            Deed::LabelsInvalidly => Outfit::default().labelled("a b/c d", "e"),
            _ => Outfit::default().tainted("kubernetes.io/hostname", "a b c", Effect::NoExecute),
        };
        answers(deed, groups.len(), &Outfit::default(), absurd, |reason| Outfit::default().because(reason))
    }

    fn review(&self, now: Instant, _nodes: &[Node]) -> Vec<Change> {
        let change = Change { node: 1_000_000, add: vec![], remove: vec![], reason: String::new() };
        match self.deed(now) {
            Deed::NamesUnknownIds => vec![change],
            _ => Vec::new(),
        }
    }
}

impl Offerings for Hostile {
    fn judge(&self, _catalog: &Catalog<'_>, _offering: &Offering) -> Option<OfferingVerdict> {
        None
    }

    fn judge_all(&self, catalog: &Catalog<'_>) -> Vec<Judgement> {
        let deed = self.deed(catalog.now);
        misbehave(deed, catalog.now);
        let (offering, verdict) = match deed {
            Deed::NamesUnknownIds => (u32::MAX, OfferingVerdict::Scale(1_000_000)),
            Deed::AnswersWithAbsurdNumbers => (0, OfferingVerdict::Scale(u32::MAX)),
            Deed::GivesLongReasons => (0, OfferingVerdict::Forbid("because ".repeat(1_000))),
            Deed::AnswersTwice => {
                return vec![Judgement { offering: 0, verdict: OfferingVerdict::Scale(1_000_000) }; 2];
            }
            _ => return Vec::new(),
        };
        vec![Judgement { offering, verdict }]
    }
}

impl Consolidation for Hostile {
    fn rest_all(&self, now: Instant, nodes: &[Node]) -> Vec<Quiet> {
        let deed = self.deed(now);
        misbehave(deed, now);
        answers(deed, nodes.len(), &Quiet::Default, Quiet::Span(u64::MAX), Quiet::Never)
    }

    fn judge_all(&self, round: &Round<'_>, moves: &[Move]) -> Vec<MoveVerdict> {
        let deed = self.deed(round.now);
        misbehave(deed, round.now);
        answers(deed, moves.len(), &MoveVerdict::Allow, MoveVerdict::not_before(0, "once"), MoveVerdict::Deny)
    }
}

impl Interruption for Hostile {
    fn react(&self, _now: Instant, _notice: &Notice) -> Reaction {
        Reaction::Default
    }

    fn react_all(&self, now: Instant, notices: &[Notice]) -> Vec<Reaction> {
        let deed = self.deed(now);
        misbehave(deed, now);
        answers(deed, notices.len(), &Reaction::Default, Reaction::Ignore, |_| Reaction::DrainNow)
    }
}

export_policy!(Hostile: Capacity, Taints, Offerings, Consolidation, Interruption);

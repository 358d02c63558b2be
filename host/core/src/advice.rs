//! What a decision may ask policies, and what they may answer: data, the rules that an answer has to keep, and how
//! several answers become one.
//!
//! ```text
//!  Snapshot, History ──ask──► Question ──(somebody answers)──► Answer ──check──► ──merge──► Advice
//! ```
//!
//! Advice is an argument of a decision like the time and the seed. Nothing here knows who answers, and what an answer
//! is worth ends where `check` begins: advice chooses among legal plans only.

pub mod apply;
pub mod ask;
pub mod capacity;
pub mod consolidation;
pub mod history;
pub mod interruption;
pub mod judged;
pub mod limits;
pub mod merge;
pub mod offerings;
pub mod restrict;
pub mod taints;
pub mod words;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// A kind of decision that policies are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hook {
    /// How waiting pods are to be bought capacity.
    Capacity,
    /// What nodes carry so that only some pods come to them.
    Taints,
    /// Which instance types may be bought where and how, and what their price is worth.
    Offerings,
    /// Which nodes may be moved out of, when, and whether it is worth it.
    Consolidation,
    /// What to do when EC2 says something about an instance.
    Interruption,
}

impl Hook {
    /// All hooks, in the order in which a decision meets them.
    pub const ALL: [Self; 5] =
        [Self::Capacity, Self::Taints, Self::Offerings, Self::Consolidation, Self::Interruption];

    /// The hook's name, as users write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Taints => "taints",
            Self::Offerings => "offerings",
            Self::Consolidation => "consolidation",
            Self::Interruption => "interruption",
        }
    }

    /// The hook with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a batch of questions, and the answers to it, are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How each group of waiting pods is to be bought capacity.
    Choose,
    /// What a node for each group of waiting pods must carry.
    Dress,
    /// What living nodes are to get and to lose.
    Review,
    /// What one NodePool may buy.
    JudgeOfferings,
    /// How long each node must be quiet.
    Rest,
    /// Whether each move may be carried out.
    JudgeMoves,
    /// What to do about each notice.
    React,
}

impl Kind {
    /// The hook that it belongs to.
    #[must_use]
    pub const fn hook(self) -> Hook {
        match self {
            Self::Choose => Hook::Capacity,
            Self::Dress | Self::Review => Hook::Taints,
            Self::JudgeOfferings => Hook::Offerings,
            Self::Rest | Self::JudgeMoves => Hook::Consolidation,
            Self::React => Hook::Interruption,
        }
    }

    /// Its name, as cases and records write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Choose => "choose",
            Self::Dress => "dress",
            Self::Review => "review",
            Self::JudgeOfferings => "judgeOfferings",
            Self::Rest => "rest",
            Self::JudgeMoves => "judgeMoves",
            Self::React => "react",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A batch of questions of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Question {
    /// `capacity`: how each group of waiting pods is to be bought capacity.
    Choose(capacity::Question),
    /// `taints`: what a node for each group of waiting pods must carry.
    Dress(taints::DressQuestion),
    /// `taints`: what living nodes are to get and to lose.
    Review(taints::ReviewQuestion),
    /// `offerings`: what one NodePool may buy.
    JudgeOfferings(offerings::Question),
    /// `consolidation`: how long each node must be quiet.
    Rest(consolidation::RestQuestion),
    /// `consolidation`: whether each move may be carried out.
    JudgeMoves(consolidation::MovesQuestion),
    /// `interruption`: what to do about each notice.
    React(interruption::Question),
}

/// The answers to a batch of questions of the same kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// One choice for each group.
    Choose(Vec<capacity::Choice>),
    /// One outfit for each group.
    Dress(Vec<taints::Outfit>),
    /// The nodes that are to change.
    Review(Vec<taints::Change>),
    /// The offerings that are not to be kept as they are.
    JudgeOfferings(Vec<offerings::Judgement>),
    /// One entry for each node.
    Rest(Vec<consolidation::Quiet>),
    /// One verdict for each move.
    JudgeMoves(Vec<consolidation::Verdict>),
    /// One reaction for each notice.
    React(Vec<interruption::Reaction>),
}

impl Question {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Choose(_) => Kind::Choose,
            Self::Dress(_) => Kind::Dress,
            Self::Review(_) => Kind::Review,
            Self::JudgeOfferings(_) => Kind::JudgeOfferings,
            Self::Rest(_) => Kind::Rest,
            Self::JudgeMoves(_) => Kind::JudgeMoves,
            Self::React(_) => Kind::React,
        }
    }

    /// The hook that answers it.
    #[must_use]
    pub const fn hook(&self) -> Hook {
        self.kind().hook()
    }

    /// How many things are asked about.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Choose(question) => question.groups.len(),
            Self::Dress(question) => question.groups.len(),
            Self::Review(question) => question.nodes.len(),
            Self::JudgeOfferings(question) => question.offerings.len(),
            Self::Rest(question) => question.nodes.len(),
            Self::JudgeMoves(question) => question.moves.len(),
            Self::React(question) => question.notices.len(),
        }
    }

    /// Whether nothing is asked about.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The answer that changes nothing: what is done when nobody is asked.
    #[must_use]
    pub fn neutral(&self) -> Answer {
        let each = self.len();
        match self {
            Self::Choose(_) => Answer::Choose(vec![capacity::Choice::Default; each]),
            Self::Dress(_) => Answer::Dress(vec![taints::Outfit::default(); each]),
            Self::Review(_) => Answer::Review(Vec::new()),
            Self::JudgeOfferings(_) => Answer::JudgeOfferings(Vec::new()),
            Self::Rest(_) => Answer::Rest(vec![consolidation::Quiet::Default; each]),
            Self::JudgeMoves(_) => Answer::JudgeMoves(vec![consolidation::Verdict::Allow; each]),
            Self::React(_) => Answer::React(vec![interruption::Reaction::Default; each]),
        }
    }

    /// Whether an answer keeps the rules of its hook.
    ///
    /// # Errors
    /// With the first rule that it breaks: the place in the answer, what was found and what was expected.
    pub fn check(&self, answer: &Answer, now: Timestamp) -> Result<(), Wrong> {
        match (self, answer) {
            (Self::Choose(question), Answer::Choose(choices)) => capacity::check(question, choices),
            (Self::Dress(question), Answer::Dress(outfits)) => taints::check_outfits(question, outfits),
            (Self::Review(question), Answer::Review(changes)) => taints::check_changes(question, changes),
            (Self::JudgeOfferings(question), Answer::JudgeOfferings(judgements)) => {
                offerings::check(question, judgements)
            }
            (Self::Rest(question), Answer::Rest(quiet)) => consolidation::check_rest(question, quiet),
            (Self::JudgeMoves(question), Answer::JudgeMoves(verdicts)) => {
                consolidation::check_moves(question, verdicts, now)
            }
            (Self::React(question), Answer::React(reactions)) => interruption::check(question, reactions),
            (_, other) => Err(Wrong::new("", other.kind(), format!("an answer to {}", self.kind()))),
        }
    }
}

impl Answer {
    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Choose(_) => Kind::Choose,
            Self::Dress(_) => Kind::Dress,
            Self::Review(_) => Kind::Review,
            Self::JudgeOfferings(_) => Kind::JudgeOfferings,
            Self::Rest(_) => Kind::Rest,
            Self::JudgeMoves(_) => Kind::JudgeMoves,
            Self::React(_) => Kind::React,
        }
    }
}

/// A rule that an answer breaks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wrong {
    /// Where in the answer, such as `[3].split.shares[0].pods`; empty for the answer as a whole.
    pub path: String,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
}

impl Wrong {
    /// A broken rule.
    #[must_use]
    pub fn new(path: impl Into<String>, found: impl fmt::Display, expected: impl Into<String>) -> Self {
        Self { path: path.into(), found: found.to_string(), expected: expected.into() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{at}found {}, expected {}", self.path, self.found, self.expected)
    }
}

/// What came of a batch of questions, asked of all policies that answer such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// The one answer that all of them come to.
    pub answer: Answer,
    /// Who said what that is not the default, in the order of the policies.
    pub said: Vec<Said>,
    /// What went wrong.
    pub faults: Vec<Failed>,
}

impl Advice {
    /// The advice of nobody.
    #[must_use]
    pub fn neutral(question: &Question) -> Self {
        Self { answer: question.neutral(), said: Vec::new(), faults: Vec::new() }
    }
}

/// What a policy said about one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// The policy's name, as it is attached.
    pub policy: String,
    /// What about: the place in the question.
    pub subject: usize,
    /// What it said, in words.
    pub words: String,
    /// Whether it was obeyed; a policy in shadow mode is not.
    pub obeyed: bool,
}

/// A policy that gave no answer that could be used, and what was done in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failed {
    /// The policy's name, as it is attached.
    pub policy: String,
    /// The hook that failed.
    pub hook: Hook,
    /// What went wrong, in words.
    pub message: String,
    /// What was done in its place, in words.
    pub instead: String,
}

//! `offerings`: which instance types may be bought where and how, and what their price is worth.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Wrong;
use super::limits::{SCALE_MAX, SCALE_MIN};
use super::taints::{check_place, check_reason};
use super::words::Past;
use crate::model::instance_type::CapacityType;
use crate::model::price::Price;
use crate::model::resources::Resources;

/// What one NodePool can buy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Question {
    /// The NodePool.
    pub node_pool: String,
    /// The instance types.
    pub types: Vec<Type>,
    /// Where and how they can be bought.
    pub offerings: Vec<Offering>,
}

/// An instance type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Type {
    /// The EC2 name.
    pub name: String,
    /// What a node of it has for pods.
    pub allocatable: Resources,
    /// The labels that a node of it will carry; where several values are possible, the first.
    pub labels: BTreeMap<String, String>,
}

/// One way to buy an instance type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Offering {
    /// The instance type's place in the question.
    pub instance_type: u32,
    /// The zone's name.
    pub zone: String,
    /// How it is bought.
    pub capacity_type: CapacityType,
    /// What it costs.
    pub price: Price,
    /// Whether the price is an estimate.
    pub estimated: bool,
    /// Whether EC2 is thought to have it now.
    pub available: bool,
    /// How many instances bought so run.
    pub running: u32,
    /// Instances of it that EC2 took back.
    pub reclaims: Past,
    /// Launches of it that EC2 refused.
    pub shortages: Past,
}

impl Default for Offering {
    fn default() -> Self {
        Self {
            instance_type: 0,
            zone: String::new(),
            capacity_type: CapacityType::OnDemand,
            price: Price::ZERO,
            estimated: false,
            available: true,
            running: 0,
            reclaims: Past::default(),
            shortages: Past::default(),
        }
    }
}

/// What is said about an offering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Never buy it, and why.
    Forbid(String),
    /// Decide as if its price were scaled by so many parts per million.
    Scale(u32),
}

/// A verdict on one offering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Judgement {
    /// The offering's place in the question.
    pub offering: u32,
    /// What is said about it.
    pub verdict: Verdict,
}

/// Whether judgements keep the rules: offerings that were asked about, each once, and sensible factors.
///
/// # Errors
/// With the first rule that is broken.
pub fn check(question: &Question, judgements: &[Judgement]) -> Result<(), Wrong> {
    let mut seen = BTreeSet::new();
    for (place, judgement) in judgements.iter().enumerate() {
        let path = |field: &str| format!("[{place}].{field}");
        check_place(&path("offering"), judgement.offering, question.offerings.len(), &mut seen)?;
        match &judgement.verdict {
            Verdict::Forbid(reason) => check_reason(|| path("forbid"), reason)?,
            Verdict::Scale(scale) if (SCALE_MIN..=SCALE_MAX).contains(scale) => {}
            Verdict::Scale(scale) => {
                let expected = format!("{SCALE_MIN} to {SCALE_MAX} parts per million");
                return Err(Wrong::new(path("scale"), scale, expected));
            }
        }
    }
    Ok(())
}

/// A verdict in words.
#[must_use]
pub fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Forbid(reason) => format!("forbid: {reason}"),
        Verdict::Scale(scale) => {
            format!("price × {}.{:04}", scale / 1_000_000, scale % 1_000_000 / 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offerings_that_do_not_exist_and_absurd_factors_are_refused() {
        let question = Question { offerings: vec![Offering::default(); 2], ..Question::default() };
        let scale = |offering, scale| Judgement { offering, verdict: Verdict::Scale(scale) };
        let cases = [
            (vec![scale(2, 1_000_000)], "[0].offering: found 2, expected a place below 2"),
            (vec![scale(u32::MAX, 1)], "[0].offering: found 4294967295, expected a place below 2"),
            (
                vec![scale(1, 1_000_000), scale(1, 1_000_000)],
                "[1].offering: found 1 twice, expected each once",
            ),
            (vec![scale(0, 0)], "[0].scale: found 0, expected 10000 to 100000000 parts per million"),
        ];
        for (judgements, expected) in cases {
            assert_eq!(check(&question, &judgements).unwrap_err().to_string(), expected);
        }
        assert_eq!(check(&question, &[scale(1, 900_000)]), Ok(()));
    }

    #[test]
    fn a_factor_reads_as_a_factor() {
        assert_eq!(words(&Verdict::Scale(1_250_000)), "price × 1.2500");
    }
}

//! Version 0.1 of the interface: which of its hooks a component has, and how one is asked.
//!
//! A later version gets a module beside this one; both speak the core's words to the rest of the crate.

mod from_guest;
pub mod json;
mod to_guest;

use std::collections::BTreeSet;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};
use whittle_core::advice::words::Reads;
use whittle_core::advice::{Answer, Hook, Question};
use whittle_core::model::time::Timestamp;

use crate::guest::Guest;
use crate::v0_1::bindings::exports::whittle::policy::{
    capacity, consolidation, interruption, meta, offerings, taints,
};

/// The version that this module speaks.
pub(crate) const VERSION: &str = "0.1.0";

/// The interface as Rust, generated.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/v0.1",
        world: "every-hook",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// A component that is ready to be made an instance of, with the places of its hooks.
pub(crate) struct Ready {
    pre: InstancePre<Guest>,
    meta: meta::GuestIndices,
    capacity: Option<capacity::GuestIndices>,
    taints: Option<taints::GuestIndices>,
    offerings: Option<offerings::GuestIndices>,
    consolidation: Option<consolidation::GuestIndices>,
    interruption: Option<interruption::GuestIndices>,
}

/// What a policy says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// The JSON Schema of its settings.
    pub settings_schema: String,
}

/// What a configured instance reads, or what it complains about.
pub(crate) type Configured = Result<Reads, Vec<(String, String)>>;

impl Ready {
    /// Finds the hooks that a component exports. `exports` are those whose names it has; an interface by that name
    /// with other types is an error.
    pub(crate) fn new(pre: InstancePre<Guest>, exports: &BTreeSet<Hook>) -> wasmtime::Result<Self> {
        let has = |hook| exports.contains(&hook);
        Ok(Self {
            meta: meta::GuestIndices::new(&pre)?,
            capacity: has(Hook::Capacity).then(|| capacity::GuestIndices::new(&pre)).transpose()?,
            taints: has(Hook::Taints).then(|| taints::GuestIndices::new(&pre)).transpose()?,
            offerings: has(Hook::Offerings).then(|| offerings::GuestIndices::new(&pre)).transpose()?,
            consolidation: has(Hook::Consolidation)
                .then(|| consolidation::GuestIndices::new(&pre))
                .transpose()?,
            interruption: has(Hook::Interruption)
                .then(|| interruption::GuestIndices::new(&pre))
                .transpose()?,
            pre,
        })
    }

    /// Checks that every function has the types that the interface says: what would otherwise be found when the first
    /// question is asked.
    pub(crate) fn check_types(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<()> {
        self.meta.load(&mut *store, instance)?;
        self.capacity.as_ref().map(|hook| hook.load(&mut *store, instance)).transpose()?;
        self.taints.as_ref().map(|hook| hook.load(&mut *store, instance)).transpose()?;
        self.offerings.as_ref().map(|hook| hook.load(&mut *store, instance)).transpose()?;
        self.consolidation.as_ref().map(|hook| hook.load(&mut *store, instance)).transpose()?;
        self.interruption.as_ref().map(|hook| hook.load(&mut *store, instance)).transpose()?;
        Ok(())
    }

    /// A fresh instance in `store`.
    pub(crate) fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        self.pre.instantiate(store)
    }

    /// What the policy says about itself.
    pub(crate) fn describe(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<About> {
        let about = self.meta.load(&mut *store, instance)?.call_describe(store)?;
        let meta::About { name, version, summary, settings_schema } = about;
        Ok(About { name, version, summary, settings_schema })
    }

    /// Hands the instance its settings.
    pub(crate) fn configure(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        settings: &str,
    ) -> wasmtime::Result<Configured> {
        let configured = self.meta.load(&mut *store, instance)?.call_configure(store, settings)?;
        Ok(match configured {
            Ok(reads) => Ok(from_guest::reads(reads)),
            Err(complaints) => {
                Err(complaints.into_iter().map(|complaint| (complaint.path, complaint.message)).collect())
            }
        })
    }

    /// Asks a configured instance. `None` when the policy does not export the hook.
    pub(crate) fn ask(
        &self,
        store: &mut Store<Guest>,
        instance: &Instance,
        (question, reads, now): (&Question, &Reads, Timestamp),
    ) -> wasmtime::Result<Option<Answer>> {
        let now = now.millis();
        let answer = match question {
            Question::Choose(question) => {
                let Some(hook) = &self.capacity else { return Ok(None) };
                let market: Vec<_> = question.market.iter().map(to_guest::supply).collect();
                let groups = to_guest::groups(&question.groups, reads);
                let choices = hook.load(&mut *store, instance)?.call_choose(store, now, &market, &groups)?;
                Answer::Choose(choices.into_iter().map(from_guest::choice).collect())
            }
            Question::Dress(question) => {
                let Some(hook) = &self.taints else { return Ok(None) };
                let groups = to_guest::groups(&question.groups, reads);
                let outfits = hook.load(&mut *store, instance)?.call_dress(store, now, &groups)?;
                Answer::Dress(outfits.into_iter().map(from_guest::outfit).collect())
            }
            Question::Review(question) => {
                let Some(hook) = &self.taints else { return Ok(None) };
                let nodes = to_guest::nodes(&question.nodes, reads);
                let changes = hook.load(&mut *store, instance)?.call_review(store, now, &nodes)?;
                Answer::Review(changes.into_iter().map(from_guest::change).collect())
            }
            Question::JudgeOfferings(question) => {
                let Some(hook) = &self.offerings else { return Ok(None) };
                let types: Vec<_> =
                    question.types.iter().map(|it| to_guest::instance_type(it, reads)).collect();
                let offerings: Vec<_> = question.offerings.iter().map(to_guest::offering).collect();
                let hook = hook.load(&mut *store, instance)?;
                let judgements = hook.call_judge(store, now, &question.node_pool, &types, &offerings)?;
                Answer::JudgeOfferings(judgements.into_iter().map(from_guest::judgement).collect())
            }
            Question::Rest(question) => {
                let Some(hook) = &self.consolidation else { return Ok(None) };
                let nodes = to_guest::nodes(&question.nodes, reads);
                let quiet = hook.load(&mut *store, instance)?.call_rest(store, now, &nodes)?;
                Answer::Rest(quiet.into_iter().map(from_guest::quiet).collect())
            }
            Question::JudgeMoves(question) => {
                let Some(hook) = &self.consolidation else { return Ok(None) };
                let nodes = to_guest::nodes(&question.nodes, reads);
                let moves: Vec<_> = question.moves.iter().map(to_guest::movement).collect();
                let verdicts = hook.load(&mut *store, instance)?.call_judge(store, now, &nodes, &moves)?;
                Answer::JudgeMoves(verdicts.into_iter().map(from_guest::verdict).collect())
            }
            Question::React(question) => {
                let Some(hook) = &self.interruption else { return Ok(None) };
                let notices: Vec<_> =
                    question.notices.iter().map(|notice| to_guest::notice(notice, reads)).collect();
                let reactions = hook.load(&mut *store, instance)?.call_react(store, now, &notices)?;
                Answer::React(reactions.into_iter().map(from_guest::reaction).collect())
            }
        };
        Ok(Some(answer))
    }
}

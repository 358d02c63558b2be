//! The instances of this cluster: listed and ended, many at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use whittle_control::ports::End;
use whittle_core::model::labels;
use whittle_core::model::time::Timestamp;

use crate::batch::{Batcher, Window};
use crate::classes::filters::{Filters, sdk};
use crate::connect::Clients;
use crate::error::{Failure, Reaction};
use crate::launch::seen::{Seen, seen};
use crate::launch::tags;

/// Looks and ends are gathered like this (Karpenter).
const TOGETHER: Window = Window { idle: Duration::from_millis(100), max: Duration::from_secs(1), items: 500 };
/// EC2 answers with so many instances at a time.
const PAGE: i32 = 1_000;
/// Those that have ended are told of as well: by them it is known which NodeClaim an instance was launched for.
const STATES: [&str; 6] = ["pending", "running", "stopping", "stopped", "shutting-down", "terminated"];

/// An instance that does not end is asked to once more after this: somebody may protect it from that.
const ASK_AGAIN: whittle_core::model::time::Duration = whittle_core::model::time::Duration::from_secs(60);

/// So many are ended alone at a time.
const ALONE_AT_ONCE: usize = 10;

type Listed = Result<Arc<Vec<Seen>>, Failure>;

/// The instances of a cluster.
pub struct Instances {
    looks: Batcher<(), (), Listed>,
    ends: Batcher<(), String, Result<(), Failure>>,
    /// Instances whose end was asked for, and when.
    ending: Mutex<BTreeMap<String, Timestamp>>,
}

impl fmt::Debug for Instances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instances").finish_non_exhaustive()
    }
}

impl Instances {
    pub(crate) fn new(clients: &Clients, cluster: &str) -> Self {
        let (looking, ending) = (clients.clone(), clients.clone());
        let cluster = cluster.to_owned();
        Self {
            looks: Batcher::new(TOGETHER, move |(), asked: Vec<()>| {
                let (clients, cluster) = (looking.clone(), cluster.clone());
                async move {
                    let listed = list(&clients, &cluster).await.map(Arc::new);
                    asked.iter().map(|()| listed.clone()).collect()
                }
            }),
            ends: Batcher::new(TOGETHER, move |(), ids: Vec<String>| {
                let clients = ending.clone();
                async move { terminate(&clients, ids).await }
            }),
            ending: Mutex::default(),
        }
    }

    /// All instances, those that ended a short while ago as well.
    ///
    /// # Errors
    ///
    /// As EC2 says.
    pub async fn all(&self) -> Listed {
        self.looks.ask((), ()).await.unwrap_or_else(|| Err(given_up("ec2:DescribeInstances")))
    }

    /// Ends an instance, and tells how far that is: the first time it is asked for, afterwards it is looked at.
    ///
    /// # Errors
    ///
    /// As EC2 says.
    pub async fn end(&self, id: &str, now: Timestamp) -> Result<End, Failure> {
        let asked = self.ending(|ending| ending.get(id).copied());
        let Some(asked) = asked.filter(|asked| now.since(*asked) < ASK_AGAIN) else {
            self.terminate(id.to_owned()).await?;
            self.ending(|ending| ending.insert(id.to_owned(), now));
            return Ok(End::UnderWay);
        };
        let all = self.all().await?;
        let is_there = all.iter().any(|one| one.id == id && !one.is_terminated);
        if is_there {
            tracing::debug!(instance = id, since = %now.since(asked), "still ends");
            return Ok(End::UnderWay);
        }
        self.ending(|ending| ending.remove(id));
        Ok(End::Over)
    }

    async fn terminate(&self, id: String) -> Result<(), Failure> {
        self.ends.ask((), id).await.unwrap_or_else(|| Err(given_up("ec2:TerminateInstances")))
    }

    fn ending<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Timestamp>) -> T) -> T {
        look(&mut self.ending.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const fn given_up(operation: &'static str) -> Failure {
    Failure { operation, code: None, message: String::new() }
}

async fn list(clients: &Clients, cluster: &str) -> Result<Vec<Seen>, Failure> {
    let tag_key = |key: &str| ("tag-key".to_owned(), vec![key.to_owned()]);
    let filters: Filters = vec![
        tag_key(labels::NODE_POOL),
        tag_key(labels::NODE_CLASS),
        (format!("tag:{}", tags::CLUSTER), vec![cluster.to_owned()]),
        ("instance-state-name".to_owned(), STATES.map(str::to_owned).to_vec()),
    ];
    let mut pages = clients
        .ec2
        .describe_instances()
        .set_filters(Some(sdk(&filters)))
        .max_results(PAGE)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| Failure::of("ec2:DescribeInstances", &error))?;
        found.extend(page.reservations().iter().flat_map(|one| one.instances()).filter_map(seen));
    }
    Ok(found)
}

/// Ends all, and each alone where EC2 refuses that: one that is gone, is protected or may not be ended keeps its neighbours.
async fn terminate(clients: &Clients, ids: Vec<String>) -> Vec<Result<(), Failure>> {
    let together = terminate_at_once(clients, ids.clone()).await;
    match together {
        Err(failure) if ids.len() > 1 && is_about_one(&failure) => {
            let alone = ids.into_iter().map(|id| terminate_at_once(clients, vec![id]));
            let answers = stream::iter(alone).buffered(ALONE_AT_ONCE);
            answers.map(forgiven).collect().await
        }
        answer => ids.iter().map(|_| forgiven(answer.clone())).collect(),
    }
}

/// Whether it may be the fault of a single instance.
fn is_about_one(failure: &Failure) -> bool {
    failure.code.is_some() && failure.reaction() != Reaction::Later
}

async fn terminate_at_once(clients: &Clients, ids: Vec<String>) -> Result<(), Failure> {
    let ended = clients.ec2.terminate_instances().set_instance_ids(Some(ids)).send().await;
    ended.map(drop).map_err(|error| Failure::of("ec2:TerminateInstances", &error))
}

/// What is gone is ended.
fn forgiven(answer: Result<(), Failure>) -> Result<(), Failure> {
    match answer {
        Err(failure) if failure.reaction() == Reaction::Missing => Ok(()),
        answer => answer,
    }
}

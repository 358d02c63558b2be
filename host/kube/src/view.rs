//! A cluster as it stands, for whoever looks at it and changes nothing: everything is listed, a loop hears of it, and
//! nobody carries out what it decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as Span;

use k8s_openapi::api::core::v1::Node;
use kube_client::Client;
use kube_client::api::{Api, ListParams};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use whittle_control::controller::Controller;
use whittle_core::event::Event;
use whittle_core::model::labels::REGION;
use whittle_core::model::time::Timestamp;

use crate::book::Book;
use crate::cluster::clock;
use crate::error::message;
use crate::intake::{InstanceTypes, Intake, Unclear};
use crate::watch::{self as watches, Change, Kind, Object, full_name};

/// Whoever has asked a question waits so long for the API server to have told everything.
const PATIENCE: Span = Span::from_secs(60);

/// Why a cluster cannot be seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSeen {
    /// Something cannot be listed.
    #[error("cannot list {kind}: {message}")]
    Refused {
        /// What.
        kind: Kind,
        /// What the API server says, or what lies on the way to it.
        message: String,
    },
    /// The API server is slow.
    #[error("after {} s the API server has not told everything yet: {missing} is missing", PATIENCE.as_secs())]
    Slow {
        /// The kinds that are missing.
        missing: String,
    },
}

/// A cluster as it stands.
#[derive(Debug)]
pub struct View {
    /// The loop that has heard of it.
    pub controller: Controller,
    intake: Intake,
    changes: mpsc::Receiver<Change>,
    _watching: JoinSet<()>,
    /// Time does not go back, whatever the clock is set to.
    now: Timestamp,
    /// What cannot be understood of the objects that are there, by kind, namespace and name.
    unclear: BTreeMap<(Kind, String), Unclear>,
}

impl View {
    /// Lists everything.
    ///
    /// # Errors
    ///
    /// As [`NotSeen`] says: at the first thing that cannot be listed, for whoever asks does not want to wait.
    pub async fn open(
        client: &Client,
        controller: Controller,
        types: Arc<dyn InstanceTypes>,
    ) -> Result<Self, NotSeen> {
        let (watching, changes) = watches::start(client);
        let intake = Intake::new(Arc::new(Book::default()), types);
        let mut view =
            Self { controller, intake, changes, _watching: watching, now: clock(), unclear: BTreeMap::new() };
        match timeout(PATIENCE, view.list()).await {
            Ok(Ok(())) => Ok(view),
            Ok(Err(refused)) => Err(refused),
            Err(_) => {
                let missing: Vec<String> = view.intake.incomplete().iter().map(Kind::to_string).collect();
                Err(NotSeen::Slow { missing: missing.join(", ") })
            }
        }
    }

    async fn list(&mut self) -> Result<(), NotSeen> {
        while !self.intake.incomplete().is_empty() {
            let Some(change) = self.changes.recv().await else { break };
            if let Change::Trouble(kind, message) = change {
                return Err(NotSeen::Refused { kind, message });
            }
            self.take(change);
        }
        self.retell_classes();
        Ok(())
    }

    /// Takes in what has changed, and tells what cannot be heard of now: it is left as it was.
    pub fn refresh(&mut self) -> Option<String> {
        let mut trouble = None;
        let mut has_learned = false;
        while let Ok(change) = self.changes.try_recv() {
            has_learned |= matches!(&change, Change::Seen(Object::Node(_)));
            if let Change::Trouble(kind, message) = &change {
                trouble = Some(format!("{kind}: {message}"));
            }
            self.take(change);
        }
        if has_learned {
            self.retell_classes();
        }
        trouble
    }

    /// Nodes may have told more of what types of a class have.
    fn retell_classes(&mut self) {
        let now = self.now();
        let told = self.intake.retell_classes().events;
        told.into_iter().for_each(|event| self.controller.handle(event, now));
    }

    /// The time by the clock.
    pub fn now(&mut self) -> Timestamp {
        self.now = self.now.max(clock());
        self.now
    }

    /// The objects that could not be understood, each with what was found and what was expected. What was known of them
    /// before, if anything, still holds.
    #[must_use]
    pub fn unclear(&self) -> Vec<String> {
        self.unclear.iter().map(|((kind, name), one)| format!("{kind} {name}: {}", one.message)).collect()
    }

    fn take(&mut self, change: Change) {
        let now = self.now();
        match &change {
            Change::Seen(object) if !self.unclear.is_empty() => drop(self.unclear.remove(&object.named())),
            Change::Gone(kind, id) => {
                let name = full_name(&id.namespace, &id.name);
                // Pods are gone by their uid.
                self.unclear.retain(|(of, named), one| {
                    *of != *kind || (*named != name && one.uid.as_deref() != Some(&*id.name))
                });
            }
            Change::Seen(_) | Change::Complete(_) | Change::Bad { .. } | Change::Trouble(..) => {}
        }
        let taken = self.intake.take(change);
        // What is missing to understand a DaemonSet may come without a change of its own.
        let daemon_sets = taken.events.iter().filter_map(|event| match event {
            Event::DaemonSet(set) => Some((Kind::DaemonSet, full_name(&set.namespace, &set.name))),
            _ => None,
        });
        daemon_sets.for_each(|understood| drop(self.unclear.remove(&understood)));
        for problem in taken.problems {
            let name = full_name(problem.namespace.as_deref().unwrap_or_default(), &problem.name);
            self.unclear.insert((problem.kind, name), problem);
        }
        taken.events.into_iter().for_each(|event| self.controller.handle(event, now));
    }
}

/// The region that the nodes of a cluster say they are in.
///
/// # Errors
///
/// When Nodes cannot be listed.
pub async fn region(client: &Client) -> Result<Option<String>, NotSeen> {
    let labelled = ListParams::default().labels(REGION).limit(1);
    let nodes = Api::<Node>::all(client.clone()).list(&labelled).await;
    let nodes = nodes.map_err(|error| NotSeen::Refused { kind: Kind::Node, message: message(&error) })?;
    Ok(nodes.items.into_iter().find_map(|node| node.metadata.labels?.remove(REGION)))
}

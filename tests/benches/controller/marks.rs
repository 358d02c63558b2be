//! When objects of a kind were first seen to be so or so, by this machine's clock: times of Kubernetes are whole seconds.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use kube_client::Client;
use kube_client::api::Api;
use kube_client::core::{Resource, ResourceExt as _};
use kube_runtime::watcher::{Config, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

/// When each object was first seen to be so, by its uid.
type Seen = Arc<Mutex<BTreeMap<String, Instant>>>;

/// Watches a kind until it is dropped.
pub(crate) struct Marks<K> {
    seen: Seen,
    watching: JoinHandle<()>,
    of: PhantomData<K>,
}

impl<K> Marks<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Begins to watch for those that are so. What is so already counts as of now.
    pub(crate) fn of(client: &Client, is_so: fn(&K) -> bool) -> Self {
        let seen = Seen::default();
        let (api, marks) = (Api::<K>::all(client.clone()), Arc::clone(&seen));
        let watching = tokio::spawn(async move {
            let mut events = std::pin::pin!(watcher(api, Config::default()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) if is_so(&object) => {
                        let uid = object.uid().unwrap_or_default();
                        marks
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .entry(uid)
                            .or_insert_with(Instant::now);
                    }
                    Ok(_) => {}
                    // It is watched again, and what happened in between is marked late.
                    Err(error) => eprintln!("a watch has failed: {error}"),
                }
            }
        });
        Self { seen, watching, of: PhantomData }
    }

    /// When the first and the last one was so.
    pub(crate) fn first_and_last(&self) -> Option<(Instant, Instant)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        Some((*seen.values().min()?, *seen.values().max()?))
    }

    /// How many were so.
    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<K> Drop for Marks<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

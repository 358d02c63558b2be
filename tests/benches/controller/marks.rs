//! When objects of a kind were made, by this machine's clock: creation times of Kubernetes are whole seconds.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use kube_client::Client;
use kube_client::api::{Api, WatchEvent, WatchParams};
use kube_client::core::Resource;
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

/// Watches a kind until it is dropped.
pub(crate) struct Marks<K> {
    made: Arc<Mutex<Vec<Instant>>>,
    watching: JoinHandle<()>,
    of: PhantomData<K>,
}

impl<K> Marks<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    /// Begins to watch. What is there already counts as made now.
    pub(crate) fn of(client: &Client) -> Self {
        let made = Arc::new(Mutex::new(Vec::new()));
        let (api, marks) = (Api::<K>::all(client.clone()), Arc::clone(&made));
        let watching = tokio::spawn(async move {
            let parameters = WatchParams::default().timeout(290);
            let stream = match api.watch_metadata(&parameters, "0").await {
                Ok(stream) => stream,
                Err(error) => return eprintln!("nothing is measured: {error}"),
            };
            let mut stream = std::pin::pin!(stream);
            while let Some(event) = stream.next().await {
                if let Ok(WatchEvent::Added(_)) = event {
                    marks.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                }
            }
        });
        Self { made, watching, of: PhantomData }
    }

    /// When the first and the last one was made.
    pub(crate) fn first_and_last(&self) -> Option<(Instant, Instant)> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        Some((*made.first()?, *made.last()?))
    }

    /// How many were made.
    pub(crate) fn count(&self) -> usize {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl<K> Drop for Marks<K> {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

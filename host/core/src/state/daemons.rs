//! What a DaemonSet's pods really look like.
//!
//! Admission and autoscalers change pods after their template, so the newest pod of a DaemonSet says what the next
//! will ask for; the template only does where there is no pod yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Snapshot;
use crate::event::ObjectKey;
use crate::model::node_pool::DaemonSet;
use crate::model::pod::{Pod, PodSpec};
use crate::model::time::Timestamp;

/// The templates of DaemonSets, and the pods that were made from them, by age.
#[derive(Clone, Debug, Default)]
pub(super) struct Daemons {
    templates: BTreeMap<ObjectKey, Arc<PodSpec>>,
    pods: BTreeMap<ObjectKey, BTreeSet<(Timestamp, String)>>,
}

impl Snapshot {
    pub(super) fn put_daemon_set(&mut self, set: DaemonSet) {
        let key = (set.namespace, set.name);
        self.daemons.templates.insert(key.clone(), set.spec);
        self.look_at_newest(key);
    }

    pub(super) fn remove_daemon_set(&mut self, key: &ObjectKey) {
        self.daemons.templates.remove(key);
        self.daemon_sets.remove(key);
    }

    pub(super) fn put_daemon_pod(&mut self, pod: &Pod) {
        let Some(key) = daemon_set_of(pod) else { return };
        self.daemons.pods.entry(key.clone()).or_default().insert((pod.created, pod.uid.clone()));
        self.look_at_newest(key);
    }

    pub(super) fn remove_daemon_pod(&mut self, pod: &Pod) {
        let Some(key) = daemon_set_of(pod) else { return };
        if let Some(pods) = self.daemons.pods.get_mut(&key) {
            pods.remove(&(pod.created, pod.uid.clone()));
            if pods.is_empty() {
                self.daemons.pods.remove(&key);
            }
        }
        self.look_at_newest(key);
    }

    fn look_at_newest(&mut self, key: ObjectKey) {
        let Some(template) = self.daemons.templates.get(&key) else { return };
        let newest = self.daemons.pods.get(&key).and_then(BTreeSet::last);
        let pod = newest.and_then(|(_, uid)| self.pods.get(uid));
        let spec = Arc::clone(pod.map_or(template, |pod| &pod.spec));
        let (namespace, name) = key.clone();
        self.daemon_sets.insert(key, DaemonSet { namespace, name, spec });
    }
}

fn daemon_set_of(pod: &Pod) -> Option<ObjectKey> {
    let owner = pod.spec.owner.as_ref().filter(|owner| owner.kind == "DaemonSet")?;
    Some((pod.spec.namespace.clone(), owner.name.clone()))
}

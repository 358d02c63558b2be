//! Which class is to be turned when: data, and the time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use whittle_api::node_class::Ec2NodeClass;
use whittle_core::model::labels::{NODE_CLASS_HASH, NODE_CLASS_HASH_VERSION};

/// The classes that are there.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    class: Ec2NodeClass,
    /// When it is to be turned; while it is being turned, because it has changed meanwhile.
    due: Option<Instant>,
    is_turning: bool,
}

impl Agenda {
    /// A class is there or has changed. It is due at once, unless only its status or what we write on it has changed.
    pub(super) fn see(&mut self, class: Ec2NodeClass, now: Instant) {
        let name = class.metadata.name.clone().unwrap_or_default();
        match self.entries.get_mut(&name) {
            Some(entry) => {
                if is_other(&entry.class, &class) {
                    entry.due = Some(now);
                }
                entry.class = class;
            }
            None => {
                let entry = Entry { class, due: Some(now), is_turning: false };
                self.entries.insert(name, entry);
            }
        }
    }

    /// A class is gone.
    pub(super) fn lose(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// The classes that are due, as they are; from now on they are being turned.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Ec2NodeClass> {
        let due = self.entries.values_mut().filter(|entry| !entry.is_turning);
        due.filter(|entry| entry.due.is_some_and(|due| due <= now))
            .map(|entry| {
                entry.is_turning = true;
                entry.due = None;
                entry.class.clone()
            })
            .collect()
    }

    /// A class was turned and is due again after a while, or sooner if it has changed meanwhile.
    pub(super) fn turned(&mut self, name: &str, again: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.is_turning = false;
            entry.due = entry.due.or(Some(now + again));
        }
    }

    /// When the next class is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.values().filter(|entry| !entry.is_turning).filter_map(|entry| entry.due).min()
    }
}

/// Whether a class asks for something else than before.
fn is_other(before: &Ec2NodeClass, after: &Ec2NodeClass) -> bool {
    let annotations = |class: &Ec2NodeClass| {
        let mut annotations = class.metadata.annotations.clone().unwrap_or_default();
        annotations.retain(|key, _| key != NODE_CLASS_HASH && key != NODE_CLASS_HASH_VERSION);
        annotations
    };
    let of = |class: &Ec2NodeClass| {
        let metadata = &class.metadata;
        (metadata.uid.clone(), metadata.generation, metadata.deletion_timestamp.is_some())
    };
    of(before) != of(after)
        || annotations(before) != annotations(after)
        || before.metadata.finalizers != after.metadata.finalizers
}

#[cfg(test)]
mod tests {
    use whittle_api::node_class::Ec2NodeClassSpec;

    use super::*;

    fn class(generation: i64) -> Ec2NodeClass {
        let mut class = Ec2NodeClass::new("a", Ec2NodeClassSpec::default());
        class.metadata.generation = Some(generation);
        class
    }

    fn names(classes: &[Ec2NodeClass]) -> Vec<i64> {
        classes.iter().map(|class| class.metadata.generation.unwrap_or_default()).collect()
    }

    #[test]
    fn a_class_is_due_at_once_when_it_changes_and_again_after_a_while() {
        let (start, minute) = (Instant::now(), Duration::from_secs(60));
        let mut agenda = Agenda::default();
        agenda.see(class(1), start);
        assert_eq!(names(&agenda.take_due(start)), [1]);
        assert_eq!(names(&agenda.take_due(start + minute)), [] as [i64; 0], "it is being turned");
        agenda.turned("a", minute, start);
        assert_eq!(agenda.next(), Some(start + minute));
        agenda.see(class(2), start);
        assert_eq!(names(&agenda.take_due(start)), [2]);
        // It changes while it is turned.
        agenda.see(class(3), start);
        assert_eq!(agenda.next(), None);
        agenda.turned("a", minute, start);
        assert_eq!(names(&agenda.take_due(start)), [3]);
        agenda.lose("a");
        agenda.turned("a", minute, start);
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn what_we_write_ourselves_is_no_change() {
        let now = Instant::now();
        let mut agenda = Agenda::default();
        agenda.see(class(1), now);
        agenda.take_due(now);
        agenda.turned("a", Duration::from_secs(60), now);
        let mut stamped = class(1);
        stamped.metadata.annotations = Some([(NODE_CLASS_HASH.to_owned(), "1".to_owned())].into());
        stamped.metadata.resource_version = Some("7".to_owned());
        agenda.see(stamped.clone(), now);
        assert_eq!(names(&agenda.take_due(now)), [] as [i64; 0]);
        stamped.metadata.annotations = Some([("mine".to_owned(), "1".to_owned())].into());
        agenda.see(stamped, now);
        assert_eq!(names(&agenda.take_due(now)), [1]);
    }
}

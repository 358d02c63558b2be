//! Which launch templates are there, and the end of those that nobody launches from any more.
//!
//! A template's name follows from its content, so that each change of a class, an image or the cluster leaves one behind; EC2
//! holds some thousands in a region. One that was deleted too early is made anew when it is needed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_ec2::types::LaunchTemplate;
use whittle_core::model::labels;
use whittle_core::model::time::{Duration, Timestamp};

use super::tags;
use super::template::PREFIX;
use crate::classes::templates::{all, remove};
use crate::connect::Clients;
use crate::error::Failure;

/// One that was not launched from for so long is deleted.
const KEPT: Duration = Duration::from_secs(3_600);
/// They are looked at so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1_800);

/// The launch templates of a cluster.
#[derive(Debug)]
pub(super) struct Templates {
    /// When each was last launched from, by name.
    used: Mutex<BTreeMap<String, Timestamp>>,
    /// When they were looked at last.
    swept: Mutex<Timestamp>,
}

impl Templates {
    /// None is known yet. What the last process has launched from just now is not known either: nothing is deleted at once.
    pub(super) fn new(now: Timestamp) -> Self {
        Self { used: Mutex::default(), swept: Mutex::new(now) }
    }

    /// Whether a template is known to be there, which is launched from now.
    pub(super) fn is_there(&self, name: &str, now: Timestamp) -> bool {
        self.used(|used| used.get_mut(name).map(|at| *at = now)).is_some()
    }

    /// A template was made.
    pub(super) fn is_made(&self, name: &str, now: Timestamp) {
        self.used(|used| used.insert(name.to_owned(), now));
    }

    /// A template was deleted.
    pub(super) fn is_gone(&self, name: &str) {
        self.used(|used| used.remove(name));
    }

    /// Deletes those that nobody has launched from for long, when it is time to look.
    pub(super) async fn sweep(&self, clients: &Clients, cluster: &str, now: Timestamp) {
        if !self.is_due(now) {
            return;
        }
        if let Err(failure) = self.remove_unneeded(clients, cluster, now).await {
            tracing::warn!("launch templates that nobody needs stay: {failure}");
        }
    }

    async fn remove_unneeded(&self, clients: &Clients, cluster: &str, now: Timestamp) -> Result<(), Failure> {
        let found = all(clients, &[(tags::CLUSTER, cluster)]).await?;
        let unneeded: Vec<_> = found.into_iter().filter(|one| self.is_unneeded(one, now)).collect();
        for template in unneeded {
            // Before, so that a launch meanwhile makes it anew.
            self.is_gone(template.launch_template_name().unwrap_or_default());
            tracing::info!(
                template = template.launch_template_name(),
                "a launch template is deleted: nobody needs it"
            );
            if let Err(failure) = remove(clients, template.launch_template_id.unwrap_or_default()).await {
                tracing::warn!("a launch template that nobody needs stays: {failure}");
            }
        }
        Ok(())
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = *swept + SWEEP_EVERY <= now;
        if is_due {
            *swept = now;
        }
        is_due
    }

    fn is_unneeded(&self, template: &LaunchTemplate, now: Timestamp) -> bool {
        // Others make launch templates for the same cluster, EKS itself among them.
        let is_ours = template.launch_template_name().is_some_and(|name| name.starts_with(PREFIX))
            && template.tags().iter().any(|tag| tag.key() == Some(labels::NODE_POOL));
        let made = template.create_time().and_then(|time| u64::try_from(time.to_millis().ok()?).ok());
        let used = self.used(|used| used.get(template.launch_template_name()?).copied());
        // One without a time is not ours to judge.
        is_ours
            && made
                .map(Timestamp::from_millis)
                .is_some_and(|made| used.map_or(made, |used| used.max(made)) + KEPT <= now)
    }

    fn used<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Timestamp>) -> T) -> T {
        look(&mut self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::primitives::DateTime;
    use aws_sdk_ec2::types::Tag;

    use super::*;

    fn tag(key: &str) -> Tag {
        Tag::builder().key(key).value("x").build()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_template_is_needed_for_an_hour_after_the_last_launch_from_it() {
        let templates = Templates::new(at(0));
        let made_at = |name: &str, secs: i64| {
            LaunchTemplate::builder()
                .launch_template_name(format!("{PREFIX}{name}"))
                .tags(tag(labels::NODE_POOL))
                .create_time(DateTime::from_secs(secs))
                .build()
        };
        let used = format!("{PREFIX}used");
        templates.is_made(&used, at(100));
        assert!(templates.is_there(&used, at(5_000)));
        assert!(!templates.is_unneeded(&made_at("used", 100), at(8_599)));
        assert!(templates.is_unneeded(&made_at("used", 100), at(8_600)));
        assert!(!templates.is_unneeded(&made_at("of another process", 100), at(3_699)));
        assert!(templates.is_unneeded(&made_at("of another process", 100), at(3_700)));
        let others = LaunchTemplate::builder().launch_template_name(format!("{PREFIX}x"));
        let timeless = others.clone().tags(tag(labels::NODE_POOL)).build();
        assert!(!templates.is_unneeded(&timeless, at(1_000_000)));
        let old = others.create_time(DateTime::from_secs(0));
        assert!(!templates.is_unneeded(&old.clone().build(), at(1_000_000)), "of no NodePool");
        let of_eks = old.tags(tag(labels::NODE_POOL)).launch_template_name("eks-x").build();
        assert!(!templates.is_unneeded(&of_eks, at(1_000_000)));
        templates.is_gone(&used);
        assert!(!templates.is_there(&used, at(5_000)));
    }

    #[test]
    fn they_are_looked_at_every_half_hour_and_not_at_once() {
        let templates = Templates::new(at(0));
        let due: Vec<u64> = (0..8_000).filter(|secs| templates.is_due(at(*secs))).collect();
        assert_eq!(due, [1_800, 3_600, 5_400, 7_200]);
    }
}

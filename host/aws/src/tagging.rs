//! Tags that an instance can have only after it was launched: its name, and its NodeClaim when a fleet had several.
//! One at a time, and no more than one a second (Karpenter): nothing depends on them.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::connect::Clients;
use crate::error::Failure;
use crate::launch::seen::Seen;
use crate::launch::tags;

/// EC2 is asked so often for these tags at most.
const PACE: Duration = Duration::from_secs(1);

/// An instance and the tags that it lacks.
pub(crate) type Lacking = (String, BTreeMap<String, String>);

/// The tags that an instance lacks, launched for this NodeClaim.
pub(crate) fn lacking(seen: &Seen, claim: &str) -> BTreeMap<String, String> {
    let wanted = [(tags::NAME, seen.dns_name.as_str()), (tags::NODE_CLAIM, claim)];
    let missing =
        wanted.into_iter().filter(|(key, value)| !value.is_empty() && !seen.tags.contains_key(*key));
    missing.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// Tags instances for as long as anybody names some.
pub(crate) async fn tag(clients: Clients, mut asked: mpsc::Receiver<Lacking>) {
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while let Some((id, lacking)) = asked.recv().await {
        pace.tick().await;
        let made = clients.ec2.create_tags().resources(&id).set_tags(Some(tags::of(&lacking))).send().await;
        if let Err(error) = made {
            // It is listed again, and asked for again.
            tracing::warn!(instance = id, "not tagged: {}", Failure::of("ec2:CreateTags", &error));
        }
    }
}

#[cfg(test)]
mod tests {
    use whittle_core::model::instance_type::CapacityType;
    use whittle_core::model::time::Timestamp;

    use super::*;

    #[test]
    fn a_name_that_the_user_gave_stays() {
        let mut seen = Seen {
            id: "i-1".to_owned(),
            instance_type: "m6i.large".to_owned(),
            zone: "a".to_owned(),
            capacity_type: CapacityType::Spot,
            reservation: None,
            launched: Timestamp::EPOCH,
            is_terminated: false,
            image: String::new(),
            subnet: String::new(),
            security_groups: Vec::new(),
            dns_name: "ip-10-0-0-1.internal".to_owned(),
            tags: BTreeMap::new(),
        };
        let both = [("Name", "ip-10-0-0-1.internal"), ("karpenter.sh/nodeclaim", "web-1")];
        assert_eq!(
            lacking(&seen, "web-1"),
            both.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        );
        seen.tags.insert("Name".to_owned(), "own".to_owned());
        assert_eq!(lacking(&seen, "web-1").into_keys().collect::<Vec<_>>(), ["karpenter.sh/nodeclaim"]);
        assert!(lacking(&seen, "").is_empty());
    }
}

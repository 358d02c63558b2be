//! What the cloud says by itself reaches the core here, and the cloud hears when it was seen to.

use std::collections::HashMap;

use tokio::sync::oneshot;
use whittle_control::ports::Cloud;
use whittle_control::ports::news::{InstanceDrift, InstanceNotice};
use whittle_core::event::{Event, Notice, NoticeKind};
use whittle_core::model::time::Timestamp;
use whittle_core::state::Snapshot;

use super::Driver;
use super::news::is_news;
use crate::outside::Word;
use crate::tell;

/// NodeClaims that something was said about, and who waits until it was seen to.
#[derive(Debug)]
pub(super) struct Unsettled {
    claims: Vec<String>,
    heard: Timestamp,
    settled: oneshot::Sender<()>,
}

impl<C: Cloud + Send + Sync + 'static> Driver<C> {
    /// Takes in what was said meanwhile, all at once.
    pub(super) fn hear_words(&mut self, words: Vec<Word>) {
        let snapshot = self.controller.snapshot();
        let known: HashMap<&str, (&str, &str)> = snapshot
            .claims
            .values()
            .filter_map(|claim| {
                let provider_id = claim.instance.as_ref()?.provider_id.as_str();
                Some((provider_id.rsplit('/').next()?, (provider_id, claim.name.as_str())))
            })
            .collect();
        let (mut events, mut told) = (Vec::new(), Vec::new());
        for Word { notices, drifts, settled } in words {
            let mut claims = Vec::new();
            for InstanceNotice { instance, kind, received, deadline } in notices {
                // An instance of somebody else's, or one that is gone already.
                let Some((provider_id, claim)) = known.get(instance.as_str()) else { continue };
                claims.push((*claim).to_owned());
                told.extend(tell::of_notice(claim, kind, snapshot, &self.book));
                let provider_id = (*provider_id).to_owned();
                events.push(Event::Notice(Notice { provider_id, kind, received, deadline }));
            }
            let drifts = drifts
                .into_iter()
                .map(|InstanceDrift { provider_id, found }| Event::InstanceDrift { provider_id, found });
            events.extend(drifts.filter(|event| is_news(event, snapshot)));
            match settled {
                Some(settled) if !claims.is_empty() => {
                    self.unsettled.push(Unsettled { claims, heard: self.now, settled });
                }
                Some(settled) => answer(settled),
                None => {}
            }
        }
        self.teller.tell(told, self.now);
        for event in events {
            if let Event::Notice(notice) = &event {
                tracing::info!(instance = notice.provider_id, kind = ?notice.kind, "notice");
            }
            self.metrics.heard(&event, self.controller.snapshot(), self.now);
            self.controller.handle(event, self.now);
        }
    }

    /// Tells the cloud what was seen to.
    pub(super) fn settle(&mut self) {
        let snapshot = self.controller.snapshot();
        let decided = self.decided;
        let (settled, left) = std::mem::take(&mut self.unsettled).into_iter().partition(|one: &Unsettled| {
            one.heard < decided && one.claims.iter().all(|claim| is_seen_to(snapshot, claim))
        });
        self.unsettled = left;
        settled.into_iter().for_each(|one| answer(one.settled));
    }
}

fn answer(settled: oneshot::Sender<()>) {
    if settled.send(()).is_err() {
        tracing::debug!("nobody waits any more for what was seen to");
    }
}

/// Whether a NodeClaim is on its way out, or was decided to stay.
fn is_seen_to(snapshot: &Snapshot, claim: &str) -> bool {
    let goes = snapshot.notices.get(claim).is_some_and(|notice| notice.kind == NoticeKind::Reclaim);
    snapshot.claims.get(claim).is_none_or(|claim| claim.deleting.is_some()) || !goes
}

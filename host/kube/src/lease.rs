//! The lease: of several that run, one leads; the others watch and take over when it stops or is not heard of.
//!
//! As in client-go, whether a lease has run out is judged by this machine's own clock since the lease was last seen to
//! change, never by the times that are written in it: clocks differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube_client::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::{namespaced, post};
use crate::error::{Reaction, message, reaction};

/// For so long a lease holds after it was last renewed (client-go's default in controllers).
pub const LASTS: Duration = Duration::from_secs(15);
/// A leader that could not renew for so long stops, well before another may begin.
pub const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// An attempt without an answer for so long is given up, and made again at once.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// How often is looked.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Whose lease it is and where.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The namespace of the lease.
    pub namespace: String,
    /// The name of the lease.
    pub name: String,
    /// Who this is; different for each process.
    pub identity: String,
}

/// Whether this process leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another one does.
    Standby,
    /// This one.
    Leader,
    /// It did, and may not any more.
    Deposed,
}

/// What is to be done about a lease.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Write this.
    Write(Box<LeaseSpec>),
    /// Somebody else holds it.
    Wait,
}

/// What is known of the lease.
#[derive(Clone, Debug, Default)]
struct Seen {
    spec: Option<LeaseSpec>,
    since: Option<Instant>,
}

impl Seen {
    fn look(&mut self, spec: &LeaseSpec, now: Instant) {
        if self.spec.as_ref() != Some(spec) {
            self.spec = Some(spec.clone());
            self.since = Some(now);
        }
    }

    fn step(&mut self, lease: Option<&LeaseSpec>, identity: &str, now: Instant, wall: Timestamp) -> Step {
        let fresh = |transitions| LeaseSpec {
            holder_identity: Some(identity.to_owned()),
            lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
            acquire_time: Some(MicroTime(wall)),
            renew_time: Some(MicroTime(wall)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        };
        let Some(spec) = lease else { return Step::Write(Box::new(fresh(0))) };
        self.look(spec, now);
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        if holder == identity {
            let renewed = LeaseSpec { renew_time: Some(MicroTime(wall)), ..spec.clone() };
            return Step::Write(Box::new(renewed));
        }
        let seconds = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = seconds.map_or(LASTS, Duration::from_secs);
        let has_run_out = self.since.is_some_and(|since| now.duration_since(since) > lasts);
        if holder.is_empty() || has_run_out {
            Step::Write(Box::new(fresh(spec.lease_transitions.unwrap_or(0).saturating_add(1))))
        } else {
            Step::Wait
        }
    }
}

/// When the lease was renewed last; `None` where there is none. A process that was stopped for long and goes on finds its
/// role as it was before anybody could tell it otherwise.
pub type Renewed = watch::Receiver<Option<Instant>>;

/// Stands for the lease until `stop` says so, and gives it back then. Whoever is deposed does not stand again.
pub async fn stand(
    client: Client,
    candidate: Candidate,
    (role, renewals): (watch::Sender<Role>, watch::Sender<Option<Instant>>),
    mut stop: watch::Receiver<bool>,
) {
    let leases: Api<Lease> = namespaced(&client, &candidate.namespace);
    let mut seen = Seen::default();
    let mut renewed: Option<Instant> = None;
    while !*stop.borrow() {
        // The lease counts from when it was asked for, not from the answer: this process may be stopped in between.
        let asked = Instant::now();
        let attempt = tokio::time::timeout(ANSWERED_WITHIN, attempt(&leases, &candidate, &mut seen)).await;
        match attempt {
            Ok(Ok(true)) => {
                renewed = Some(asked);
                renewals.send_replace(renewed);
                role.send_if_modified(|role| std::mem::replace(role, Role::Leader) != Role::Leader);
            }
            Ok(Ok(false)) if renewed.is_some() => break,
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(lease = candidate.name, "the lease cannot be had: {error}"),
            Err(_) => tracing::warn!(lease = candidate.name, "the lease cannot be had: no answer"),
        }
        if renewed.is_some_and(|renewed| renewed.elapsed() > RENEW_WITHIN) {
            break;
        }
        if asked.elapsed() >= ANSWERED_WITHIN {
            continue;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    if *stop.borrow() {
        if renewed.is_some() {
            release(&leases, &candidate).await;
        }
        return;
    }
    role.send_replace(Role::Deposed);
}

/// Takes or renews the lease, if it may be had.
async fn attempt(leases: &Api<Lease>, candidate: &Candidate, seen: &mut Seen) -> Result<bool, String> {
    let found = leases.get_opt(&candidate.name).await.map_err(|error| message(&error))?;
    let spec = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
    let step = seen.step(spec.as_ref(), &candidate.identity, Instant::now(), Timestamp::now());
    let Step::Write(spec) = step else { return Ok(false) };
    let parameters = post();
    let written = match found {
        Some(lease) => {
            let lease = Lease { spec: Some(*spec), ..lease };
            leases.replace(&candidate.name, &parameters, &lease).await
        }
        None => {
            let metadata = ObjectMeta { name: Some(candidate.name.clone()), ..ObjectMeta::default() };
            leases.create(&parameters, &Lease { metadata, spec: Some(*spec) }).await
        }
    };
    match written {
        Ok(_) => Ok(true),
        // Another candidate was quicker.
        Err(error) if reaction(&error) == Reaction::Conflict => Ok(false),
        Err(error) => Err(message(&error)),
    }
}

/// Gives the lease back, so that nobody has to wait until it has run out.
async fn release(leases: &Api<Lease>, candidate: &Candidate) {
    let given_back = async {
        let lease = leases.get(&candidate.name).await?;
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&candidate.identity) {
            return Ok(());
        }
        let spec = LeaseSpec { holder_identity: None, lease_duration_seconds: Some(1), ..spec };
        let parameters = post();
        leases.replace(&candidate.name, &parameters, &Lease { spec: Some(spec), ..lease }).await.map(drop)
    };
    match tokio::time::timeout(ANSWERED_WITHIN, given_back).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!("the lease is not given back: {}", message(&error)),
        Err(_) => tracing::warn!("the lease is not given back: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::coordination::v1::LeaseSpec;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
    use k8s_openapi::jiff::Timestamp;
    use tokio::time::Instant;

    use super::{LASTS, Seen, Step};

    fn spec(holder: Option<&str>, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        }
    }

    fn writes(step: &Step) -> Option<(String, i32)> {
        match step {
            Step::Wait => None,
            Step::Write(spec) => {
                Some((spec.holder_identity.clone().unwrap(), spec.lease_transitions.unwrap()))
            }
        }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_free_and_kept_when_it_is_ours() {
        let (now, wall) = (Instant::now(), Timestamp::from_second(100).unwrap());
        let step = |spec: Option<&LeaseSpec>| writes(&Seen::default().step(spec, "me", now, wall));
        assert_eq!(step(None), Some(("me".into(), 0)));
        assert_eq!(step(Some(&spec(None, 1))), Some(("me".into(), 4)));
        assert_eq!(step(Some(&spec(Some(""), 1))), Some(("me".into(), 4)));
        assert_eq!(step(Some(&spec(Some("me"), 1))), Some(("me".into(), 3)));
        assert_eq!(step(Some(&spec(Some("other"), 1))), None);
    }

    #[test]
    fn the_lease_of_another_is_taken_when_it_was_not_renewed_for_as_long_as_it_lasts_by_our_own_clock() {
        let (start, wall) = (Instant::now(), Timestamp::from_second(100_000).unwrap());
        let mut seen = Seen::default();
        // What is written in it is long ago, and says nothing.
        assert_eq!(seen.step(Some(&spec(Some("other"), 1)), "me", start, wall), Step::Wait);
        let later = start + LASTS;
        assert_eq!(seen.step(Some(&spec(Some("other"), 2)), "me", later, wall), Step::Wait);
        let before = later + LASTS;
        assert_eq!(seen.step(Some(&spec(Some("other"), 2)), "me", before, wall), Step::Wait);
        let after = before + Duration::from_millis(1);
        let step = seen.step(Some(&spec(Some("other"), 2)), "me", after, wall);
        assert_eq!(writes(&step), Some(("me".into(), 4)));
    }
}

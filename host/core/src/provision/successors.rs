//! Pods that take over the room of those that a node on its way was planned for.
//!
//! What a pod asks of the node itself is what the one before it asked. Where it may be relative to others is looked at
//! anew: they may have come since.

use std::collections::BTreeMap;

use crate::model::pod::Pod;
use crate::provision::Work;
use crate::provision::schedule::Schedule;
use crate::provision::topology::Place;
use crate::state::Snapshot;
use crate::state::groups::GroupId;
use crate::state::vacancies::Vacancy;

/// Fills room on nodes that are not launched yet with pods that wait for a place: they are expected there from now on.
pub(crate) fn fill_vacancies<'a>(
    schedule: &mut Schedule<'_, '_>,
    snapshot: &'a Snapshot,
    places: &BTreeMap<&str, Place>,
    work: &mut Work<'a>,
) {
    let mut vacant = Vacant::of(snapshot);
    if vacant.is_empty() {
        return;
    }
    for (group, pods) in &mut work.wanted {
        let demand = schedule.problem.required(schedule.problem.by_group[group]);
        let kept = work.kept.entry(*group).or_default();
        pods.retain(|pod| {
            let will_do = |claim: &str| {
                let place = places.get(claim).copied()?;
                schedule.admits_undecided(place, demand).then_some(place)
            };
            let Some((claim, place)) = vacant.take(*group, pod, will_do) else { return true };
            schedule.take(place, demand);
            kept.push((pod, claim));
            work.successors.push((pod, claim));
            false
        });
    }
    work.wanted.retain(|_, pods| !pods.is_empty());
    work.kept.retain(|_, pods| !pods.is_empty());
}

/// What is left of room.
struct Vacant<'a> {
    /// For pods without volumes, by their group: how many each NodeClaim has room for.
    by_group: BTreeMap<GroupId, BTreeMap<&'a str, usize>>,
    /// For others, by their volumes.
    by_volumes: BTreeMap<&'a [String], Vec<&'a Vacancy>>,
}

impl<'a> Vacant<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        let (mut by_group, mut by_volumes) = (BTreeMap::<_, BTreeMap<_, _>>::new(), BTreeMap::new());
        for vacancy in snapshot.vacant() {
            let Vacancy { claim, group, volume_claims, .. } = vacancy;
            if volume_claims.is_empty() {
                *by_group.entry(*group).or_default().entry(claim.as_str()).or_default() += 1;
            } else {
                by_volumes.entry(volume_claims.as_slice()).or_insert_with(Vec::new).push(vacancy);
            }
        }
        Self { by_group, by_volumes }
    }

    fn is_empty(&self) -> bool {
        self.by_group.is_empty() && self.by_volumes.is_empty()
    }

    /// Takes the first room for a pod that will do.
    fn take(
        &mut self,
        group: GroupId,
        pod: &Pod,
        will_do: impl Fn(&str) -> Option<Place>,
    ) -> Option<(&'a str, Place)> {
        if let Some(left) = self.by_volumes.get_mut(pod.volume_claims.as_slice()) {
            let suits = |one: &&Vacancy| one.is_for(pod).then(|| will_do(&one.claim)).flatten();
            let (at, place) = left.iter().enumerate().find_map(|(at, one)| Some((at, suits(one)?)))?;
            return Some((&left.remove(at).claim, place));
        }
        let left = self.by_group.get_mut(&group)?;
        let (claim, place) = left.keys().find_map(|claim| Some((*claim, will_do(claim)?)))?;
        let pods = left.get_mut(claim)?;
        *pods -= 1;
        if *pods == 0 {
            left.remove(claim);
        }
        Some((claim, place))
    }
}

//! Pods that take over the room of those that a node on its way was planned for.
//!
//! A successor gets no more than was planned for the one before it, and only where that is certain to do still: a
//! DaemonSet may have come since, its volume may be elsewhere, EC2 may have no such instance any more, and others may
//! run where it must not be near them. Whoever is not certain of it waits for another node.
//!
//! Nodes that are there come before those on their way, as for all pods.

use std::collections::BTreeMap;

use crate::lifecycle::leftover::allows;
use crate::model::instance_type::InstanceType;
use crate::model::labels;
use crate::model::node::NodeClaim;
use crate::model::pod::Pod;
use crate::model::requirement::Operator;
use crate::provision::amounts::{self, Amounts};
use crate::provision::draft::Refused;
use crate::provision::existing::reaches;
use crate::provision::schedule::Schedule;
use crate::provision::topology::{Domain, Place};
use crate::provision::{PASSES_MAX, Work, age, may_be_nominated, rank};
use crate::state::Snapshot;
use crate::state::groups::GroupId;
use crate::state::vacancies::Vacancy;

/// Gives pods that wait for a place the room that others like them have left on nodes that are not launched yet: they
/// are expected there from now on. The largest come first, as everywhere.
pub(crate) fn fill_vacancies<'a>(
    schedule: &mut Schedule<'_, '_>,
    snapshot: &'a Snapshot,
    places: &BTreeMap<&str, Place>,
    work: &mut Work<'a>,
) {
    let mut vacant = Vacant::of(schedule, snapshot, places);
    if !work.wanted.iter().any(|(group, pods)| vacant.may_have_room(*group, pods)) {
        return;
    }
    let mut left = without_place_there(schedule, snapshot, work);
    left.retain(|(group, _)| vacant.may_have_room(*group, &work.wanted[group]));
    for _ in 0..PASSES_MAX {
        let mut filled = 0;
        for (group, most) in &mut left {
            let found = fill(schedule, &mut vacant, (*group, *most), (snapshot, work));
            *most -= found;
            filled += found;
        }
        if filled == 0 {
            break;
        }
        vacant.look_again();
    }
    work.wanted.retain(|_, pods| !pods.is_empty());
}

/// How many pods of each group would not find a place on the nodes that are there, the largest first.
fn without_place_there(
    schedule: &mut Schedule<'_, '_>,
    snapshot: &Snapshot,
    work: &Work<'_>,
) -> Vec<(GroupId, usize)> {
    let mut groups: Vec<GroupId> = work.wanted.keys().copied().collect();
    groups.sort_by_cached_key(|group| {
        let oldest = work.wanted[group].iter().copied().min_by_key(|pod| age(pod));
        rank(snapshot.group(*group), oldest)
    });
    let before = schedule.save();
    let left = groups.into_iter().map(|group| {
        let (demand, pods) = (schedule.problem.by_group[&group], work.wanted[&group].len());
        (group, pods - schedule.place_on_nodes(demand, pods).len())
    });
    let left = left.filter(|(_, pods)| *pods > 0).collect();
    schedule.swap(before);
    left
}

/// Fills what can be filled now, for so many pods of a group at most, and says for how many it was.
fn fill<'a>(
    schedule: &mut Schedule<'_, '_>,
    vacant: &mut Vacant<'a>,
    (group, most): (GroupId, usize),
    (snapshot, work): (&'a Snapshot, &mut Work<'a>),
) -> usize {
    let Some(pods) = work.wanted.get_mut(&group) else { return 0 };
    let demand = schedule.problem.required(schedule.problem.by_group[&group]);
    let before = pods.len();
    let mut left = most;
    // Who has waited longest has what is there already.
    let all =
        pods.iter().filter(|pod| pod.volume_claims.is_empty() && may_be_nominated(snapshot, pod)).count();
    let mut older = all.saturating_sub(most);
    pods.retain(|pod| {
        if left == 0 || !may_be_nominated(snapshot, pod) {
            return true;
        }
        if older > 0 && pod.volume_claims.is_empty() {
            older -= 1;
            return true;
        }
        let Some((claim, place)) = vacant.take(schedule, (group, demand), pod) else {
            // Pods without volumes are all alike: what is not for one of them is for none.
            left = if pod.volume_claims.is_empty() { 0 } else { left };
            return true;
        };
        schedule.take(place, demand);
        work.kept.entry(group).or_default().push((pod, claim));
        work.successors.push((pod, claim));
        left -= 1;
        false
    });
    before - pods.len()
}

/// What is left of room.
struct Vacant<'a> {
    /// For pods without volumes, by their group.
    by_group: BTreeMap<GroupId, Vec<Bucket<'a>>>,
    /// For others, by their volumes: one for each pod that left.
    by_volumes: BTreeMap<&'a [String], Vec<(&'a Vacancy, &'a str, Place)>>,
}

/// NodeClaims that a rule about a label cannot tell apart: what it refuses one of them it refuses all.
struct Bucket<'a> {
    domains: Vec<Option<Domain>>,
    /// Each with how many pods it has room for, the first at the end.
    claims: Vec<(&'a str, Place, usize)>,
    /// Those that refuse a pod now.
    aside: Vec<(&'a str, Place, usize)>,
}

impl<'a> Vacant<'a> {
    fn of(schedule: &Schedule<'_, '_>, snapshot: &'a Snapshot, places: &BTreeMap<&str, Place>) -> Self {
        let mut vacant = Self { by_group: BTreeMap::new(), by_volumes: BTreeMap::new() };
        for (claim, left) in &snapshot.vacancies {
            let has_promised = |place: &&Place| schedule.problem.existing[**place].promised.is_some();
            let Some(place) = places.get(claim.as_str()).filter(has_promised).copied() else { continue };
            let mut of_group: BTreeMap<GroupId, usize> = BTreeMap::new();
            for vacancy in left.values() {
                if vacancy.volume_claims.is_empty() {
                    *of_group.entry(vacancy.group).or_default() += 1;
                } else {
                    let alike = vacant.by_volumes.entry(&vacancy.volume_claims).or_default();
                    alike.push((vacancy, claim, place));
                }
            }
            for (group, pods) in of_group {
                vacant.add(schedule, group, (claim, place, pods));
            }
        }
        let buckets = vacant.by_group.values_mut().flatten();
        buckets.for_each(|bucket| bucket.claims.reverse());
        vacant
    }

    fn add(&mut self, schedule: &Schedule<'_, '_>, group: GroupId, claim: (&'a str, Place, usize)) {
        let Some(demand) = schedule.problem.by_group.get(&group) else { return };
        let domains = schedule.domains_of(claim.1, schedule.problem.required(*demand));
        let buckets = self.by_group.entry(group).or_default();
        match buckets.iter_mut().find(|bucket| bucket.domains == domains) {
            Some(bucket) => bucket.claims.push(claim),
            None => buckets.push(Bucket { domains, claims: vec![claim], aside: Vec::new() }),
        }
    }

    fn may_have_room(&self, group: GroupId, pods: &[&Pod]) -> bool {
        let by_volumes = |pod: &&Pod| self.by_volumes.contains_key(pod.volume_claims.as_slice());
        self.by_group.contains_key(&group) || (!self.by_volumes.is_empty() && pods.iter().any(by_volumes))
    }

    /// Others have got places: what was refused because of them may do now.
    fn look_again(&mut self) {
        let buckets = self.by_group.values_mut().flatten();
        buckets.for_each(|bucket| bucket.claims.extend(bucket.aside.drain(..).rev()));
    }

    /// Takes the first room for a pod that will do.
    fn take(
        &mut self,
        schedule: &Schedule<'_, '_>,
        (group, demand): (GroupId, usize),
        pod: &Pod,
    ) -> Option<(&'a str, Place)> {
        if let Some(left) = self.by_volumes.get_mut(pod.volume_claims.as_slice()) {
            let volumes = &schedule.problem.demands[demand].group.volumes;
            let at = left.iter().position(|(vacancy, _, place)| {
                let is_in_reach = reaches(&schedule.problem.existing[*place], volumes);
                vacancy.is_for(pod) && is_in_reach && schedule.refused_on_undecided(*place, demand).is_none()
            })?;
            let (_, claim, place) = left.remove(at);
            return Some((claim, place));
        }
        self.by_group.get_mut(&group)?.iter_mut().find_map(|bucket| bucket.take(schedule, demand))
    }
}

impl<'a> Bucket<'a> {
    fn take(&mut self, schedule: &Schedule<'_, '_>, demand: usize) -> Option<(&'a str, Place)> {
        while let Some((claim, place, pods)) = self.claims.last_mut() {
            match schedule.refused_on_undecided(*place, demand) {
                None => {
                    let found = (*claim, *place);
                    *pods -= 1;
                    if *pods == 0 {
                        self.claims.pop();
                    }
                    return Some(found);
                }
                Some(Refused::Topology { rule }) if schedule.problem.rules[rule].label.is_some() => {
                    return None;
                }
                Some(refused) if schedule.is_final(refused) => drop(self.claims.pop()),
                Some(_) => self.aside.extend(self.claims.pop()),
            }
        }
        None
    }
}

/// Says of nodes on their way that have a vacancy what they are certain to have for pods; those of which it is not
/// certain promise nothing.
pub(crate) fn promise(schedule: &mut Schedule<'_, '_>, snapshot: &Snapshot, places: &BTreeMap<&str, Place>) {
    let stay = snapshot.vacancies.keys().filter(|claim| snapshot.is_expected(claim));
    let claims = stay.filter_map(|name| snapshot.claim_or_asked(name));
    let asked: Vec<_> = claims.map(|claim| (claim, schedule.problem.axes.row(&claim.requests))).collect();
    let mut forms = Forms { schedule, snapshot, by_name: BTreeMap::new() };
    let promised = asked.into_iter().filter_map(|(claim, requests)| {
        Some((*places.get(claim.name.as_str())?, forms.promised(claim, requests)?))
    });
    for (place, promised) in promised.collect::<Vec<_>>() {
        schedule.problem.existing[place].promised = Some(promised);
    }
}

/// What NodeClaims that are not launched yet may become, as things are now.
struct Forms<'s, 'b, 'c> {
    schedule: &'s Schedule<'b, 'c>,
    snapshot: &'s Snapshot,
    /// By universe the positions of its instance types.
    by_name: BTreeMap<usize, BTreeMap<&'s str, usize>>,
}

impl Forms<'_, '_, '_> {
    /// What there is for pods whatever a NodeClaim becomes: what it was planned with, if all of its instance types still
    /// have that besides the DaemonSets of now, and one of them can be had.
    fn promised(&mut self, claim: &NodeClaim, requests: Amounts) -> Option<Amounts> {
        let problem = &*self.schedule.problem;
        let template = problem.templates.iter().find(|template| template.pool.name == claim.node_pool)?;
        let universe = &problem.universes[template.universe];
        let by_name = self.by_name.entry(template.universe).or_insert_with(|| {
            universe.types.iter().enumerate().map(|(at, kind)| (kind.name.as_str(), at)).collect()
        });
        let listed = claim.requirements.iter().find(|requirement| {
            requirement.key == labels::INSTANCE_TYPE && requirement.operator == Operator::In
        })?;
        let listed: Vec<usize> =
            listed.values.iter().filter_map(|name| by_name.get(name.as_str()).copied()).collect();
        let is_sold = |kind: &InstanceType| {
            kind.offerings.iter().any(|offering| {
                let key = (kind.name.clone(), offering.zone.clone(), offering.capacity_type);
                offering.available
                    && self.snapshot.is_available(&key, problem.now)
                    && allows(claim, kind, offering)
            })
        };
        listed.iter().find(|kind| is_sold(&universe.types[**kind]))?;
        let daemons = |kind: usize| {
            let overhead = template.overheads.iter().find(|overhead| overhead.types.contains(kind));
            overhead.map(|overhead| &overhead.requests)
        };
        let daemons: Vec<&Amounts> = listed.iter().map(|kind| daemons(*kind)).collect::<Option<_>>()?;
        // As launches ask: for the pods, and the least that DaemonSets take.
        let mut pods = requests;
        amounts::subtract(&mut pods, daemons.iter().min()?);
        let holds = |(kind, daemons): (&usize, &&Amounts)| {
            let mut all = pods.clone();
            amounts::add(&mut all, daemons);
            amounts::fits(&all, universe.allocatable(*kind))
        };
        listed.iter().zip(&daemons).all(holds).then_some(pods)
    }
}

//! Limits of NodePools as a reason, and what is in use under them.

use crate::model::node_pool::NODES;
use crate::provision::amounts;
use crate::provision::bits::Bits;
use crate::provision::explain::Explainer;
use crate::provision::problem::Demand;
use crate::provision::template::Room;
use crate::why::Why;

impl Explainer<'_, '_, '_> {
    /// The limit of which the most types that would do are too large.
    pub(super) fn why_limit(&mut self, at: usize, demand: &Demand) -> Why {
        if let Some(limit) = self.schedule.problem.templates[at].pool.limits.get(NODES).copied()
            && self.schedule.problem.templates[at].room.nodes == Some(0)
        {
            let (resource, used) = (NODES.to_owned(), self.used(at, NODES));
            let (needed, instance_types, too_large) = (1, 0, 0);
            return Why::Limit { resource, limit, used, needed, instance_types, too_large };
        }
        let types = self.without_limits(at, demand);
        let mut tightest: Option<(usize, usize)> = None;
        for (_, axis) in self.limited(at) {
            let too_large = self.too_large(at, axis, &types);
            if tightest.is_none_or(|(most, _)| too_large > most) {
                tightest = Some((too_large, axis));
            }
        }
        let Some((too_large, axis)) = tightest else { return Why::FixedReplicas };
        let problem = &*self.schedule.problem;
        let template = &problem.templates[at];
        let resource = problem.axes.name(axis).to_owned();
        let limit = template.pool.limits.get(&resource).copied().unwrap_or(0);
        let capacity = &problem.universes[template.universe].capacity;
        let needed = types.iter().map(|of| amounts::at(&capacity[of], axis)).min().unwrap_or(0);
        let [instance_types, too_large] =
            [types.count(), too_large].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        let used = self.used(at, &resource);
        Why::Limit { resource, limit, used, needed, instance_types, too_large }
    }

    /// The instance types that would do for a pod if the NodePool had no limits.
    fn without_limits(&mut self, at: usize, demand: &Demand) -> Bits {
        let problem = &mut *self.schedule.problem;
        let room = std::mem::take(&mut problem.templates[at].room);
        let draft = problem.open(at, demand, self.place);
        problem.templates[at].room = room;
        draft.map(|draft| draft.shape.types).unwrap_or_default()
    }

    fn too_large(&self, at: usize, axis: usize, types: &Bits) -> usize {
        let template = &self.schedule.problem.templates[at];
        let capacity = &self.schedule.problem.universes[template.universe].capacity;
        let left = template.room.amounts[axis].unwrap_or(u64::MAX);
        types.iter().filter(|of| amounts::at(&capacity[*of], axis) > left).count()
    }

    /// The resources that a NodePool limits, by name, with their positions. `nodes` is none of them.
    pub(super) fn limited(&self, at: usize) -> Vec<(String, usize)> {
        let problem = &*self.schedule.problem;
        let Room { amounts, .. } = &problem.templates[at].room;
        let limited = amounts.iter().enumerate().filter(|(_, left)| left.is_some());
        let mut limited: Vec<_> =
            limited.map(|(axis, _)| (problem.axes.name(axis).to_owned(), axis)).collect();
        limited.sort_unstable();
        limited
    }

    /// How much of a resource (or how many nodes) a NodePool has in use or planned.
    pub(super) fn used(&mut self, at: usize, resource: &str) -> u64 {
        let (used, nodes) = self.used.entry(at).or_insert_with(|| {
            let problem = &*self.schedule.problem;
            let (mut used, mut nodes) = self.decided.snapshot.used_of_pool(&problem.templates[at].pool.name);
            for draft in self.schedule.drafts.iter().filter(|draft| draft.template == at) {
                used = used.plus(&problem.axes.resources(&draft.charged));
                nodes += 1;
            }
            (used, nodes)
        });
        if resource == NODES { *nodes } else { used.get(resource) }
    }
}

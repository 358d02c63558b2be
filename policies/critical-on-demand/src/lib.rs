//! Keeps pods that matter, by priority or by label, on capacity that EC2 does not take back. All others are bought as
//! without this policy.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy. A pod matters when either of the two says so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CriticalOnDemand {
    /// Pods of at least this priority matter.
    #[serde(default)]
    min_priority: Option<i32>,
    /// Pods of these workloads matter.
    #[serde(default)]
    workloads: Vec<Workloads>,
}

impl Policy for CriticalOnDemand {
    fn reads(&self) -> Reads {
        Reads { pod_labels: self.workloads.iter().flat_map(Workloads::reads).collect(), ..Reads::default() }
    }

    fn complaints(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if self.min_priority.is_none() && self.workloads.is_empty() {
            complaints
                .push(Complaint::new("", "names nothing that matters, expected minPriority or workloads"));
        }
        for (place, workloads) in self.workloads.iter().enumerate() {
            if workloads.is_every() {
                let path = format!("workloads[{place}]");
                complaints.push(Complaint::new(
                    path,
                    "means every workload, expected something that tells some apart",
                ));
            }
        }
        complaints
    }
}

impl CriticalOnDemand {
    fn matters(&self, group: &PodGroup) -> bool {
        self.min_priority.is_some_and(|least| group.priority >= least)
            || self.workloads.iter().any(|workloads| workloads.contains(group))
    }
}

impl Capacity for CriticalOnDemand {
    fn choose(&self, _market: &Market<'_>, group: &PodGroup) -> Choice {
        // Pods that may be on spot only are their owner's choice, not this policy's.
        let may_be_firm = group.capacity_types.iter().any(|allowed| *allowed != CapacityType::Spot);
        if !self.matters(group) || !may_be_firm {
            return Choice::Default;
        }
        Choice::all_on(group, [CapacityType::Reserved, CapacityType::OnDemand], "critical pods stay off spot")
    }
}

export_policy!(CriticalOnDemand: Policy, Capacity);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> CriticalOnDemand {
        let labels = [("tier".to_owned(), "critical".to_owned())].into();
        let workloads = vec![Workloads { labels, ..Workloads::default() }];
        CriticalOnDemand { min_priority: Some(1_000), workloads }
    }

    fn preferred(group: &PodGroup) -> Option<Vec<CapacityType>> {
        match policy().choose(&Market::default(), group) {
            Choice::Split(split) => Some(split.shares[0].prefer.clone()),
            Choice::Default | Choice::Hold(_) => None,
        }
    }

    #[test]
    fn pods_that_matter_stay_off_spot() {
        let firm = Some(vec![CapacityType::Reserved, CapacityType::OnDemand]);
        assert_eq!(preferred(&group().prioritized(1_000)), firm);
        assert_eq!(preferred(&group().labelled("tier", "critical")), firm);
    }

    #[test]
    fn all_others_are_left_alone() {
        assert_eq!(preferred(&group().prioritized(999).labelled("tier", "web")), None);
    }

    #[test]
    fn pods_that_may_only_be_on_spot_are_left_alone() {
        assert_eq!(preferred(&group().prioritized(5_000).allowing([CapacityType::Spot])), None);
    }

    #[test]
    fn settings_that_mean_nothing_or_everything_are_complained_about() {
        let nothing = CriticalOnDemand { min_priority: None, workloads: Vec::new() };
        assert_eq!(nothing.complaints().len(), 1);
        let everything = CriticalOnDemand { min_priority: None, workloads: vec![Workloads::default()] };
        assert_eq!(everything.complaints()[0].path, "workloads[0]");
        assert_eq!(policy().complaints(), []);
    }
}

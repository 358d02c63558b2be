//! Keeps a floor of on-demand pods per workload and puts a share of the rest on spot, counting what already runs.
//!
//! Only pods that wait are placed: what runs on the wrong side of the ratio stays until it is replaced.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SpotRatio {
    /// So many pods of each workload run on capacity that EC2 does not take back, before any goes to spot.
    #[serde(default)]
    on_demand_base: u32,
    /// The share of all pods above the base that runs on spot.
    spot_percent: Percent,
    /// The workloads that this is about. Without it, all.
    #[serde(default)]
    workloads: Workloads,
    /// Whether pods meant for spot may be bought on-demand when spot cannot be had.
    #[serde(default = "yes")]
    fall_back: bool,
}

fn yes() -> bool {
    true
}

/// Capacity that EC2 does not take back: what is paid for already comes first.
const FIRM: [CapacityType; 2] = [CapacityType::Reserved, CapacityType::OnDemand];

impl Policy for SpotRatio {
    fn reads(&self) -> Reads {
        Reads { pod_labels: self.workloads.reads(), ..Reads::default() }
    }
}

impl SpotRatio {
    /// How many of a workload's pods are meant to be on spot when it has this many.
    fn spot_of(&self, pods: u32) -> u32 {
        let above = pods.saturating_sub(self.on_demand_base);
        let spot = integer::percent_rounded_down(u64::from(above), self.spot_percent.get());
        u32::try_from(spot).unwrap_or(u32::MAX)
    }
}

impl Capacity for SpotRatio {
    fn choose(&self, _market: &Market<'_>, group: &PodGroup) -> Choice {
        // Pods that may be on one side only are their owner's choice, not this policy's.
        let may_be_spot = group.capacity_types.contains(&CapacityType::Spot);
        let may_be_firm = group.capacity_types.iter().any(|allowed| FIRM.contains(allowed));
        if !self.workloads.contains(group) || !may_be_spot || !may_be_firm {
            return Choice::Default;
        }
        let wanted = self.spot_of(group.running_anywhere().saturating_add(group.pending));
        let missing = wanted.saturating_sub(group.running_as(CapacityType::Spot));
        let (spot, firm) = group.divide(missing);
        let spot = match self.fall_back {
            true => spot.on([CapacityType::Spot, CapacityType::Reserved, CapacityType::OnDemand]),
            false => spot.on([CapacityType::Spot]),
        };
        let percent = self.spot_percent.get();
        Choice::shares(
            [firm.on(FIRM), spot],
            format!("{percent} % spot above {} on-demand", self.on_demand_base),
        )
    }

    /// Groups of one workload that are asked about together count together: each sees what those before it got.
    fn choose_all(&self, market: &Market<'_>, groups: &[PodGroup]) -> Vec<Choice> {
        let mut given: BTreeMap<[&str; 3], (u32, u32)> = BTreeMap::new();
        let mut choices = Vec::with_capacity(groups.len());
        for group in groups {
            let workload = [group.namespace.as_str(), &group.owner_kind, &group.owner_name];
            let (spot, firm) = given.get(&workload).copied().unwrap_or_default();
            let choice = if spot + firm == 0 {
                self.choose(market, group)
            } else {
                let counted = group.clone().running_on(CapacityType::Spot, "", spot);
                self.choose(market, &counted.running_on(CapacityType::OnDemand, "", firm))
            };
            let on_spot = choice.pods_on(CapacityType::Spot);
            if choice != Choice::Default {
                given.insert(workload, (spot + on_spot, firm + (group.pending - on_spot)));
            }
            choices.push(choice);
        }
        choices
    }
}

export_policy!(SpotRatio: Policy, Capacity);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> SpotRatio {
        SpotRatio {
            on_demand_base: 2,
            spot_percent: Percent::new(80),
            workloads: Workloads::default(),
            fall_back: true,
        }
    }

    fn counts(choice: &Choice) -> (u32, u32) {
        let firm = choice.pods_on(CapacityType::OnDemand) + choice.pods_on(CapacityType::Reserved);
        (firm, choice.pods_on(CapacityType::Spot))
    }

    #[test]
    fn a_new_workload_is_divided_above_its_base() {
        let cases = [(1, (1, 0)), (2, (2, 0)), (7, (3, 4)), (12, (4, 8)), (102, (22, 80))];
        for (pods, expected) in cases {
            let choice = policy().choose(&Market::default(), &group().pods(pods));
            assert_eq!(counts(&choice), expected, "{pods} pods");
        }
    }

    #[test]
    fn what_runs_already_counts() {
        let grown = group().pods(10).running_on(CapacityType::OnDemand, "a", 2);
        assert_eq!(counts(&policy().choose(&Market::default(), &grown)), (2, 8));
        let after_reclaims = group().pods(8).running_on(CapacityType::OnDemand, "a", 4);
        assert_eq!(counts(&policy().choose(&Market::default(), &after_reclaims)), (0, 8));
        let on_the_wrong_side = group().pods(5).running_on(CapacityType::Spot, "a", 20);
        assert_eq!(counts(&policy().choose(&Market::default(), &on_the_wrong_side)), (5, 0));
    }

    #[test]
    fn groups_of_one_workload_count_together() {
        let groups = [group().pods(6), group().pods(6), group().owned_by("Deployment", "api").pods(2)];
        let choices = policy().choose_all(&Market::default(), &groups);
        let sum = choices.iter().take(2).map(counts).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert_eq!(sum, (4, 8));
        assert_eq!(counts(&choices[2]), (2, 0));
    }

    #[test]
    fn pods_that_may_be_on_one_side_only_are_left_alone() {
        for only in [CapacityType::OnDemand, CapacityType::Spot] {
            let group = group().pods(10).allowing([only]);
            assert_eq!(policy().choose(&Market::default(), &group), Choice::Default);
        }
    }

    #[test]
    fn other_workloads_are_left_alone() {
        let jobs = Workloads { kinds: vec!["Job".into()], ..Workloads::default() };
        let policy = SpotRatio { workloads: jobs, ..policy() };
        assert_eq!(policy.choose(&Market::default(), &group().pods(9)), Choice::Default);
    }

    #[test]
    fn without_a_fallback_spot_is_waited_for() {
        let choice = SpotRatio { fall_back: false, ..policy() }.choose(&Market::default(), &group().pods(7));
        let Choice::Split(split) = choice else { panic!("{choice:?}") };
        assert_eq!(split.shares[1].prefer, [CapacityType::Spot]);
    }
}

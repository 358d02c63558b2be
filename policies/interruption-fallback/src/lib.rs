//! Buys on-demand while EC2 takes much spot back, and returns to spot slowly.
//!
//! A policy remembers nothing, so whether spot is calm is read from what the host remembers: the reclaims of the last
//! two hours in spans of five minutes are gone through from the oldest to the newest, and the state at the end is the
//! state now. The same history always comes to the same state.

#![forbid(unsafe_code)]

use whittle_guest_sdk::prelude::*;

/// The settings are the policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InterruptionFallback {
    /// So many reclaims within `window` start the fallback.
    reclaims: u32,
    /// The time in which reclaims are counted, in steps of five minutes.
    #[serde(default = "quarter_of_an_hour")]
    window: Span,
    /// At most so many reclaims within `window` count as calm.
    #[serde(default)]
    calm_reclaims: u32,
    /// It has to be calm for so long before the return begins, an hour at most.
    #[serde(default = "half_an_hour")]
    calm_for: Span,
    /// The share of waiting pods that goes to spot in the first five minutes of the return; each five minutes add as
    /// much, until all do.
    #[serde(default = "a_quarter")]
    return_percent: Percent,
    /// A single offering with so many reclaims within an hour is not bought until it has been calm for `calmFor`.
    /// Without it, no offering is told apart.
    #[serde(default)]
    offering_reclaims: Option<u32>,
    /// The workloads that this is about. Without it, all.
    #[serde(default)]
    workloads: Workloads,
}

/// What the host counts reclaims in.
const SPAN: Span = Span::from_secs(300);

fn quarter_of_an_hour() -> Span {
    Span::from_secs(900)
}

fn half_an_hour() -> Span {
    Span::from_secs(1_800)
}

fn a_quarter() -> Percent {
    Percent::new(25)
}

/// Where spot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calm for as long as anybody remembers, or the return is complete.
    Calm,
    /// Too much is taken back; calm for so many spans now.
    Fallen { calm_spans: u64 },
    /// On the way back, for so many spans.
    Returning { spans: u64 },
}

impl Policy for InterruptionFallback {
    fn reads(&self) -> Reads {
        Reads { pod_labels: self.workloads.reads(), ..Reads::default() }
    }

    fn complaints(&self) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if self.reclaims == 0 || self.reclaims <= self.calm_reclaims {
            let expected =
                format!("found {}, expected more than calmReclaims ({})", self.reclaims, self.calm_reclaims);
            complaints.push(Complaint::new("reclaims", expected));
        }
        let hour = Span::from_secs(3_600);
        for (path, span) in [("window", self.window), ("calmFor", self.calm_for)] {
            if span < SPAN || span > hour || !span.millis().is_multiple_of(SPAN.millis()) {
                complaints.push(Complaint::new(path, "expected a multiple of 5m, 1h at most"));
            }
        }
        if self.return_percent.get() == 0 {
            complaints.push(Complaint::new("returnPercent", "found 0, expected 1 to 100"));
        }
        complaints
    }
}

impl InterruptionFallback {
    /// Goes through spans of reclaims, the newest first as the host gives them.
    fn state(&self, recent: &[u64]) -> State {
        let window = usize::try_from(self.window.millis() / SPAN.millis()).unwrap_or(usize::MAX);
        let calm_for = self.calm_for.millis() / SPAN.millis();
        let mut state = State::Calm;
        for newest in (0..recent.len()).rev() {
            let counted: u64 = recent.iter().skip(newest).take(window).sum();
            state = if counted >= u64::from(self.reclaims) {
                State::Fallen { calm_spans: 0 }
            } else {
                match state {
                    State::Calm => State::Calm,
                    State::Fallen { .. } if counted > u64::from(self.calm_reclaims) => {
                        State::Fallen { calm_spans: 0 }
                    }
                    State::Fallen { calm_spans } if calm_spans + 1 >= calm_for => {
                        State::Returning { spans: 1 }
                    }
                    State::Fallen { calm_spans } => State::Fallen { calm_spans: calm_spans + 1 },
                    State::Returning { spans } => {
                        let complete = spans * u64::from(self.return_percent.get()) >= 100;
                        if complete { State::Calm } else { State::Returning { spans: spans + 1 } }
                    }
                }
            };
        }
        state
    }

    /// The reclaims of spot in all zones, by span.
    fn recent(market: &Market<'_>) -> Vec<u64> {
        let mut sums: Vec<u64> = Vec::new();
        for supply in market.of(CapacityType::Spot) {
            sums.resize(sums.len().max(supply.recent_reclaims.len()), 0);
            for (sum, count) in sums.iter_mut().zip(&supply.recent_reclaims) {
                *sum += u64::from(*count);
            }
        }
        sums
    }
}

/// Capacity that EC2 does not take back.
const FIRM: [CapacityType; 2] = [CapacityType::Reserved, CapacityType::OnDemand];

impl Capacity for InterruptionFallback {
    fn choose(&self, market: &Market<'_>, group: &PodGroup) -> Choice {
        // Pods that may be on spot only have nothing to fall back to.
        let may_be_firm = group.capacity_types.iter().any(|allowed| FIRM.contains(allowed));
        if !self.workloads.contains(group) || !may_be_firm {
            return Choice::Default;
        }
        match self.state(&Self::recent(market)) {
            State::Calm => Choice::Default,
            State::Fallen { .. } => Choice::all_on(group, FIRM, "EC2 takes much spot back"),
            State::Returning { spans } => {
                let percent = (spans * u64::from(self.return_percent.get())).min(100);
                let percent = u32::try_from(percent).unwrap_or(100);
                let spot = integer::percent_rounded_up(u64::from(group.pending), percent);
                let (spot, firm) = group.divide(u32::try_from(spot).unwrap_or(u32::MAX));
                let reason = format!("returning to spot, {percent} % of new pods");
                Choice::shares([firm.on(FIRM), spot.by_default()], reason)
            }
        }
    }
}

impl Offerings for InterruptionFallback {
    fn judge(&self, catalog: &Catalog<'_>, offering: &Offering) -> Option<OfferingVerdict> {
        let most = self.offering_reclaims?;
        let latest = offering.reclaims.latest?;
        let is_recent = catalog.now.saturating_sub(latest) < self.calm_for.millis();
        let is_hot = offering.reclaims.last_hour >= most && is_recent;
        is_hot.then(|| {
            OfferingVerdict::Forbid(format!("taken back {} times in an hour", offering.reclaims.last_hour))
        })
    }
}

export_policy!(InterruptionFallback: Policy, Capacity, Offerings);

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> InterruptionFallback {
        InterruptionFallback {
            reclaims: 5,
            window: quarter_of_an_hour(),
            calm_reclaims: 0,
            calm_for: half_an_hour(),
            return_percent: a_quarter(),
            offering_reclaims: Some(2),
            workloads: Workloads::default(),
        }
    }

    /// How many of twelve pods may go to spot when these are the reclaims by span, the newest first.
    fn spot_of_twelve(recent: &[u32]) -> u32 {
        let supplies = [supply(CapacityType::Spot, "a").reclaimed_lately(recent.iter().copied())];
        let market = Market { now: 0, supplies: &supplies };
        let group = group().pods(12).allowing([CapacityType::Spot, CapacityType::OnDemand]);
        match policy().choose(&market, &group) {
            Choice::Default => 12,
            choice @ Choice::Split(_) => 12 - choice.pods_on(CapacityType::OnDemand),
            Choice::Hold(_) => panic!("nothing is held"),
        }
    }

    /// Five reclaims so many spans ago, and none since.
    fn after(spans: usize) -> Vec<u32> {
        let mut recent = vec![0; spans];
        recent.push(5);
        recent
    }

    #[test]
    fn few_reclaims_change_nothing_and_many_start_the_fallback() {
        assert_eq!(spot_of_twelve(&[4]), 12);
        assert_eq!(spot_of_twelve(&[5]), 0);
        assert_eq!(spot_of_twelve(&[2, 2, 1]), 0);
        assert_eq!(spot_of_twelve(&[2, 2, 0, 1]), 12);
    }

    #[test]
    fn the_fallback_outlasts_the_reclaims_and_the_return_is_paced() {
        // The reclaims leave the window after 3 spans, then it has to be calm for 6.
        let states: Vec<u32> = (0..14).map(|spans| spot_of_twelve(&after(spans))).collect();
        assert_eq!(states, [0, 0, 0, 0, 0, 0, 0, 0, 3, 6, 9, 12, 12, 12]);
    }

    #[test]
    fn reclaims_during_the_calm_start_it_anew() {
        let mut recent = after(8);
        recent[2] = 1;
        assert_eq!(spot_of_twelve(&recent), 0);
    }

    #[test]
    fn reclaims_in_all_zones_count_together() {
        let spot = |zone| supply(CapacityType::Spot, zone).reclaimed_lately([3]);
        let supplies = [spot("a"), spot("b"), supply(CapacityType::OnDemand, "a")];
        let market = Market { now: 0, supplies: &supplies };
        let choice = policy().choose(&market, &group().pods(2));
        assert_eq!(choice.pods_on(CapacityType::Reserved), 2);
    }

    #[test]
    fn an_offering_that_is_taken_back_again_and_again_is_not_bought_for_a_while() {
        let catalog = |now| Catalog { now, ..Catalog::default() };
        let hot = offering(0, "a", CapacityType::Spot).reclaimed(2, 0);
        assert!(policy().judge(&catalog(1_799_999), &hot).is_some());
        assert_eq!(policy().judge(&catalog(1_800_000), &hot), None);
        assert_eq!(policy().judge(&catalog(0), &offering(0, "a", CapacityType::Spot).reclaimed(1, 0)), None);
    }

    #[test]
    fn settings_that_cannot_be_kept_are_complained_about() {
        let wrong = InterruptionFallback {
            reclaims: 0,
            window: Span::from_secs(60),
            calm_for: Span::from_secs(7_200),
            return_percent: Percent::new(0),
            ..policy()
        };
        let paths: Vec<String> = wrong.complaints().into_iter().map(|complaint| complaint.path).collect();
        assert_eq!(paths, ["reclaims", "window", "calmFor", "returnPercent"]);
        assert_eq!(policy().complaints(), []);
    }
}

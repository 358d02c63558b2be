//! What is for sale in a region, asked of AWS again and again: instance types, zones and what they offer, prices.
//!
//! ```text
//! DescribeInstanceTypes · …Offerings · DescribeAvailabilityZones · DescribeSpotPriceHistory · GetProducts
//!        │ types              offerings                              spot                       on_demand
//!        ▼
//!      Live ──► Catalog::with_live ──► watch: whoever asks the catalogue has the newest
//! ```
//!
//! What could not be found is as it was known before, and is asked for again soon. What EC2 has run out of right now is not
//! here: the core knows, from its own launches.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use whittle_catalog::catalog::Catalog;
use whittle_catalog::live::{Found, Live, Part};
use whittle_catalog::names::kept;
use whittle_core::model::time::Timestamp;

use crate::connect::Clients;
use crate::error::Failure;

mod offerings;
mod on_demand;
mod spot;
mod types;

/// What was found is asked for again after this long (Karpenter: 12 h).
const EVERY: Duration = Duration::from_secs(12 * 60 * 60);
/// What could not be found is asked for again after this long. The SDK has tried several times by then, so this is no
/// matter of one lost packet.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Regions of partitions in which no Pricing service answers begin with these.
const UNPRICED: [&str; 4] = ["us-gov-", "us-iso", "eu-isoe-", "eusc-"];

/// How a market is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The region.
    pub region: String,
    /// Who knows prices on demand.
    pub list_prices: ListPrices,
    /// How often spot prices are asked for, where it is more often than everything else.
    pub spot_every: Option<Duration>,
}

/// Who knows prices on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListPrices {
    /// The Pricing service.
    Pricing,
    /// Nobody who can be asked: the VPC has no way out, or the partition has no such service. The tables' stay.
    Embedded,
}

impl ListPrices {
    /// Who knows them in a region, from a VPC that has a way out or not. Karpenter asks nobody in GovCloud either; no more
    /// do the isolated partitions and the sovereign one of Europe have a service that can be asked from there.
    #[must_use]
    pub fn of(region: &str, vpc: Vpc) -> Self {
        match vpc {
            Vpc::Open if !UNPRICED.iter().any(|area| region.starts_with(area)) => Self::Pricing,
            Vpc::Open | Vpc::Isolated => Self::Embedded,
        }
    }
}

/// Whether a VPC has a way to services outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vpc {
    /// It has.
    Open,
    /// It has not.
    Isolated,
}

/// What is for sale in a region, and when it is asked for next.
#[derive(Debug)]
pub struct Market {
    clients: Clients,
    settings: Settings,
    /// What is known without AWS.
    embedded: Catalog,
    live: Live,
    newest: watch::Sender<Catalog>,
    due: BTreeMap<Part, Instant>,
}

impl Market {
    /// Nothing is asked yet. The catalogue is what is known without AWS; the line has it first, and then what is found.
    #[must_use]
    pub fn new(clients: Clients, settings: Settings, catalog: Catalog) -> (Self, watch::Receiver<Catalog>) {
        let (newest, line) = watch::channel(catalog.clone());
        let now = Instant::now();
        let is_asked =
            |part: &Part| *part != Part::OnDemandPrices || settings.list_prices == ListPrices::Pricing;
        let due = Part::ALL.into_iter().filter(is_asked).map(|part| (part, now)).collect();
        let live = Live::nothing_of(kept(&settings.region));
        (Self { clients, settings, embedded: catalog, live, newest, due }, line)
    }

    /// Asks for what is due, at first for everything, side by side. What cannot be found is logged and is due again soon.
    pub async fn refresh(&mut self) {
        let start = Instant::now();
        let due: Vec<Part> = self.due.iter().filter(|(_, at)| **at <= start).map(|(part, _)| *part).collect();
        let answers = join_all(due.iter().map(|part| find(&self.clients, self.live.region, *part))).await;
        let now = Instant::now();
        for (part, answer) in due.into_iter().zip(answers) {
            self.take(part, answer, now);
        }
        self.tell();
    }

    /// Goes on asking until it is told to stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let next = self.due.values().min().copied().unwrap_or_else(|| Instant::now() + EVERY);
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = sleep_until(next) => {}
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = self.refresh() => {}
            }
        }
    }

    fn tell(&self) {
        self.newest.send_replace(self.embedded.clone().with_live(self.live.clone()));
    }

    fn take(&mut self, part: Part, answer: Answer, now: Instant) {
        self.due.insert(part, now + pause(part, &self.settings, answer.failure.as_ref()));
        if let Some(failure) = &answer.failure {
            tracing::warn!(
                operation = failure.operation,
                code = failure.code,
                "{} are as they were known before: {}",
                part.words(),
                failure.message
            );
        } else {
            tracing::info!(region = self.live.region, "{} are found", part.words());
        }
        let known = std::mem::take(&mut self.live);
        self.live = known.updated_by(answer.live);
    }
}

/// What came of asking for a part: perhaps something, and perhaps not everything.
#[derive(Debug)]
struct Answer {
    live: Live,
    failure: Option<Failure>,
}

async fn find(clients: &Clients, region: &'static str, part: Part) -> Answer {
    let clock = SystemTime::now();
    let at = timestamp(clock);
    let mut live = Live::nothing_of(region);
    let failure = match part {
        Part::Specifications => keep(types::specifications(clients).await, at, &mut live.specifications),
        Part::Zones => keep(offerings::zones(clients).await, at, &mut live.zones),
        Part::Offerings => keep(offerings::offered(clients).await, at, &mut live.offered),
        Part::SpotPrices => keep(spot::prices(clients, clock).await, at, &mut live.spot),
        Part::OnDemandPrices => {
            let listed = on_demand::prices(clients, region).await;
            // Prices that were found are true, whatever could not be found beside them.
            live.on_demand = Some(Found { at, what: listed.prices });
            listed.failure
        }
    };
    Answer { live, failure }
}

/// Keeps what was found, or says why nothing was.
fn keep<T>(found: Result<T, Failure>, at: Timestamp, place: &mut Option<Found<T>>) -> Option<Failure> {
    match found {
        Ok(what) => {
            *place = Some(Found { at, what });
            None
        }
        Err(failure) => Some(failure),
    }
}

/// How long it is until a part is asked for again.
fn pause(part: Part, settings: &Settings, failure: Option<&Failure>) -> Duration {
    let regular = match part {
        Part::SpotPrices => settings.spot_every.unwrap_or(EVERY).min(EVERY),
        Part::Specifications | Part::Zones | Part::Offerings | Part::OnDemandPrices => EVERY,
    };
    if failure.is_some() { regular.min(AFTER_FAILURE) } else { regular }
}

fn timestamp(clock: SystemTime) -> Timestamp {
    let since = clock.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use whittle_core::model::price::Price;

    use super::*;
    use crate::connect::without_credentials;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn settings(spot_every: Option<Duration>) -> Settings {
        Settings { region: "eu-west-1".to_owned(), list_prices: ListPrices::Pricing, spot_every }
    }

    #[test]
    fn spot_prices_alone_may_be_asked_for_more_often() {
        let pauses = |spot_every| Part::ALL.map(|part| pause(part, &settings(spot_every), None));
        assert_eq!(pauses(None), [EVERY; 5]);
        assert_eq!(pauses(Some(HOUR)), [EVERY, EVERY, EVERY, EVERY, HOUR]);
        assert_eq!(pauses(Some(HOUR * 100)), [EVERY; 5], "never less often");
    }

    #[test]
    fn what_could_not_be_found_is_asked_for_again_soon() {
        let failure = Failure { operation: "pricing:GetProducts", code: None, message: String::new() };
        let seconds = Duration::from_secs(20);
        let after = |every| pause(Part::SpotPrices, &settings(every), Some(&failure));
        assert_eq!((after(None), after(Some(seconds))), (AFTER_FAILURE, seconds));
    }

    #[tokio::test]
    async fn what_is_found_is_told_and_what_is_not_stays_as_it_was_and_is_due_again_soon() {
        let pool = ("m6i.large", "eu-west-1a");
        let (mut market, line) = Market::new(without_credentials(), settings(None), Catalog::embedded());
        let known = || {
            let catalog = line.borrow();
            let price = catalog.spot_price("eu-west-1", pool.0, pool.1);
            (price.map(|quote| quote.price.micros()), catalog.found_at("eu-west-1", Part::SpotPrices))
        };
        assert_eq!(known().1, None);
        let now = Instant::now();
        let (at, nothing) = (Timestamp::from_millis(7), Live::nothing_of("eu-west-1"));
        let what = BTreeMap::from([(pool, Price::from_micros(31_000))]);
        let live = Live { spot: Some(Found { at, what }), ..nothing.clone() };
        market.take(Part::SpotPrices, Answer { live, failure: None }, now);
        market.tell();
        assert_eq!(known(), (Some(31_000), Some(at)));
        assert_eq!(market.due[&Part::SpotPrices], now + EVERY);

        let operation = "ec2:DescribeSpotPriceHistory";
        let failure = Some(Failure { operation, code: None, message: "nobody answers".to_owned() });
        market.take(Part::SpotPrices, Answer { live: nothing, failure }, now);
        market.tell();
        assert_eq!(known(), (Some(31_000), Some(at)));
        assert_eq!(market.due[&Part::SpotPrices], now + AFTER_FAILURE);
    }

    #[test]
    fn prices_are_not_asked_for_where_nobody_would_answer() {
        let asked = |region| [ListPrices::of(region, Vpc::Open), ListPrices::of(region, Vpc::Isolated)];
        for region in ["eu-west-1", "us-east-1", "cn-north-1", "us-west-2"] {
            assert_eq!(asked(region), [ListPrices::Pricing, ListPrices::Embedded], "{region}");
        }
        for region in [
            "us-gov-west-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "us-isof-south-1",
            "eu-isoe-west-1",
            "eusc-de-east-1",
        ] {
            assert_eq!(asked(region), [ListPrices::Embedded, ListPrices::Embedded], "{region}");
        }
    }
}

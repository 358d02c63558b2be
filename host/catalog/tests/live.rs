//! What was found while the process runs goes before the tables, part by part.

use std::collections::{BTreeMap, BTreeSet};

use whittle_catalog::catalog::Catalog;
use whittle_catalog::listing::{self, Filter};
use whittle_catalog::live::{Found, Live, Part};
use whittle_catalog::names::kept;
use whittle_catalog::on_demand::Quote;
use whittle_catalog::price_book::PriceBook;
use whittle_catalog::settings::NodeClassSettings;
use whittle_catalog::specification::Specification;
use whittle_catalog::zone::Zone;
use whittle_core::model::instance_type::{CapacityType, InstanceType};
use whittle_core::model::price::Price;
use whittle_core::model::time::Timestamp;

const SEOUL: &str = "ap-northeast-2";
const A: &str = "ap-northeast-2a";
const B: &str = "ap-northeast-2b";

fn found<T>(what: T) -> Option<Found<T>> {
    Some(Found { at: Timestamp::from_millis(1_795_000_000_000), what })
}

fn nothing() -> Live {
    Live::nothing_of(SEOUL)
}

fn micros(micros: u64) -> Price {
    Price::from_micros(micros)
}

/// A type that no table knows.
fn new_type() -> Specification {
    let like = Catalog::embedded().specification("m6i.large").cloned().expect("a type of the tables");
    Specification { name: kept("m99.large"), memory_mib: 9_999, ..like }
}

fn types(catalog: &Catalog, region: &str) -> Vec<InstanceType> {
    catalog.instance_types(region, &NodeClassSettings::default()).expect("a region")
}

fn offerings(catalog: &Catalog, name: &str) -> Vec<(String, CapacityType, u64, bool)> {
    let kind = catalog.instance_type(SEOUL, name, &NodeClassSettings::default());
    let kind = kind.ok().flatten().expect("a type of the region");
    let told = kind.offerings.into_iter();
    told.map(|one| (one.zone, one.capacity_type, one.price.micros(), one.available)).collect()
}

#[test]
fn with_nothing_found_everything_is_as_the_tables_have_it() {
    let (embedded, live) = (Catalog::embedded(), Catalog::embedded().with_live(nothing()));
    assert_eq!(types(&live, SEOUL), types(&embedded, SEOUL));
    assert_eq!(live.specifications(), embedded.specifications());
    assert_eq!(live.zones(SEOUL), embedded.zones(SEOUL));
    assert!(live.regions().eq(embedded.regions()));
    let filter = Filter { region: SEOUL.to_owned(), ..Filter::default() };
    let listed =
        |catalog: &Catalog| listing::list(catalog, &NodeClassSettings::default(), &filter).unwrap().to_json();
    assert_eq!(listed(&live), listed(&embedded));
}

#[test]
fn what_is_found_of_a_region_says_nothing_of_another() {
    let spot = found(BTreeMap::from([(("m6i.large", A), micros(1))]));
    let live = Catalog::embedded().with_live(Live { spot, ..nothing() });
    assert_eq!(types(&live, "us-east-1"), types(&Catalog::embedded(), "us-east-1"));
    assert_eq!(live.found_at("us-east-1", Part::SpotPrices), None);
}

#[test]
fn a_type_that_the_tables_do_not_know_is_sold_where_and_for_what_was_found() {
    let live = Live {
        specifications: found(vec![new_type()]),
        offered: found(BTreeMap::from([("m99.large", BTreeSet::from([A]))])),
        on_demand: found(BTreeMap::from([("m99.large", micros(130_000))])),
        spot: found(BTreeMap::from([(("m99.large", A), micros(41_000))])),
        ..nothing()
    };
    let catalog = Catalog::embedded().with_live(live);
    let expected = [
        (A.to_owned(), CapacityType::Spot, 41_000, true),
        (A.to_owned(), CapacityType::OnDemand, 130_000, true),
    ];
    assert_eq!(offerings(&catalog, "m99.large"), expected);
    let names: Vec<_> = types(&catalog, SEOUL).into_iter().map(|kind| kind.name).collect();
    assert_eq!(names, ["m99.large"], "nothing else was said to be offered");
    assert_eq!(catalog.specification("m6i.large"), Catalog::embedded().specification("m6i.large"));
}

#[test]
fn a_type_without_any_price_stays_and_cannot_be_had() {
    let live = Live {
        specifications: found(vec![new_type()]),
        offered: found(BTreeMap::from([("m99.large", BTreeSet::from([A]))])),
        ..nothing()
    };
    let expected = [
        (A.to_owned(), CapacityType::Spot, u64::MAX, false),
        (A.to_owned(), CapacityType::OnDemand, u64::MAX, false),
    ];
    assert_eq!(offerings(&Catalog::embedded().with_live(live), "m99.large"), expected);
}

#[test]
fn in_a_zone_with_spot_prices_what_has_none_cannot_be_had_and_elsewhere_estimates_stay() {
    let spot =
        found(BTreeMap::from([(("m6i.large", A), micros(50_000)), (("c6i.large", B), micros(40_000))]));
    let live = Catalog::embedded().with_live(Live { spot, ..nothing() });
    let quote = |zone| live.spot_price(SEOUL, "m6i.large", zone);
    assert_eq!(quote(A), Some(Quote { price: micros(50_000), estimated: false }));
    assert_eq!(quote(B), None);
    let elsewhere = Catalog::embedded().spot_price(SEOUL, "m6i.large", "ap-northeast-2c");
    assert!(elsewhere.is_some_and(|quote| quote.estimated));
    assert_eq!(quote("ap-northeast-2c"), elsewhere);
    let in_b: Vec<_> = offerings(&live, "m6i.large").into_iter().filter(|one| one.0 == B).collect();
    let on_demand = live.on_demand_price(SEOUL, "m6i.large", B).unwrap().price.micros();
    let expected = [
        (B.to_owned(), CapacityType::Spot, u64::MAX, false),
        (B.to_owned(), CapacityType::OnDemand, on_demand, true),
    ];
    assert_eq!(in_b, expected);
}

#[test]
fn a_price_of_the_users_own_goes_before_one_that_was_found() {
    let text = format!("region,zone,type,capacity_type,usd_per_hour\n{SEOUL},{A},m6i.large,spot,0.03\n");
    let book = PriceBook::parse("prices", &text, &Catalog::embedded()).unwrap();
    let spot =
        found(BTreeMap::from([(("m6i.large", A), micros(50_000)), (("m6i.large", B), micros(60_000))]));
    let catalog = Catalog::embedded().with_prices(book).with_live(Live { spot, ..nothing() });
    let quote = |zone| catalog.spot_price(SEOUL, "m6i.large", zone).map(|quote| quote.price.micros());
    assert_eq!((quote(A), quote(B)), (Some(30_000), Some(60_000)));
}

#[test]
fn zones_have_the_ids_of_the_account_and_there_may_be_new_ones() {
    let zones = vec![Zone { name: B, id: "apne2-az9" }, Zone { name: A, id: "apne2-az8" }];
    let live = Catalog::embedded().with_live(Live { zones: found(zones), ..nothing() });
    let names: Vec<_> = live.zones(SEOUL).unwrap().iter().map(|zone| zone.name).collect();
    assert_eq!(names, [A, B], "in order");
    let kind = live.instance_type(SEOUL, "m6i.large", &NodeClassSettings::default()).unwrap().unwrap();
    let ids: Vec<_> = kind.offerings.iter().map(|one| (&*one.zone, &*one.zone_id)).collect();
    assert_eq!(ids, [(A, "apne2-az8"), (A, "apne2-az8"), (B, "apne2-az9"), (B, "apne2-az9")]);
}

#[test]
fn a_region_that_the_tables_do_not_know_is_there_when_its_zones_and_offerings_are() {
    let mars = "mars-north-1";
    let live = |offered| Live {
        zones: found(vec![Zone { name: "mars-north-1a", id: "mrn1-az1" }]),
        on_demand: found(BTreeMap::from([("m6i.large", micros(7))])),
        offered,
        ..Live::nothing_of(mars)
    };
    let catalog = Catalog::embedded().with_live(live(None));
    let unknown = catalog.instance_types(mars, &NodeClassSettings::default()).unwrap_err();
    assert!(!unknown.known.contains(&mars));
    let offered = found(BTreeMap::from([("m6i.large", BTreeSet::from(["mars-north-1a"]))]));
    let catalog = Catalog::embedded().with_live(live(offered));
    assert!(catalog.regions().any(|region| region == mars));
    let names: Vec<_> = types(&catalog, mars).into_iter().map(|kind| kind.name).collect();
    assert_eq!(names, ["m6i.large"]);
    let price = catalog.on_demand_price(mars, "m6i.large", "mars-north-1a");
    assert_eq!(price, Some(Quote { price: micros(7), estimated: false }));
}

#[test]
fn what_is_found_later_is_added_or_replaces_what_it_speaks_of() {
    let early = Live {
        specifications: found(vec![new_type()]),
        on_demand: found(BTreeMap::from([("m6i.large", micros(1)), ("c6i.large", micros(2))])),
        spot: found(BTreeMap::from([(("m6i.large", A), micros(3))])),
        ..nothing()
    };
    let at = Timestamp::from_millis(1_795_000_060_000);
    let late = Live {
        specifications: Some(Found { at, what: Vec::new() }),
        on_demand: Some(Found { at, what: BTreeMap::from([("c6i.large", micros(4))]) }),
        spot: Some(Found { at, what: BTreeMap::from([(("m6i.large", B), micros(5))]) }),
        ..nothing()
    };
    let expected = Live {
        specifications: early.specifications.clone(),
        on_demand: Some(Found {
            at,
            what: BTreeMap::from([("m6i.large", micros(1)), ("c6i.large", micros(4))]),
        }),
        spot: late.spot.clone(),
        ..nothing()
    };
    assert_eq!(early.updated_by(late), expected);
}

#[test]
fn a_listing_says_what_was_found_and_when() {
    let spot = found(BTreeMap::from([(("m6i.large", A), micros(50_000))]));
    let catalog = Catalog::embedded().with_live(Live { spot, ..nothing() });
    assert_eq!(catalog.found_at(SEOUL, Part::SpotPrices), Some(Timestamp::from_millis(1_795_000_000_000)));
    assert_eq!(catalog.found_at(SEOUL, Part::OnDemandPrices), None);
    let filter = Filter { region: SEOUL.to_owned(), name: Some("m6i.large".to_owned()), ..Filter::default() };
    let listing = listing::list(&catalog, &NodeClassSettings::default(), &filter).unwrap();
    let expected = "Found in AWS, which goes before these: spot prices at 2026-11-18T11:06:40Z.";
    assert_eq!(listing.sources.last().map(String::as_str), Some(expected));
}

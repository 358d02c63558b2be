use whittle_core::model::instance_type::CapacityType;

use super::{Filter, Listing, Sort, list};
use crate::catalog::Catalog;
use crate::price_book::PriceBook;
use crate::settings::NodeClassSettings;

fn listed(filter: Filter) -> Listing {
    let region = if filter.region.is_empty() { "us-east-1".to_owned() } else { filter.region };
    list(&Catalog::embedded(), &NodeClassSettings::default(), &Filter { region, ..filter }).unwrap()
}

fn names(listing: &Listing) -> Vec<&'static str> {
    listing.rows.iter().map(|row| row.specification.name).collect()
}

fn families<const N: usize>(families: [&str; N]) -> Filter {
    Filter { families: families.map(str::to_owned).to_vec(), ..Filter::default() }
}

fn named(pattern: &str) -> Option<String> {
    Some(pattern.to_owned())
}

#[test]
fn a_family_is_listed_from_small_to_large_and_metal_after_its_equal() {
    let expected = ["m7g.medium", "m7g.large", "m7g.xlarge", "m7g.2xlarge", "m7g.4xlarge", "m7g.8xlarge"];
    let expected = expected.into_iter().chain(["m7g.12xlarge", "m7g.16xlarge", "m7g.metal"]);
    assert_eq!(names(&listed(families(["m7g"]))), expected.collect::<Vec<_>>());
}

#[test]
fn every_condition_must_hold() {
    let cases = [
        (
            Filter { name: named("m7?.large"), ..Filter::default() },
            vec!["m7a.large", "m7g.large", "m7i.large"],
        ),
        (Filter { name: named("m7?.large"), arch: named("arm64"), ..Filter::default() }, vec!["m7g.large"]),
        (
            Filter { vcpus_min: Some(4), vcpus_max: Some(8), ..families(["c7g", "c7i-flex"]) },
            vec!["c7g.xlarge", "c7g.2xlarge", "c7i-flex.xlarge", "c7i-flex.2xlarge"],
        ),
        (
            Filter { memory_mib_min: Some(16_384), memory_mib_max: Some(16_384), ..families(["r7g"]) },
            vec!["r7g.large"],
        ),
        (
            Filter { gpus_min: Some(4), vcpus_max: Some(48), ..families(["g4dn", "g5", "m5"]) },
            vec!["g4dn.12xlarge", "g5.12xlarge"],
        ),
        (
            Filter {
                categories: vec!["t".to_owned()],
                generation_min: Some(4),
                vcpus_max: Some(2),
                memory_mib_min: Some(4_096),
                ..Filter::default()
            },
            vec!["t4g.medium", "t4g.large", "t8i.medium"],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(names(&listed(filter.clone())), expected, "{filter:?}");
    }
}

#[test]
fn the_order_is_that_asked_for() {
    let order = |sort| {
        let filter = Filter { sort, name: named("*.large"), ..families(["c7g", "m7g", "r7i", "m7i"]) };
        names(&listed(filter))
    };
    assert_eq!(order(Sort::Name), ["c7g.large", "m7g.large", "m7i.large", "r7i.large"]);
    assert_eq!(order(Sort::Cpu), ["c7g.large", "m7g.large", "m7i.large", "r7i.large"]);
    assert_eq!(order(Sort::Memory), ["c7g.large", "m7g.large", "m7i.large", "r7i.large"]);
    let by_price = |capacity_type| {
        let filter = Filter {
            sort: Sort::Price,
            name: named("*.large"),
            capacity_type,
            ..families(["c7g", "m7g", "r7i", "m7i", "r9g"])
        };
        names(&listed(filter))
    };
    let on_demand = ["c7g.large", "m7g.large", "m7i.large", "r7i.large"];
    assert_eq!(by_price(Some(CapacityType::OnDemand)), on_demand);
    assert_eq!(by_price(None).last(), Some(&"r9g.large"), "what has no price comes last");
}

#[test]
fn a_limit_says_how_many_it_leaves_out() {
    let listing = listed(Filter { limit: Some(2), ..families(["m7g"]) });
    assert_eq!((names(&listing), listing.omitted), (vec!["m7g.medium", "m7g.large"], 7));
    assert!(listing.to_table().contains("2 instance types in us-east-1; 7 more without the limit."));
}

#[test]
fn prices_are_those_of_the_zones_and_the_capacity_type_asked_for() {
    let filter = Filter {
        region: "ap-northeast-2".to_owned(),
        zones: vec!["ap-northeast-2c".to_owned()],
        capacity_type: Some(CapacityType::Spot),
        name: named("m6i.large"),
        ..Filter::default()
    };
    let listing = listed(filter);
    let [row] = &listing.rows[..] else { panic!("{} rows", listing.rows.len()) };
    let quote = Catalog::embedded().spot_price("ap-northeast-2", "m6i.large", "ap-northeast-2c");
    assert_eq!(row.zones.len(), 1);
    assert_eq!((row.zones[0].spot, row.zones[0].on_demand), (quote, None));
    assert_eq!(
        row.spot.as_ref().map(|spot| (&*spot.zone, spot.quote)),
        quote.map(|quote| ("ap-northeast-2c", quote))
    );
    assert_eq!(row.on_demand, None);
}

#[test]
fn a_name_that_the_catalogue_does_not_have_is_an_error_with_those_it_has() {
    let unknown = |filter: Filter| {
        list(&Catalog::embedded(), &NodeClassSettings::default(), &filter).unwrap_err().to_string()
    };
    let in_seoul = || Filter { region: "ap-northeast-2".to_owned(), ..Filter::default() };
    let some = |text: &str| vec![text.to_owned()];
    let expected = "region: found \"moon\", expected one of af-south-1, ap-east-1, ";
    assert!(unknown(Filter { region: "moon".to_owned(), ..Filter::default() }).starts_with(expected));
    assert_eq!(
        unknown(Filter { zones: some("us-east-1a"), ..in_seoul() }),
        "zone: found \"us-east-1a\", expected one of \
        ap-northeast-2a, ap-northeast-2b, ap-northeast-2c, ap-northeast-2d"
    );
    assert_eq!(
        unknown(Filter { arch: named("x86"), ..in_seoul() }),
        "arch: found \"x86\", expected one of amd64, arm64"
    );
    let expected = "category: found \"q\", expected one of a, c, d, ";
    assert!(unknown(Filter { categories: some("q"), ..in_seoul() }).starts_with(expected));
    let expected = "family: found \"m66\", expected one of a1, c1, ";
    assert!(unknown(Filter { families: some("m66"), ..in_seoul() }).starts_with(expected));
}

#[test]
fn the_table_marks_estimates_and_names_its_sources() {
    let filter = Filter { name: named("*.xlarge"), limit: Some(3), ..families(["g4dn", "m5d", "t4g"]) };
    let expected = "\
TYPE         ARCH   VCPU  MEMORY  GPU     NVME  PODS  ON-DEMAND/H    SPOT/H  CHEAPEST ZONE  RECLAIMED/MONTH
g4dn.xlarge  amd64     4  16 GiB  1 t4  125 GB    29      $0.5260  ~$0.1431  us-east-1d             ~18.9 %
m5d.xlarge   amd64     4  16 GiB  -     150 GB    58      $0.2260  ~$0.0966  us-east-1d              ~7.5 %
t4g.xlarge   arm64     4  16 GiB  -          -    58      $0.1344  ~$0.0409  us-east-1b             ~20.5 %

3 instance types in us-east-1. ~ marks estimates.
Instance types and zones: as EC2 describes them, recorded in moto 5.2.5, 2026-10-27.
On-demand prices: us-east-1 as published by AWS, 2026-07-20; other regions are estimated from us-east-1 by a ratio \
per region and category.
Spot prices and reclaim rates: estimated by a model from figures of the AWS Spot Instance Advisor, 2025-06-28.
";
    assert_eq!(listed(filter).to_table(), expected);
}

#[test]
fn columns_in_which_no_row_has_anything_are_left_out() {
    let filter = Filter {
        region: "ap-northeast-2".to_owned(),
        capacity_type: Some(CapacityType::OnDemand),
        name: named("t3.medium"),
        ..Filter::default()
    };
    let table = listed(filter).to_table();
    let expected = "\
TYPE       ARCH   VCPU  MEMORY  PODS  ON-DEMAND/H
t3.medium  amd64     2   4 GiB    17     ~$0.0520

1 instance type in ap-northeast-2. ~ marks estimates.
";
    assert!(table.starts_with(expected), "{table}");
}

#[test]
fn prices_of_ones_own_are_not_marked_and_are_counted_below() {
    let catalog = Catalog::embedded();
    let text = "region,zone,type,capacity_type,usd_per_hour\nap-northeast-2,,t3.medium,on-demand,0.052\n";
    let book = PriceBook::parse("prices.csv", text, &catalog).unwrap();
    let filter =
        Filter { region: "ap-northeast-2".to_owned(), name: named("t3.medium"), ..Filter::default() };
    let table = list(&catalog.with_prices(book), &NodeClassSettings::default(), &filter).unwrap().to_table();
    assert!(table.contains("  $0.0520  ~$"), "{table}");
    assert!(table.ends_with("\nPrices of your own, which go before these: 1.\n"), "{table}");
}

#[test]
fn the_json_holds_every_zone_and_says_what_is_estimated() {
    let json = listed(Filter { name: named("c6g.large"), ..Filter::default() }).to_json();
    assert!(json.ends_with("}\n"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["region"], "us-east-1");
    let row = &json["rows"][0];
    assert_eq!((&row["name"], &row["vcpus"]), (&"c6g.large".into(), &2.into()));
    assert_eq!(row["onDemand"], serde_json::json!({"microUsdPerHour": 68_000, "estimated": false}));
    assert_eq!(row["spot"]["estimated"], true);
    let zones = row["zones"].as_array().unwrap();
    let zones: Vec<_> = zones.iter().map(|zone| (&zone["zone"], &zone["zoneId"])).collect();
    assert_eq!(zones.first(), Some(&(&"us-east-1a".into(), &"use1-az2".into())));
    assert_eq!(json["sources"].as_array().map(Vec::len), Some(3));
}

use whittle_core::model::price::Price;

use super::{PriceBook, PriceFileErrors, parse_dollars};
use crate::catalog::Catalog;
use crate::on_demand::Quote;

const ZONE_A: &str = "ap-northeast-2a";
const ZONE_C: &str = "ap-northeast-2c";

fn read(text: &str) -> Result<Catalog, PriceFileErrors> {
    let catalog = Catalog::embedded();
    let book = PriceBook::parse("prices", text, &catalog)?;
    Ok(catalog.with_prices(book))
}

/// Every error in a file, as it is shown.
fn errors(text: &str) -> Vec<String> {
    let errors = read(text).err().map(|errors| errors.errors).unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

fn own(micros: u64) -> Option<Quote> {
    Some(Quote { price: Price::from_micros(micros), estimated: false })
}

/// What m6i.large costs in two zones, on demand and as spot capacity.
fn m6i_large(catalog: &Catalog) -> [Option<Quote>; 4] {
    let (region, name) = ("ap-northeast-2", "m6i.large");
    let on_demand = |zone| catalog.on_demand_price(region, name, zone);
    let spot = |zone| catalog.spot_price(region, name, zone);
    [on_demand(ZONE_A), on_demand(ZONE_C), spot(ZONE_A), spot(ZONE_C)]
}

#[test]
fn own_prices_replace_estimates_and_are_none_themselves() {
    let csv = "# ours\nregion,zone,type,capacity_type,usd_per_hour\n\
        ap-northeast-2,,m6i.large,on-demand,0.118\n\
        ap-northeast-2,ap-northeast-2a,m6i.large,spot,0.0371\n";
    let json = r#"[
        {"region": "ap-northeast-2", "type": "m6i.large", "capacity_type": "on-demand", "usd_per_hour": 0.118},
        {"region": "ap-northeast-2", "zone": "ap-northeast-2a", "type": "m6i.large",
         "capacity_type": "spot", "usd_per_hour": "0.0371"}
    ]"#;
    for text in [csv, json] {
        let catalog = read(text).unwrap();
        let [on_demand_a, on_demand_c, spot_a, spot_c] = m6i_large(&catalog);
        assert_eq!([on_demand_a, on_demand_c, spot_a], [own(118_000), own(118_000), own(37_100)]);
        assert!(spot_c.is_some_and(|quote| quote.estimated), "no price of ours for spot in this zone");
        assert_eq!(catalog.own_prices(), 2);
    }
}

#[test]
fn the_price_of_a_zone_goes_before_that_of_all_zones() {
    let catalog = read(
        "region,zone,type,capacity_type,usd_per_hour\n\
        ap-northeast-2,,m6i.large,spot,0.04\n\
        ap-northeast-2,ap-northeast-2c,m6i.large,spot,0.05\n",
    )
    .unwrap();
    assert_eq!(m6i_large(&catalog)[2..], [own(40_000), own(50_000)]);
}

#[test]
fn a_later_file_goes_before_an_earlier_one() {
    let header = "region,zone,type,capacity_type,usd_per_hour\n";
    let [first, second] = ["0.04", "0.03"].map(|price| {
        let text = format!("{header}ap-northeast-2,,m6i.large,spot,{price}\n");
        PriceBook::parse("prices", &text, &Catalog::embedded()).unwrap()
    });
    let catalog = Catalog::embedded().with_prices(first).with_prices(second);
    assert_eq!(m6i_large(&catalog)[2], own(30_000));
}

#[test]
fn a_type_without_a_price_of_ours_becomes_available_by_one_of_the_users() {
    let catalog = read("region,zone,type,capacity_type,usd_per_hour\nus-east-1,,r9g.large,on-demand,0.13\n");
    let catalog = catalog.unwrap();
    assert_eq!(catalog.on_demand_price("us-east-1", "r9g.large", "us-east-1a"), own(130_000));
    let spot = catalog.spot_price("us-east-1", "r9g.large", "us-east-1a").unwrap();
    assert!(spot.estimated && spot.price < Price::from_micros(130_000));
}

#[test]
fn every_error_of_a_csv_file_is_reported_with_its_place() {
    let found = errors(
        "region,zone,type,capacity_type,usd_per_hour\n\
        # a remark\n\
        ap-northeast-2,us-east-1a,m6i.lrge,reserved,cheap\n\
        ap-northeast-2,,m6i.large,spot\n\
        ap-northeast-2,,m6i.large,spot,0.04\n\
        ap-northeast-2,,m6i.large,spot,0.05\n\
        ap-northeast-2,,m6i.large,on-demand,0\n",
    );
    let zones = "ap-northeast-2a, ap-northeast-2b, ap-northeast-2c, ap-northeast-2d";
    let expected = [
        &format!("prices, line 3, zone: found \"us-east-1a\", expected one of {zones}, or nothing for all"),
        "prices, line 3, type: found \"m6i.lrge\", expected an instance type of the catalogue such as m6i.large",
        "prices, line 3, capacity_type: found \"reserved\", expected spot or on-demand",
        "prices, line 3, usd_per_hour: found \"cheap\", expected dollars per hour such as 0.0416",
        "prices, line 4: found 4 columns, expected 5 columns",
        "prices, line 6: found a second price for m6i.large, \
         expected one price per region, zone, type and capacity type",
        "prices, line 7, usd_per_hour: found \"0\", expected dollars per hour such as 0.0416",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_with_another_header_or_none_is_refused() {
    let expected = "expected region,zone,type,capacity_type,usd_per_hour";
    assert_eq!(errors("type,price\n"), [format!("prices, line 1: found \"type,price\", {expected}")]);
    assert_eq!(errors(""), [format!("prices, line 1: found nothing, {expected}")]);
}

#[test]
fn errors_of_a_json_file_name_the_entry() {
    let found = errors(
        r#"[{"region": "mars-1", "type": "m6i.large", "capacity_type": "spot", "usd_per_hour": 0.1},
            {"region": "us-east-1", "price": 1}]"#,
    );
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("prices, entry 1, region: found \"mars-1\", expected one of af-south-1, "));
    assert!(
        found[1]
            .starts_with("prices, entry 2: found {\"price\":1,\"region\":\"us-east-1\"}, expected an object")
    );
    assert!(errors("[\n{,}]")[0].starts_with("prices, line 2: found "));
}

#[test]
fn a_file_that_a_spreadsheet_wrote_is_read() {
    let text = "\u{feff}region,zone,type,capacity_type,usd_per_hour\r\nus-east-1,,m6i.large,spot,0.03\r\n";
    assert_eq!(read(text).unwrap().own_prices(), 1);
}

/// A product as the Pricing API files it, with one attribute changed.
fn product(changed: (&str, &str)) -> String {
    let mut attributes = vec![
        ("instanceType", "m6i.large"),
        ("regionCode", "ap-northeast-2"),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
        ("marketoption", "OnDemand"),
    ];
    attributes.retain(|(name, _)| *name != changed.0);
    attributes.push(changed);
    let attributes: std::collections::BTreeMap<_, _> = attributes.into_iter().collect();
    let dimension = serde_json::json!({"unit": "Hrs", "pricePerUnit": {"USD": "0.1180000000"}});
    serde_json::json!({
        "product": {"productFamily": "Compute Instance", "attributes": attributes},
        "serviceCode": "AmazonEC2",
        "terms": {"OnDemand": {"X.Y": {"priceDimensions": {"X.Y.Z": dimension}}}},
    })
    .to_string()
}

#[test]
fn the_answer_of_the_pricing_api_gives_on_demand_prices() {
    let text = serde_json::json!({"FormatVersion": "aws_v1", "PriceList": [product(("tenancy", "Shared"))]});
    let catalog = read(&text.to_string()).unwrap();
    assert_eq!(m6i_large(&catalog)[..2], [own(118_000), own(118_000)]);
}

#[test]
fn bare_metal_is_filed_as_dedicated() {
    let metal = product(("instanceType", "m6i.metal")).replace("Shared", "Dedicated");
    let metal = metal.replace("Compute Instance", "Compute Instance (bare metal)");
    let catalog = read(&serde_json::json!({"PriceList": [metal]}).to_string()).unwrap();
    assert_eq!(catalog.on_demand_price("ap-northeast-2", "m6i.metal", ZONE_A), own(118_000));
}

#[test]
fn products_that_no_node_is_bought_at_are_passed_over() {
    let others = [
        ("operatingSystem", "Windows"),
        ("tenancy", "Dedicated"),
        ("preInstalledSw", "SQL Web"),
        ("capacitystatus", "UnusedCapacityReservation"),
        ("instanceType", "m99.large"),
    ];
    let text = serde_json::json!({"PriceList": others.map(product)});
    assert_eq!(read(&text.to_string()).unwrap().own_prices(), 0);
}

#[test]
fn a_product_that_cannot_be_read_is_an_error_with_its_place() {
    let found = errors(&serde_json::json!({"PriceList": [product(("a", "b")), "{}"]}).to_string());
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("prices, PriceList[1]: found missing field `product`"), "{found:?}");
}

#[test]
fn dollars_are_decimal_and_rounded_to_millionths() {
    let cases = [
        ("0.0416", Some(41_600)),
        ("12", Some(12_000_000)),
        ("0.0960000000", Some(96_000)),
        ("0.00000049", Some(0)),
        ("0.0000005", Some(1)),
        ("1.", Some(1_000_000)),
        ("", None),
        (".5", None),
        ("-1", None),
        ("1e3", None),
        ("0,5", None),
        ("99999999999999999999", None),
    ];
    let parsed = cases.map(|(text, _)| (text, parse_dollars(text).map(Price::micros)));
    assert_eq!(parsed, cases);
}

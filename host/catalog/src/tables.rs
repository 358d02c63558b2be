//! The embedded tables of `data/`, parsed once.
//!
//! A table is comma-separated without quoting. Lines that begin with `#` say where it comes from; the first other
//! line names the columns. The tables are ours, so a malformed one is a mistake in a commit and a test finds it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use whittle_core::model::price::Price;

use crate::price_book::parse_dollars;
use crate::specification::{Accelerator, Gpu, Specification};
use crate::zone::Zone;

/// The tables, parsed when they are first needed.
pub(crate) static TABLES: LazyLock<Tables> = LazyLock::new(|| match Tables::parse() {
    Ok(tables) => tables,
    Err(error) => panic!("an embedded table is malformed: {error}"),
});

/// What the tables say.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Every instance type, by name.
    pub(crate) specifications: Vec<Specification>,
    /// Every region, by name.
    pub(crate) regions: BTreeMap<&'static str, Region>,
    /// On-demand price of one vCPU in us-east-1 by family.
    pub(crate) vcpu_prices: BTreeMap<&'static str, Price>,
    /// On-demand price in us-east-1 of types that depart from their family.
    pub(crate) type_prices: BTreeMap<&'static str, Price>,
    /// Thousandths of the us-east-1 price by region and category; `*` is every other category.
    pub(crate) price_ratios: BTreeMap<(&'static str, &'static str), u64>,
    /// Spot figures by region and family.
    pub(crate) spot: BTreeMap<(&'static str, &'static str), SpotFigures>,
}

/// A region with its zones and what they offer.
#[derive(Debug)]
pub(crate) struct Region {
    /// The region's name.
    pub(crate) name: &'static str,
    /// The zones, by name.
    pub(crate) zones: Vec<Zone>,
    /// By instance type, the positions in `zones` of those that offer it, in order.
    pub(crate) offered: BTreeMap<&'static str, Vec<usize>>,
}

/// What is known of a family as spot capacity in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpotFigures {
    /// Percent off the on-demand price.
    pub(crate) saving_percent: u64,
    /// The published bucket of reclaims, 0 to 4.
    pub(crate) reclaim_bucket: usize,
}

/// A cell that is not what its column holds.
#[derive(Debug, thiserror::Error)]
#[error("{table}, line {line}, column {column}: found {found:?}, expected {expected}")]
pub(crate) struct TableError {
    table: &'static str,
    line: usize,
    column: usize,
    found: String,
    expected: &'static str,
}

/// One line of a table.
struct Row {
    table: &'static str,
    line: usize,
    cells: Vec<&'static str>,
}

impl Row {
    fn error(&self, column: usize, expected: &'static str) -> TableError {
        let found = self.cells.get(column).copied().unwrap_or_default().to_owned();
        TableError { table: self.table, line: self.line, column: column + 1, found, expected }
    }

    fn text(&self, column: usize) -> Result<&'static str, TableError> {
        self.cells.get(column).copied().ok_or_else(|| self.error(column, "a value"))
    }

    fn number(&self, column: usize) -> Result<u64, TableError> {
        self.text(column)?.parse().map_err(|_| self.error(column, "a whole number"))
    }

    fn optional(&self, column: usize) -> Result<Option<u64>, TableError> {
        if self.text(column)?.is_empty() { Ok(None) } else { self.number(column).map(Some) }
    }

    fn dollars(&self, column: usize) -> Result<Price, TableError> {
        parse_dollars(self.text(column)?).ok_or_else(|| self.error(column, "dollars per hour"))
    }
}

/// The lines of a table after the one that names the columns.
fn rows(table: &'static str, text: &'static str) -> impl Iterator<Item = Row> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    lines.skip(1).map(move |(index, line)| Row { table, line: index + 1, cells: line.split(',').collect() })
}

impl Region {
    /// The zones that offer an instance type, by name.
    pub(crate) fn zones_with(&self, instance_type: &str) -> impl Iterator<Item = Zone> {
        let positions = self.offered.get(instance_type).map_or(&[][..], Vec::as_slice);
        positions.iter().map(|position| self.zones[*position])
    }
}

impl Tables {
    fn parse() -> Result<Self, TableError> {
        let specifications = parse_specifications()?;
        let regions = parse_regions(&specifications)?;
        let (mut vcpu_prices, mut type_prices) = (BTreeMap::new(), BTreeMap::new());
        for row in rows("on-demand-us-east-1.csv", include_str!("../data/on-demand-us-east-1.csv")) {
            let prices = match row.text(0)? {
                "family" => &mut vcpu_prices,
                "type" => &mut type_prices,
                _ => return Err(row.error(0, "family or type")),
            };
            prices.insert(row.text(1)?, row.dollars(2)?);
        }
        let mut price_ratios = BTreeMap::new();
        for row in rows("price-ratios.csv", include_str!("../data/price-ratios.csv")) {
            price_ratios.insert((row.text(0)?, row.text(1)?), row.number(2)?);
        }
        let mut spot = BTreeMap::new();
        for row in rows("spot-by-family.csv", include_str!("../data/spot-by-family.csv")) {
            let reclaim_bucket = match row.number(3)? {
                bucket @ 0..=4 => bucket as usize,
                _ => return Err(row.error(3, "a bucket from 0 to 4")),
            };
            let figures = SpotFigures { saving_percent: row.number(2)?.min(100), reclaim_bucket };
            spot.insert((row.text(0)?, row.text(1)?), figures);
        }
        Ok(Self { specifications, regions, vcpu_prices, type_prices, price_ratios, spot })
    }
}

/// The instance type with this name among some that are in order of their names.
pub(crate) fn by_name<'a>(specifications: &'a [Specification], name: &str) -> Option<&'a Specification> {
    let position = specifications.binary_search_by(|found| found.name.cmp(name)).ok()?;
    specifications.get(position)
}

fn parse_specifications() -> Result<Vec<Specification>, TableError> {
    let rows = rows("instance-types.csv", include_str!("../data/instance-types.csv"));
    let mut found = rows.map(|row| parse_specification(&row)).collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|specification| specification.name);
    Ok(found)
}

fn parse_specification(row: &Row) -> Result<Specification, TableError> {
    let sold = row.text(15)?;
    let gpu = match row.text(17)? {
        "" => None,
        name => Some(Gpu {
            name,
            manufacturer: row.text(18)?,
            count: row.number(19)?,
            memory_mib: row.number(20)?,
        }),
    };
    let accelerator = match row.text(21)? {
        "" => None,
        name => Some(Accelerator { name, manufacturer: row.text(22)?, count: row.number(23)? }),
    };
    Ok(Specification {
        name: row.text(0)?,
        vcpus: row.number(1)?,
        memory_mib: row.number(2)?,
        arch: row.text(3)?,
        hypervisor: row.text(4)?,
        cpu_manufacturer: row.text(5)?,
        clock_mhz: row.optional(6)?,
        enis: row.number(7)?,
        ipv4_per_eni: row.number(8)?,
        network_cards: row.number(9)?,
        efa_interfaces: row.optional(10)?.unwrap_or(0),
        network_mbps: row.optional(11)?,
        ebs_mbps: row.optional(12)?,
        encryption_in_transit: row.number(13)? == 1,
        nested_virtualization: row.number(14)? == 1,
        sold_on_demand: sold.split(' ').any(|way| way == "on-demand"),
        sold_as_spot: sold.split(' ').any(|way| way == "spot"),
        nvme_gb: row.optional(16)?,
        gpu,
        accelerator,
        neuron_cores: row.optional(24)?.unwrap_or(0),
    })
}

fn parse_regions(specifications: &[Specification]) -> Result<BTreeMap<&'static str, Region>, TableError> {
    let mut regions = BTreeMap::<&'static str, Region>::new();
    for row in rows("zones.csv", include_str!("../data/zones.csv")) {
        let zone = Zone { name: row.text(0)?, id: row.text(1)? };
        let name = zone.name.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
        let empty = || Region { name, zones: Vec::new(), offered: BTreeMap::new() };
        regions.entry(name).or_insert_with(empty).zones.push(zone);
    }
    let mut families = BTreeMap::<&'static str, Vec<(&'static str, &'static str)>>::new();
    for specification in specifications {
        let sizes = families.entry(specification.family()).or_default();
        sizes.push((specification.size(), specification.name));
    }
    for row in rows("offerings.csv", include_str!("../data/offerings.csv")) {
        let region = regions.get_mut(row.text(0)?).ok_or_else(|| row.error(0, "a region of zones.csv"))?;
        let family = families.get(row.text(2)?).ok_or_else(|| row.error(2, "a family"))?;
        let mut zones = Vec::new();
        for letter in row.text(1)?.chars() {
            let position = region.zones.iter().position(|zone| zone.name.ends_with(letter));
            zones.push(position.ok_or_else(|| row.error(1, "letters of zones"))?);
        }
        let sizes = row.text(3)?;
        for (size, name) in family {
            if sizes == "*" || sizes.split(' ').any(|listed| listed == *size) {
                region.offered.insert(name, zones.clone());
            }
        }
    }
    Ok(regions)
}

#[cfg(test)]
mod tests {
    use super::{Tables, rows};

    #[test]
    fn a_cell_that_is_not_what_its_column_holds_is_named_with_its_place() {
        let row = rows("some.csv", "# remark\nname,number\nm5.large,many\n").next().unwrap();
        let shown = [row.number(1), row.number(2), row.optional(0).map(|_| 0)];
        let shown = shown.map(|cell| cell.map_err(|error| error.to_string()));
        let expected = [
            "some.csv, line 3, column 2: found \"many\", expected a whole number",
            "some.csv, line 3, column 3: found \"\", expected a value",
            "some.csv, line 3, column 1: found \"m5.large\", expected a whole number",
        ];
        assert_eq!(shown, expected.map(|error| Err(error.to_owned())));
    }

    #[test]
    fn every_embedded_table_is_well_formed() {
        let tables = Tables::parse().unwrap();
        assert_eq!(tables.specifications.len(), 1_386);
        assert_eq!(tables.regions.len(), 30);
        let offered = tables.regions["ap-northeast-2"].offered.len();
        assert_eq!(offered, 754, "of the 755 types that EC2 offers there, one is a Mac");
    }
}

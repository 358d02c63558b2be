use super::{Filter, list};
use crate::catalog::Catalog;
use crate::settings::NodeClassSettings;

#[test]
fn a_listing_has_rows() {
    let l = list(
        &Catalog::embedded(),
        &NodeClassSettings::default(),
        &Filter {
            region: "ap-northeast-2".into(),
            families: vec!["m6i".into(), "g4dn".into(), "t4g".into()],
            ..Filter::default()
        },
    )
    .unwrap();
    assert_eq!(l.rows.len(), 24);
}

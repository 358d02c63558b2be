//! The text of entries.

use whittle_core::model::time::Timestamp;

use super::{Clock, Entry, EntryKind, compact};

fn entry(second: u64, kind: EntryKind, object: &str, text: &str) -> Entry {
    let (object, text) = (object.to_owned(), text.to_owned());
    let node_pool = Some("mixed".to_owned());
    Entry { at: Timestamp::from_millis(second * 1_000), kind, node_pool, object, text }
}

#[test]
fn a_minute_of_the_same_kind_is_one_line() {
    let entries = [
        entry(1, EntryKind::Launch, "a", "m6i.large in z, spot, ~$0.0300/h, for 3 pods"),
        entry(2, EntryKind::Cordon, "x", "empty"),
        entry(3, EntryKind::Launch, "b", "m6i.large in z, spot, ~$0.0300/h, for 1 pod"),
        entry(4, EntryKind::Evict, "shop/web-1", "empty"),
        entry(5, EntryKind::Evict, "shop/web-2", "underutilized"),
        entry(6, EntryKind::Scenario, "", "Morning"),
        entry(7, EntryKind::Scenario, "", "Coffee"),
        entry(61, EntryKind::Launch, "c", "c6i.large in y, spot, ~$0.0200/h, for 2 pods"),
    ];
    let lines: Vec<String> = compact(&entries, Clock::default()).into_iter().map(|line| line.text).collect();
    let wanted = [
        "2 m6i.large in z, spot, ~$0.0300/h",
        "1 pod (empty), 1 pod (underutilized)",
        "Morning",
        "Coffee",
        "1 c6i.large in y, spot, ~$0.0200/h",
    ];
    assert_eq!(lines, wanted);
}

//! A guest of the tests that lies about itself: its schema is not one.

use whittle_guest_sdk::prelude::*;

/// Nothing to set, whatever the schema says.
#[derive(Debug, Deserialize)]
pub struct Liar {}

impl JsonSchema for Liar {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Liar".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // As large as a slot's whole memory would be if it were believed.
        let lie = "x".repeat(100_000);
        schemars::json_schema!({ "description": lie })
    }
}

impl Capacity for Liar {
    fn choose(&self, _market: &Market<'_>, _group: &PodGroup) -> Choice {
        Choice::Default
    }
}

export_policy!(Liar: Capacity);

//! The interface as Rust, generated from `wit/v0.1`. The types in here are what policies see; their methods are in
//! `hooks` and beside them.
//!
//! A module for each world, because a policy exports some hooks and not others. The types are generated once, in
//! `policy`, and shared.

#![expect(missing_docs, reason = "generated; what the interface documents is documented")]

/// What every policy is made of.
pub mod policy {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        world: "policy",
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
        pub_export_macro: true,
        export_macro_name: "export_policy_world",
        default_bindings_module: "whittle_guest_sdk::bindings::policy",
        runtime_path: "::whittle_guest_sdk::wit_bindgen::rt",
    });
}

macro_rules! hook {
    ($(#[$doc:meta])* $module:ident, $world:literal, $export:literal, $bindings:literal) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/v0.1",
                world: $world,
                generate_unused_types: true,
                additional_derives: [PartialEq, Eq, serde::Serialize, serde::Deserialize],
                with: { "whittle:policy/types@0.1.0": crate::bindings::policy::whittle::policy::types },
                pub_export_macro: true,
                export_macro_name: $export,
                default_bindings_module: $bindings,
                runtime_path: "::whittle_guest_sdk::wit_bindgen::rt",
            });
        }
    };
}

hook!(
    /// The hook `capacity`.
    capacity, "capacity-hook", "export_capacity_hook", "whittle_guest_sdk::bindings::capacity"
);
hook!(
    /// The hook `taints`.
    taints, "taints-hook", "export_taints_hook", "whittle_guest_sdk::bindings::taints"
);
hook!(
    /// The hook `offerings`.
    offerings, "offerings-hook", "export_offerings_hook", "whittle_guest_sdk::bindings::offerings"
);
hook!(
    /// The hook `consolidation`.
    consolidation, "consolidation-hook", "export_consolidation_hook", "whittle_guest_sdk::bindings::consolidation"
);
hook!(
    /// The hook `interruption`.
    interruption, "interruption-hook", "export_interruption_hook", "whittle_guest_sdk::bindings::interruption"
);

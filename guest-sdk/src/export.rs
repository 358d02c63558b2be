//! How a policy becomes a module: what `export_policy!` writes, and what it calls.
//!
//! Exports exist in WebAssembly only. Natively the macro makes the policy reachable for tests, as [`Hooks`].

use std::fmt;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::bindings::policy::exports::whittle::policy::meta::{About, Complaint, Reads};
use crate::hooks::capacity::Capacity;
use crate::hooks::consolidation::Consolidation;
use crate::hooks::interruption::Interruption;
use crate::hooks::offerings::Offerings;
use crate::hooks::policy::Policy;
use crate::hooks::taints::Taints;

/// A policy with its settings, whatever it is: which hooks it answers, and what it reads.
pub trait Hooks: Policy {
    /// The policy, if it answers `capacity`.
    fn capacity(&self) -> Option<&dyn Capacity> {
        None
    }

    /// The policy, if it answers `taints`.
    fn taints(&self) -> Option<&dyn Taints> {
        None
    }

    /// The policy, if it answers `offerings`.
    fn offerings(&self) -> Option<&dyn Offerings> {
        None
    }

    /// The policy, if it answers `consolidation`.
    fn consolidation(&self) -> Option<&dyn Consolidation> {
        None
    }

    /// The policy, if it answers `interruption`.
    fn interruption(&self) -> Option<&dyn Interruption> {
        None
    }
}

impl fmt::Debug for dyn Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// What a policy says about itself: its crate's name, version and description, and the schema of its settings.
#[must_use]
pub fn describe<P: JsonSchema>([name, version, summary]: [&str; 3]) -> About {
    let settings_schema = schemars::schema_for!(P).as_value().to_string();
    About { name: name.to_owned(), version: version.to_owned(), summary: summary.to_owned(), settings_schema }
}

/// Reads settings.
///
/// # Errors
/// With everything about them that will not do.
pub fn configure<P: Policy + DeserializeOwned>(settings: &str) -> Result<P, Vec<Complaint>> {
    let settings = if settings.trim().is_empty() { "{}" } else { settings };
    let mut deserializer = serde_json::Deserializer::from_str(settings);
    let policy: P = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // Where the settings as a whole are wrong, there is no path to name.
        let path = if path == "." { String::new() } else { path };
        vec![Complaint { path, message: without_position(&error.into_inner().to_string()) }]
    })?;
    let complaints = policy.complaints();
    if complaints.is_empty() { Ok(policy) } else { Err(complaints) }
}

/// A message of the JSON reader without `at line 1 column 7`: nobody sees the line that it means.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(words, _)| words).to_owned()
}

/// Makes a panic's message known before the instance ends.
#[cfg(target_arch = "wasm32")]
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::error(panic.to_string())));
}

/// What a policy reads with its settings; for the code that `export_policy!` writes.
#[doc(hidden)]
#[must_use]
pub fn reads<P: Policy>(policy: &P) -> Reads {
    policy.reads()
}

/// Exports a policy: its type, and the traits that it implements.
///
/// `export_policy!(SpotRatio: Capacity);` is the whole of it. With [`Policy`] as the first trait the policy says itself
/// what it reads and what is wrong with its settings; without, it reads no labels.
///
/// Natively it adds `configure_natively`, which reads settings and gives the policy as [`Hooks`].
#[macro_export]
macro_rules! export_policy {
    ($policy:ident: Policy $(, $hook:ident)* $(,)?) => {
        $crate::export_policy!(@export $policy: $($hook),*);
    };
    ($policy:ident: $($hook:ident),+ $(,)?) => {
        impl $crate::hooks::policy::Policy for $policy {}
        $crate::export_policy!(@export $policy: $($hook),+);
    };
    (@export $policy:ident: $($hook:ident),*) => {
        #[cfg(not(target_arch = "wasm32"))]
        impl $crate::export::Hooks for $policy {
            $($crate::export_policy!(@native $hook);)*
        }

        /// Reads settings and gives the policy, to be asked natively.
        ///
        /// # Errors
        /// With everything about the settings that will not do.
        #[cfg(not(target_arch = "wasm32"))]
        pub fn configure_natively(
            settings: &str,
        ) -> ::std::result::Result<
            ::std::boxed::Box<dyn $crate::export::Hooks>,
            ::std::vec::Vec<$crate::prelude::Complaint>,
        > {
            let policy: $policy = $crate::export::configure(settings)?;
            Ok(::std::boxed::Box::new(policy))
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            struct Exported;

            ::std::thread_local! {
                static POLICY: ::std::cell::OnceCell<$policy> = const { ::std::cell::OnceCell::new() };
            }

            /// Calls `ask` with the policy. The host configures an instance before it asks it anything.
            fn with_policy<A>(ask: impl FnOnce(&$policy) -> A) -> A {
                POLICY.with(|policy| ask(policy.get().expect("asked before it was configured")))
            }

            impl $crate::bindings::policy::exports::whittle::policy::meta::Guest for Exported {
                fn describe() -> $crate::bindings::policy::exports::whittle::policy::meta::About {
                    $crate::export::describe::<$policy>([
                        env!("CARGO_PKG_NAME"),
                        env!("CARGO_PKG_VERSION"),
                        env!("CARGO_PKG_DESCRIPTION"),
                    ])
                }

                fn configure(
                    settings: ::std::string::String,
                ) -> ::std::result::Result<$crate::prelude::Reads, ::std::vec::Vec<$crate::prelude::Complaint>> {
                    $crate::export::log_panics();
                    let policy: $policy = $crate::export::configure(&settings)?;
                    let reads = $crate::export::reads(&policy);
                    POLICY.with(|place| place.set(policy).ok());
                    Ok(reads)
                }
            }
            $crate::bindings::policy::export_policy_world!(Exported);
            $($crate::export_policy!(@guest $hook);)*
        };
    };
    (@native Capacity) => {
        fn capacity(&self) -> ::std::option::Option<&dyn $crate::hooks::capacity::Capacity> { Some(self) }
    };
    (@native Taints) => {
        fn taints(&self) -> ::std::option::Option<&dyn $crate::hooks::taints::Taints> { Some(self) }
    };
    (@native Offerings) => {
        fn offerings(&self) -> ::std::option::Option<&dyn $crate::hooks::offerings::Offerings> { Some(self) }
    };
    (@native Consolidation) => {
        fn consolidation(&self) -> ::std::option::Option<&dyn $crate::hooks::consolidation::Consolidation> {
            Some(self)
        }
    };
    (@native Interruption) => {
        fn interruption(&self) -> ::std::option::Option<&dyn $crate::hooks::interruption::Interruption> {
            Some(self)
        }
    };
    (@guest Capacity) => {
        impl $crate::bindings::capacity::exports::whittle::policy::capacity::Guest for Exported {
            fn choose(
                now: $crate::prelude::Instant,
                market: ::std::vec::Vec<$crate::prelude::Supply>,
                groups: ::std::vec::Vec<$crate::prelude::PodGroup>,
            ) -> ::std::vec::Vec<$crate::prelude::Choice> {
                let market = $crate::hooks::capacity::Market { now, supplies: &market };
                with_policy(|policy| $crate::hooks::capacity::Capacity::choose_all(policy, &market, &groups))
            }
        }
        $crate::bindings::capacity::export_capacity_hook!(Exported);
    };
    (@guest Taints) => {
        impl $crate::bindings::taints::exports::whittle::policy::taints::Guest for Exported {
            fn dress(
                now: $crate::prelude::Instant,
                groups: ::std::vec::Vec<$crate::prelude::PodGroup>,
            ) -> ::std::vec::Vec<$crate::prelude::Outfit> {
                with_policy(|policy| $crate::hooks::taints::Taints::dress_all(policy, now, &groups))
            }

            fn review(
                now: $crate::prelude::Instant,
                nodes: ::std::vec::Vec<$crate::prelude::Node>,
            ) -> ::std::vec::Vec<$crate::prelude::Change> {
                with_policy(|policy| $crate::hooks::taints::Taints::review(policy, now, &nodes))
            }
        }
        $crate::bindings::taints::export_taints_hook!(Exported);
    };
    (@guest Offerings) => {
        impl $crate::bindings::offerings::exports::whittle::policy::offerings::Guest for Exported {
            fn judge(
                now: $crate::prelude::Instant,
                node_pool: ::std::string::String,
                types: ::std::vec::Vec<$crate::prelude::InstanceType>,
                offerings: ::std::vec::Vec<$crate::prelude::Offering>,
            ) -> ::std::vec::Vec<$crate::prelude::Judgement> {
                let catalog = $crate::hooks::offerings::Catalog {
                    now,
                    node_pool: &node_pool,
                    types: &types,
                    offerings: &offerings,
                };
                with_policy(|policy| $crate::hooks::offerings::Offerings::judge_all(policy, &catalog))
            }
        }
        $crate::bindings::offerings::export_offerings_hook!(Exported);
    };
    (@guest Consolidation) => {
        impl $crate::bindings::consolidation::exports::whittle::policy::consolidation::Guest for Exported {
            fn rest(
                now: $crate::prelude::Instant,
                nodes: ::std::vec::Vec<$crate::prelude::Node>,
            ) -> ::std::vec::Vec<$crate::prelude::Quiet> {
                with_policy(|policy| $crate::hooks::consolidation::Consolidation::rest_all(policy, now, &nodes))
            }

            fn judge(
                now: $crate::prelude::Instant,
                nodes: ::std::vec::Vec<$crate::prelude::Node>,
                moves: ::std::vec::Vec<$crate::prelude::Move>,
            ) -> ::std::vec::Vec<$crate::prelude::MoveVerdict> {
                let round = $crate::hooks::consolidation::Round { now, nodes: &nodes };
                with_policy(|policy| {
                    $crate::hooks::consolidation::Consolidation::judge_all(policy, &round, &moves)
                })
            }
        }
        $crate::bindings::consolidation::export_consolidation_hook!(Exported);
    };
    (@guest Interruption) => {
        impl $crate::bindings::interruption::exports::whittle::policy::interruption::Guest for Exported {
            fn react(
                now: $crate::prelude::Instant,
                notices: ::std::vec::Vec<$crate::prelude::Notice>,
            ) -> ::std::vec::Vec<$crate::prelude::Reaction> {
                with_policy(|policy| {
                    $crate::hooks::interruption::Interruption::react_all(policy, now, &notices)
                })
            }
        }
        $crate::bindings::interruption::export_interruption_hook!(Exported);
    };
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Example {
        rules: Vec<Rule>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Rule {
        percent: Percent,
    }

    impl Policy for Example {
        fn complaints(&self) -> Vec<Complaint> {
            let silent = self.rules.iter().filter(|rule| rule.percent.get() == 0);
            silent.map(|_| Complaint::new("rules", "a rule with 0 percent")).collect()
        }
    }

    fn complaints(settings: &str) -> Vec<Complaint> {
        super::configure::<Example>(settings).unwrap_err()
    }

    #[test]
    fn a_complaint_names_the_place_what_was_found_and_what_was_expected() {
        let cases = [
            ("{}", "", "missing field `rules`"),
            (r#"{"rules": [{"percent": 101}]}"#, "rules[0].percent", "found 101, expected 0 to 100"),
            (r#"{"rules": [{"share": 1}]}"#, "rules[0].share", "unknown field `share`, expected `percent`"),
            (r#"{"rules": [{"percent": 0}]}"#, "rules", "a rule with 0 percent"),
        ];
        for (settings, path, message) in cases {
            assert_eq!(complaints(settings), [Complaint::new(path, message)], "{settings}");
        }
    }

    #[test]
    fn a_description_carries_the_schema_of_the_settings() {
        let about = super::describe::<Example>(["example", "1.0.0", "Nothing."]);
        let schema: serde_json::Value = serde_json::from_str(&about.settings_schema).unwrap();
        assert_eq!(schema["properties"]["rules"]["type"], "array");
        assert_eq!((about.name.as_str(), about.version.as_str()), ("example", "1.0.0"));
    }
}

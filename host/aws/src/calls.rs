//! How often AWS was called: by operation, and with what result.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Counts what is sent, every attempt of its own.
#[derive(Debug, Default)]
pub struct Calls {
    counts: Mutex<BTreeMap<Call, u64>>,
}

/// What is counted together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The service: `EC2`.
    pub service: String,
    /// The operation: `CreateFleet`.
    pub operation: String,
    /// The status of HTTP; 0 when nobody has answered.
    pub status: u16,
}

impl Calls {
    /// How often each was called so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Call, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, call: Call) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(call).or_default() += 1;
    }
}

/// Listens to the calls of a client.
#[derive(Clone, Debug)]
pub(crate) struct Counting(pub(crate) std::sync::Arc<Calls>);

#[dyn_dispatch_hint]
impl Intercept for Counting {
    fn name(&self) -> &'static str {
        "counting"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            self.0.count(Call {
                service: metadata.service().to_owned(),
                operation: metadata.name().to_owned(),
                status: context.response().map_or(0, |response| response.status().as_u16()),
            });
        }
        Ok(())
    }
}

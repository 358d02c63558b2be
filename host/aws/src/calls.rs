//! What AWS is asked: by operation, and with what result.

use std::fmt;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Is told of everything that is sent, every attempt of its own.
pub struct Calls {
    tell: Box<dyn Fn(Call) + Send + Sync>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
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
    /// `tell` is told of every call.
    pub fn new(tell: impl Fn(Call) + Send + Sync + 'static) -> Self {
        Self { tell: Box::new(tell) }
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
            (self.0.tell)(Call {
                service: metadata.service().to_owned(),
                operation: metadata.name().to_owned(),
                status: context.response().map_or(0, |response| response.status().as_u16()),
            });
        }
        Ok(())
    }
}

//! Metrics by the name that Prometheus knows them by, each with what it means, so that a page can list them all.

use prometheus_client::collector::Collector;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Metric, Registry};

/// A metric as Prometheus knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its whole name.
    pub name: String,
    /// What kind it is.
    pub kind: &'static str,
    /// What it means.
    pub help: &'static str,
}

/// A registry whose metrics have a prefix, and the list of them.
pub(super) struct Shelf<'a> {
    registry: &'a mut Registry,
    prefix: &'static str,
    listed: &'a mut Vec<Listed>,
}

impl<'a> Shelf<'a> {
    pub(super) fn new(registry: &'a mut Registry, prefix: &'static str, listed: &'a mut Vec<Listed>) -> Self {
        Self { registry: registry.sub_registry_with_prefix(prefix), prefix, listed }
    }

    /// Adds a metric; `name` is without the prefix, and without the `_total` of a counter.
    pub(super) fn add(&mut self, name: &'static str, help: &'static str, metric: impl Metric) {
        self.list((name, help), metric.metric_type());
        self.registry.register(name, help, metric);
    }

    /// Adds metrics of one kind that are worked out when somebody asks for them.
    pub(super) fn add_all(
        &mut self,
        kind: MetricType,
        metrics: &[(&'static str, &'static str)],
        collector: impl Collector,
    ) {
        metrics.iter().for_each(|one| self.list(*one, kind));
        self.registry.register_collector(Box::new(collector));
    }

    fn list(&mut self, (name, help): (&'static str, &'static str), kind: MetricType) {
        let (kind, suffix) = match kind {
            MetricType::Counter => ("counter", "_total"),
            MetricType::Gauge => ("gauge", ""),
            MetricType::Histogram => ("histogram", ""),
            MetricType::Info => ("info", "_info"),
            MetricType::Unknown => ("unknown", ""),
        };
        self.listed.push(Listed { name: format!("{}_{name}{suffix}", self.prefix), kind, help });
    }
}

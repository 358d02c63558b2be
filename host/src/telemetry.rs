//! Logs and traces of `whittle run`: where they go and when they are on their way.
//!
//! What is logged and what is traced are two things: the log has events, traces have spans, and neither has the other's.
//! Traces are best effort. A collector that cannot be reached is said once in the log and holds up nobody.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, Targets, filter_fn};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt as _};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::args::telemetry::{LogFormatArg, LogPath, TelemetryArgs};

/// The name under which traces are found.
const SERVICE: &str = "whittle";
/// Spans of these crates are traced; those of libraries, such as the way of each request, are not.
const TRACED: [&str; 4] = ["whittle", "whittle_control", "whittle_kube", "whittle_aws"];
/// What is on its way at the end is waited for so long.
const LAST_SPANS: Duration = Duration::from_secs(5);

/// What has to be ended when the process does.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Begins to log and to trace. Has to be called within the runtime that sends traces.
pub(crate) fn start(args: &TelemetryArgs) -> Result<Telemetry> {
    let filter = EnvFilter::try_new(&args.log_level)
        .with_context(|| format!("{:?} says nothing about what is logged", args.log_level))?;
    let traces = args.traces_endpoint().map(traces).transpose()?;
    let log =
        fmt::layer().with_writer(writer(&args.log_output_paths)?).with_ansi(is_seen(&args.log_output_paths));
    let log = match args.log_format {
        LogFormatArg::Text => log.boxed(),
        LogFormatArg::Json => log.json().flatten_event(true).boxed(),
    };
    let events = filter.and(filter_fn(|metadata| metadata.is_event()));
    let spans = Targets::new()
        .with_targets(TRACED.map(|target| (target, LevelFilter::DEBUG)))
        .and(filter_fn(|metadata| metadata.is_span()));
    let tracer = traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer(SERVICE)).with_filter(spans)
    });
    tracing_subscriber::registry().with(log.with_filter(events)).with(tracer).init();
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what is left. Holds the thread up for as long as that takes, but not for ever.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.traces.map(|traces| traces.shutdown_with_timeout(LAST_SPANS)) {
            tracing::warn!("the last traces are not sent: {error}");
        }
    }
}

/// Whether all that is logged goes to a terminal: whoever reads a file does not want its colours.
fn is_seen(paths: &[LogPath]) -> bool {
    paths.iter().all(|path| match path {
        LogPath::Stdout => io::stdout().is_terminal(),
        LogPath::Stderr => io::stderr().is_terminal(),
        LogPath::File(_) => false,
    })
}

/// Writes to all of these.
fn writer(paths: &[LogPath]) -> Result<BoxMakeWriter> {
    let mut all: Option<BoxMakeWriter> = None;
    for path in paths {
        let one = match path {
            LogPath::Stdout => BoxMakeWriter::new(io::stdout),
            LogPath::Stderr => BoxMakeWriter::new(io::stderr),
            LogPath::File(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                BoxMakeWriter::new(file.with_context(|| format!("cannot log to {}", path.display()))?)
            }
        };
        all = Some(match all {
            Some(others) => BoxMakeWriter::new(others.and(one)),
            None => one,
        });
    }
    all.context("there is nowhere to log to")
}

/// Traces that are sent to an endpoint, a batch at a time.
fn traces(endpoint: &str) -> Result<SdkTracerProvider> {
    let wrong = |why: &str| {
        anyhow!("traces cannot be sent to {endpoint:?}: {why}, expected a URL such as http://localhost:4317")
    };
    if !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
        return Err(wrong("it begins with neither http:// nor https://"));
    }
    let mut builder = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint);
    if endpoint.starts_with("https://") {
        // The roots that the system trusts, which a configuration that is made for us would not have.
        builder = builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter = builder.build().map_err(|error| wrong(&error.to_string()))?;
    let resource = Resource::builder().with_service_name(SERVICE).build();
    let exporter = Telling { exporter, fails: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// An exporter that says in the log when it begins to fail and when it works again.
#[derive(Debug)]
struct Telling<E> {
    exporter: E,
    fails: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Telling<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.exporter.export(batch).await;
        let failed = self.fails.swap(sent.is_err(), Ordering::Relaxed);
        match &sent {
            Err(error) if !failed => tracing::warn!("traces cannot be sent, and are dropped: {error}"),
            Ok(()) if failed => tracing::info!("traces are sent again"),
            Ok(()) | Err(_) => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::traces;

    #[test]
    fn an_endpoint_that_will_not_do_is_named_with_what_is_expected() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _sends = runtime.enter();
        for endpoint in ["localhost:4317", "grpc://localhost", "http://", "http://a b"] {
            let error = traces(endpoint).unwrap_err().to_string();
            let parts = [endpoint, "expected a URL such as http://localhost:4317"];
            assert!(parts.iter().all(|part| error.contains(part)), "{endpoint}: {error}");
        }
        // Whether somebody listens there is seen when something is sent.
        assert!(traces("http://localhost:1").is_ok());
        assert!(traces("https://collector.example:4317").is_ok());
    }
}

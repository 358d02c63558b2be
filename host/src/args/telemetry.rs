//! Flags about what `whittle run` tells while it runs: logs and traces. Metrics have a port of their own.

use std::path::PathBuf;

use clap::ValueEnum;

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct TelemetryArgs {
    /// What is logged: error, warn, info, debug or trace, or by module as in `info,whittle_kube=debug`.
    #[arg(long, env = "LOG_LEVEL", value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: String,
    /// How it is logged.
    #[arg(long, env = "WHITTLE_LOG_FORMAT", default_value = "json")]
    pub(crate) log_format: LogFormatArg,
    /// Where it is logged: stdout, stderr, or files; several are separated by commas.
    #[arg(
        long,
        env = "LOG_OUTPUT_PATHS",
        value_name = "PATH",
        default_value = "stdout",
        value_delimiter = ',',
        value_parser = log_path
    )]
    pub(crate) log_output_paths: Vec<LogPath>,
    /// Where traces are sent, by OTLP over gRPC, as in `http://localhost:4317`. Without it there are none.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otel_exporter_otlp_endpoint: Option<String>,
    /// The same for traces alone; it has precedence.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", value_name = "URL")]
    pub(crate) otel_exporter_otlp_traces_endpoint: Option<String>,
}

impl TelemetryArgs {
    /// Where traces are sent; `None`: nowhere. An empty value is none, as OpenTelemetry has it.
    pub(crate) fn traces_endpoint(&self) -> Option<&str> {
        let given = |endpoint: &Option<String>| endpoint.as_ref().is_some_and(|it| !it.trim().is_empty());
        [&self.otel_exporter_otlp_traces_endpoint, &self.otel_exporter_otlp_endpoint]
            .into_iter()
            .find(|endpoint| given(endpoint))
            .and_then(|endpoint| endpoint.as_deref())
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormatArg {
    Text,
    Json,
}

/// Somewhere to log to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogPath {
    Stdout,
    Stderr,
    File(PathBuf),
}

fn log_path(text: &str) -> Result<LogPath, String> {
    match text.trim() {
        "" => Err("expected stdout, stderr or a file".to_owned()),
        "stdout" => Ok(LogPath::Stdout),
        "stderr" => Ok(LogPath::Stderr),
        file => Ok(LogPath::File(PathBuf::from(file))),
    }
}

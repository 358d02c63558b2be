//! What is answered on HTTP: whether this process is alive, whether it is ready, and its metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// What kubelets and Prometheus ask for.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Whether everything has been seen that was there at the start.
    pub synced: watch::Receiver<bool>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Who knows how things stand.
    pub ask: mpsc::Sender<Asked>,
}

/// Whoever wants to know how things stand: told when it is in the metrics.
pub type Asked = oneshot::Sender<()>;

/// The loop answers between two decisions; one that takes longer than this is told of without it.
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/healthz` and `/readyz`.
pub fn health(answers: Answers) -> Router {
    Router::new().route("/healthz", get(healthy)).route("/readyz", get(ready)).with_state(answers)
}

/// `/metrics`.
pub fn metrics(answers: Answers) -> Router {
    Router::new().route("/metrics", get(exposition)).with_state(answers)
}

async fn healthy() -> &'static str {
    "ok\n"
}

async fn ready(State(answers): State<Answers>) -> impl IntoResponse {
    if *answers.synced.borrow() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not everything has been listed yet\n")
    }
}

async fn exposition(State(answers): State<Answers>) -> impl IntoResponse {
    // What is worked out for one is written for that one.
    let _alone = answers.metrics.scraped.lock().await;
    let (told, is_told) = oneshot::channel();
    if answers.ask.try_send(told).is_ok() && timeout(ANSWERS_WITHIN, is_told).await.is_err() {
        tracing::debug!("the loop is busy: metrics are told without how things stand");
    }
    match answers.metrics.text() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, OPENMETRICS)], text),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/plain")], String::new()),
    }
}

/// Answers on `listener` until `stop` says so.
///
/// # Errors
///
/// None that this machine is known to give while it runs.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stopped = async move {
        // A sender that is gone means the same.
        drop(stop.wait_for(|stop| *stop).await);
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

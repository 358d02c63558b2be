//! Traces of `whittle run`, seen by whoever listens where they are sent.
//!
//! Nobody here speaks HTTP/2: the listener reads what comes and answers nothing. A client sends its first requests without
//! waiting for an answer, and what is in them, names and attributes, is not compressed.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use crate::controller::{Story, deployment, node_pool, story, wait_for_pods};
use crate::shared::{block_on, until};

pub(crate) fn trials() -> Vec<Trial> {
    vec![story("decisions_and_launches_are_traced_and_a_collector_that_is_silent_holds_up_nobody", traced)]
}

type Heard = Arc<Mutex<Vec<u8>>>;

/// Listens for as long as the process lives, and gives the port.
fn listen(heard: &Heard) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let heard = Arc::clone(heard);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let heard = Arc::clone(&heard);
            thread::spawn(move || read(connection, &heard));
        }
    });
    Ok(port)
}

fn read(mut connection: TcpStream, heard: &Heard) {
    let mut buffer = [0; 16_384];
    while let Ok(count @ 1..) = connection.read(&mut buffer) {
        heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
    }
}

fn has(heard: &[u8], words: &str) -> bool {
    heard.windows(words.len()).any(|window| window == words.as_bytes())
}

fn traced(story: &Story) -> Result<()> {
    let [class, pool] = node_pool("Never");
    story.apply(&[class, pool, deployment("web", 3)])?;
    let heard = Heard::default();
    let endpoint = format!("http://127.0.0.1:{}", listen(&heard)?);
    let _controller = story.controller_with(&["--otel-exporter-otlp-endpoint", &endpoint])?;
    story.ask(async |client| wait_for_pods(&client, "default", 3).await)?;
    let words = ["service.name", "decision", "launches", "launch", "node_pool", "instance_type", "register"];
    block_on(until("the spans of a launch have come", async || {
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(words.iter().all(|words| has(&heard, words)).then_some(()))
    }))?;
    let heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(heard.starts_with(b"PRI * HTTP/2.0"), "it is HTTP/2 that is spoken");
    Ok(())
}

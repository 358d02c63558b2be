//! The emulator as a process, and what a test says to it and asks of it: faults, machines, messages, calls.
//!
//! It speaks to `/whittle/…` of `emulator/gate.py` in the plainest HTTP. What is AWS's own goes through the SDK of the
//! program under test and through nothing here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use libtest_mimic::Trial;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::python::python;
use crate::shared::failed;

/// How long an answer may take: moto does one thing after the other.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("the_emulator_does_what_it_says", || checks_itself().map_err(failed)),
        Trial::test("the_emulator_ends_with_its_owner", || ends_with_its_owner().map_err(failed)),
    ]
}

/// An AWS account in a process of its own, which ends when this is dropped or the test ends.
pub(crate) struct Emulator {
    pub(crate) process: Child,
    port: u16,
    /// What the account has; see `emulator/world.py`.
    pub(crate) made: Made,
}

/// What the account has from the beginning.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Made {
    pub(crate) subnets: Vec<String>,
    pub(crate) groups: Vec<String>,
    /// Images by family, architecture and variant: `al2023-x86_64-standard`.
    pub(crate) images: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Ready {
    port: u16,
    world: Made,
}

/// An instance of the account.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) instance_type: String,
    pub(crate) zone: String,
    /// `spot` or `on-demand`.
    pub(crate) capacity: String,
    pub(crate) state: String,
    pub(crate) image: String,
    pub(crate) architecture: String,
    pub(crate) cpus: u32,
    pub(crate) mebibytes: u64,
    pub(crate) host: String,
    pub(crate) subnet: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) groups: Vec<String>,
    pub(crate) profile: Option<String>,
    /// The capacity reservation that it runs in.
    pub(crate) reservation: Option<String>,
    /// The name of its launch template.
    pub(crate) template: Option<String>,
    /// `HttpTokens` of its metadata service, and the hop limit.
    pub(crate) tokens: String,
    pub(crate) hops: u32,
    pub(crate) user_data: String,
    /// Whether its kubelet never joins.
    pub(crate) silent: bool,
    /// So many thousandths of a CPU are kept from pods.
    pub(crate) kept_millis: u32,
}

impl Machine {
    /// Whether it runs or is about to.
    pub(crate) fn lives(&self) -> bool {
        matches!(self.state.as_str(), "pending" | "running")
    }

    pub(crate) fn provider_id(&self) -> String {
        format!("aws:///{}/{}", self.zone, self.id)
    }
}

/// How many messages are on the queue.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) present: bool,
    pub(crate) waiting: u32,
    pub(crate) handled: u32,
}

#[derive(Deserialize)]
struct Call {
    action: String,
    status: u16,
    count: u64,
}

impl Emulator {
    /// Starts one; what it has to say goes to a file in `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let log = File::create(folder.join("emulator.log"))?;
        let mut command = python()?;
        command.arg("emulator/serve.py").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut process = command.spawn().context("cannot start the emulator of AWS")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("its output is piped")?).read_line(&mut line)?;
        match serde_json::from_str::<Ready>(&line) {
            Ok(ready) => Ok(Self { process, port: ready.port, made: ready.world }),
            Err(_) => {
                process.kill().and_then(|()| process.wait()).ok();
                let log = std::fs::read_to_string(folder.join("emulator.log")).unwrap_or_default();
                bail!("the emulator of AWS does not start: {line}{log}")
            }
        }
    }

    /// Where AWS is.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A handle that others may ask with.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Puts faults in force; see `emulator/faults.py`.
    pub(crate) fn fail(&self, faults: &Value) -> Result<()> {
        ask::<Value>(self.port, "POST", "faults", Some(faults)).map(drop)
    }

    /// Takes all faults away.
    pub(crate) fn heal(&self) -> Result<()> {
        ask::<Value>(self.port, "DELETE", "faults", None).map(drop)
    }

    /// All instances that there are, in any state.
    pub(crate) fn machines(&self) -> Result<Vec<Machine>> {
        machines(self.port)
    }

    /// The instances that run or are about to.
    pub(crate) fn living(&self) -> Result<Vec<Machine>> {
        Ok(self.machines()?.into_iter().filter(Machine::lives).collect())
    }

    /// Launch templates: `{id, name, tags, data}`.
    pub(crate) fn templates(&self) -> Result<Vec<Value>> {
        ask(self.port, "GET", "templates", None)
    }

    /// All that CreateFleet was asked for and has answered: `{token, request, answer}`.
    pub(crate) fn fleets(&self) -> Result<Vec<Value>> {
        ask(self.port, "GET", "fleets", None)
    }

    /// How often an action was called and answered well, or with a status that says otherwise.
    pub(crate) fn calls(&self) -> Result<BTreeMap<(String, u16), u64>> {
        let calls: Vec<Call> = ask(self.port, "GET", "calls", None)?;
        Ok(calls.into_iter().map(|call| ((call.action, call.status), call.count)).collect())
    }

    /// How often an action was called, whatever the answer.
    pub(crate) fn count(&self, action: &str) -> Result<u64> {
        Ok(self.calls()?.iter().filter(|((of, _), _)| of == action).map(|(_, count)| count).sum())
    }

    /// Puts messages on the queue.
    pub(crate) fn send(&self, bodies: &[String]) -> Result<()> {
        ask::<Value>(self.port, "POST", "messages", Some(&json!({ "bodies": bodies }))).map(drop)
    }

    /// Makes the queue or takes it away.
    pub(crate) fn set_queue(&self, present: Present) -> Result<()> {
        let present = matches!(present, Present::Yes);
        ask::<Value>(self.port, "POST", "queue", Some(&json!({ "present": present }))).map(drop)
    }

    pub(crate) fn queue(&self) -> Result<Queue> {
        ask(self.port, "GET", "queue", None)
    }

    /// An instance is gone as if it had never been.
    pub(crate) fn vanish(&self, instance: &str) -> Result<()> {
        ask::<Value>(self.port, "POST", "vanish", Some(&json!({ "id": instance }))).map(drop)
    }

    /// A capacity reservation of c5.large in a zone has so many instances.
    pub(crate) fn reserve(&self, id: &str, zone: &str, instances: u32) -> Result<()> {
        let made = json!({ "id": id, "type": "c5.large", "zone": zone, "instances": instances });
        ask::<Value>(self.port, "POST", "reservations", Some(&made)).map(drop)
    }

    /// A capacity reservation ends; what runs in it runs on, on demand.
    pub(crate) fn end_reservation(&self, id: &str) -> Result<()> {
        ask::<Value>(self.port, "POST", "end-reservation", Some(&json!({ "id": id }))).map(drop)
    }

    /// Somebody else deletes all launch templates.
    pub(crate) fn forget_templates(&self) -> Result<Vec<String>> {
        ask(self.port, "POST", "forget-templates", Some(&json!({})))
    }
}

/// Whether something is there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Present {
    Yes,
    No,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).ok();
    }
}

/// The instances of the emulator at a port.
pub(crate) fn machines(port: u16) -> Result<Vec<Machine>> {
    ask(port, "GET", "machines", None)
}

/// Asks the endpoint for tests, once and on a connection of its own.
fn ask<T: DeserializeOwned>(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<T> {
    let answer = answer(port, method, &format!("/whittle/{path}"), body)?;
    serde_json::from_str(&answer).with_context(|| format!("{method} {path} is answered with {answer}"))
}

/// What anybody on this machine answers to GET.
pub(crate) fn text_of(port: u16, path: &str) -> Result<String> {
    answer(port, "GET", path, None)
}

fn answer(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<String> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream =
        TcpStream::connect(("127.0.0.1", port)).with_context(|| format!("nobody is at port {port}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text).with_context(|| format!("{method} {path} is not answered"))?;
    let (head, answer) = text.split_once("\r\n\r\n").context("an answer has a head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{method} {path} {body}: {answer}");
    Ok(answer.to_owned())
}

fn checks_itself() -> Result<()> {
    let output = python()?
        .args(["-m", "unittest", "discover", "-s", "emulator", "-p", "check.py"])
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn ends_with_its_owner() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut emulator = Emulator::start(folder.path())?;
    ensure!(emulator.machines()?.is_empty(), "there are instances that nobody has launched");
    // What the end of this process would do, however it came.
    drop(emulator.process.stdin.take());
    ensure!(emulator.process.wait()?.success(), "it does not end well");
    Ok(())
}

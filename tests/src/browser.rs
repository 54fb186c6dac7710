//! A real browser: headless Chromium with one tab, driven by its DevTools protocol.
//!
//! Messages are JSON with a zero byte behind each, on file descriptors 3 and 4, which are one socket
//! here: no port is opened. Whatever isn't on this machine can't be resolved; `elsewhere.example` is a name of
//! this machine.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{folder::Folder, process::Process, wait};

/// One answer, on a machine that compiles beside it.
const LIMIT: Duration = Duration::from_secs(60);

const FLAGS: [&str; 10] = [
    "--headless=new",
    // Chromium refuses to run as root with it, and containers often can't have it.
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--host-resolver-rules=MAP elsewhere.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
];

/// A browser that runs.
#[derive(Debug)]
pub struct Browser {
    process: Process,
    socket: UnixStream,
    /// Bytes of a message that isn't whole yet.
    received: Vec<u8>,
    sent: u64,
    /// The tab, as the protocol calls it.
    session: Option<String>,
    /// URLs of requests by the protocol's ID.
    requested: BTreeMap<String, String>,
    /// IDs of requests and their answer's status. What was asked may be told after what was answered.
    answered: Vec<(String, u64)>,
    _folder: Folder,
}

/// A request of the tab, and what a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Whom it went to.
    pub url: String,
    /// The status.
    pub status: u64,
}

impl Browser {
    /// Starts one with an empty profile and tab.
    pub fn start() -> Result<Self> {
        let folder = Folder::new("browser")?;
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_read_timeout(Some(LIMIT))?;
        socket.set_write_timeout(Some(LIMIT))?;
        let mut command = Command::new("sh");
        command
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&0 </dev/null", "chromium"])
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .arg("about:blank")
            .env("HOME", folder.path());
        let process =
            Process::spawn_with_input("browser", folder.path(), command, OwnedFd::from(theirs))?;
        let mut browser = Self {
            process,
            socket,
            received: Vec::new(),
            sent: 0,
            session: None,
            requested: BTreeMap::new(),
            answered: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Page.enable", json!({}))?;
        browser.call("Network.enable", json!({}))?;
        Ok(browser)
    }

    /// Goes to a page and waits until it is loaded with all that is in it.
    pub fn open(&mut self, url: &str) -> Result<()> {
        let went = self.call("Page.navigate", json!({"url": url}))?;
        if let Some(error) = went["errorText"].as_str() {
            bail!("the browser can't open {url}: {error}");
        }
        wait::until("the page to be loaded", LIMIT, || {
            Ok((self.evaluate("document.readyState")? == "complete").then_some(()))
        })
    }

    /// The value of an expression in the page; what a promise becomes.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.call("Runtime.evaluate", asked)?;
        if let Some(exception) = answer.get("exceptionDetails") {
            bail!("{expression}\n  threw {exception}");
        }
        Ok(answer["result"]["value"].clone())
    }

    /// The requests that were answered since this was last asked.
    pub fn answered(&mut self) -> Vec<Answered> {
        let answered = std::mem::take(&mut self.answered).into_iter();
        let known = answered.map(|(id, status)| match self.requested.get(&id) {
            Some(url) => Ok(Answered { url: url.clone(), status }),
            None => Err((id, status)),
        });
        let (known, unknown): (Vec<_>, Vec<_>) = known.partition(Result::is_ok);
        self.answered = unknown.into_iter().filter_map(Result::err).collect();
        known.into_iter().flatten().collect()
    }

    fn call(&mut self, method: &str, parameters: Value) -> Result<Value> {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let exchanged = self.exchange(&message);
        exchanged.map_err(|error| self.process.explain(error.context(method.to_owned())))
    }

    /// Sends a message and takes what comes until its answer is there.
    fn exchange(&mut self, message: &Value) -> Result<Value> {
        self.socket.write_all(format!("{message}\0").as_bytes())?;
        loop {
            let mut answer = self.receive()?;
            if answer["id"] != message["id"] {
                self.note(&answer);
            } else if let Some(error) = answer.get("error") {
                bail!("the browser says {error}");
            } else {
                return Ok(answer["result"].take());
            }
        }
    }

    fn receive(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.received.drain(..=end).collect();
                return Ok(serde_json::from_slice(&message[..end])?);
            }
            let mut chunk = [0; 16 * 1024];
            let read = self.socket.read(&mut chunk).context("waiting for the browser")?;
            if read == 0 {
                bail!("the browser ended");
            }
            self.received.extend_from_slice(&chunk[..read]);
        }
    }

    /// Keeps what an event says about requests. The answer of a server is told even where the page
    /// may not see it.
    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        let id = parameters["requestId"].as_str().unwrap_or_default().to_owned();
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = parameters["request"]["url"].as_str().unwrap_or_default();
                self.requested.insert(id, url.to_owned());
            }
            Some("Network.responseReceivedExtraInfo") => {
                let status = parameters["statusCode"].as_u64().unwrap_or_default();
                self.answered.push((id, status));
            }
            _ => {}
        }
    }
}

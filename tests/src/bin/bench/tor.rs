//! Both ways on one private Tor network: our agent to our proxy, and curl by C tor to an HTTP server
//! behind C tor's onion service.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use undertone_tests::{
    folder::{self, Folder},
    janitor,
    process::Process,
    programs,
    proxy::Proxy,
    tor_network::{Options, TorClient, TorNetwork},
    wait,
};

use crate::{processes::UNLIMITED, say};

/// From nothing to a first push that was taken, at the worst.
const ARRIVAL: Duration = Duration::from_secs(300);
/// A body of a push, in bytes.
const BODY: usize = 3_785;

/// Everything that pushes and memory need; started once.
pub(crate) struct Tor {
    pub(crate) proxy: Proxy,
    pub(crate) agent: Agent,
    /// The C tor with the onion service.
    pub(crate) service: TorClient,
    /// A C tor with a SOCKS port.
    pub(crate) client: TorClient,
    onion: String,
    body: Folder,
    arti: String,
    network: TorNetwork,
    _service_keys: Folder,
}

impl Tor {
    /// The one that is there, or a new one.
    pub(crate) fn get(place: &mut Option<Self>) -> Result<&mut Self> {
        match place {
            Some(tor) => Ok(tor),
            None => Ok(place.insert(Self::start()?)),
        }
    }

    fn start() -> Result<Self> {
        say("starting a private Tor network");
        let network = TorNetwork::start_with(Options::default(), |_| {})?;
        let arti = network.arti_toml()?;
        say("starting our proxy, and C tor's onion service");
        let schema = programs::binary("bench_agent")?.arg("--schema").output()?.stdout;
        let proxy = Proxy::on(&arti)?.limits(UNLIMITED)?.start(&[&String::from_utf8(schema)?])?;
        let keys = Folder::new("onion")?;
        folder::make(&keys.join("keys"))?;
        let port = answer_204()?;
        let service = network.socks_client(&[
            &format!("HiddenServiceDir {}", keys.join("keys").display()),
            &format!("HiddenServicePort 80 127.0.0.1:{port}"),
        ])?;
        let onion = fs::read_to_string(keys.join("keys/hostname"))?.trim().to_owned();
        let client = network.socks_client(&[])?;
        let body = Folder::new("body")?;
        fs::write(body.join("body"), [7; BODY])?;

        say("waiting until both can be reached");
        let mut agent = Agent::start(&arti, proxy.ingest(), &[])?;
        agent.first_push()?;
        let _service_keys = keys;
        let tor = Self { proxy, agent, service, client, onion, body, arti, network, _service_keys };
        tor.curl_until_taken(&tor.client)?;
        Ok(tor)
    }

    /// Milliseconds from an agent's start, with nothing on its disk, to a parcel that was taken.
    pub(crate) fn first_push(&self) -> Result<f64> {
        let often = ["--cut-milliseconds", "50", "--slot-milliseconds", "50"];
        Agent::start(&self.arti, self.proxy.ingest(), &often)?.first_push()
    }

    /// The same from the start of a C tor to the end of curl.
    pub(crate) fn first_curl(&self) -> Result<f64> {
        let began = Instant::now();
        let client = self.network.socks_client(&[])?;
        self.curl_until_taken(&client)?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    /// The host program without consent, hence without an agent.
    pub(crate) fn host_alone(&self) -> Result<Agent> {
        Agent::start(&self.arti, self.proxy.ingest(), &["--off"])
    }

    /// Milliseconds of each of so many requests, one after another, each on a stream of its own.
    pub(crate) fn curl(&self, client: &TorClient, times: usize) -> Result<Vec<f64>> {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--fail", "--max-time", "60", "--socks5-hostname"])
            .arg(format!("127.0.0.1:{}", client.socks_port()))
            .args(["--header", "Connection: close", "--header", "Expect:", "--data-binary"])
            .arg(format!("@{}", self.body.join("body").display()))
            .args(["--write-out", "%{http_code} %{time_total}\n"]);
        for _ in 0..times {
            command.args(["--output", "/dev/null"]).arg(format!("http://{}/v1/batch", self.onion));
        }
        let output = janitor::mark(&mut command)?.stderr(Stdio::null()).output().context("curl")?;
        let printed = String::from_utf8(output.stdout)?;
        let taken = printed.lines().filter_map(|line| line.strip_prefix("204 "));
        let seconds: Vec<f64> = taken.map(str::parse).collect::<Result<_, _>>()?;
        ensure!(seconds.len() == times, "{} of {times} requests were answered", seconds.len());
        Ok(seconds.into_iter().map(|seconds| seconds * 1e3).collect())
    }

    fn curl_until_taken(&self, client: &TorClient) -> Result<()> {
        wait::until("C tor's onion service", ARRIVAL, || Ok(self.curl(client, 1).ok().map(drop)))
    }
}

/// A host program with our agent in it.
pub(crate) struct Agent {
    pub(crate) process: Process,
    told: usize,
    _folder: Folder,
}

impl Agent {
    fn start(arti: &str, ingest: &str, arguments: &[&str]) -> Result<Self> {
        let folder = Folder::new("agent")?;
        fs::write(folder.join("tor.toml"), arti)?;
        let mut command = programs::binary("bench_agent")?;
        command.args(["--ingest", ingest]).args(arguments);
        command.arg("--data-dir").arg(folder.join("data"));
        command.arg("--tor-config").arg(folder.join("tor.toml"));
        let mut process = Process::spawn("agent", folder.path(), command)?;
        process
            .wait_for("the host program", ARRIVAL, |log| log.contains("started").then_some(()))?;
        Ok(Self { process, told: 0, _folder: folder })
    }

    fn first_push(&mut self) -> Result<f64> {
        let milliseconds = self.process.wait_for("a first push", ARRIVAL, |log| {
            let word = between(log, "first push taken after ", " ms\n")?;
            Some(word.parse::<f64>())
        })?;
        Ok(milliseconds?)
    }

    /// Waits for the next row of pushes; returns how many it had, their median and all their time, in
    /// milliseconds.
    pub(crate) fn row(&mut self) -> Result<(f64, f64, f64)> {
        let told = self.told;
        let row = self.process.wait_for("a row of pushes", ARRIVAL, |log| {
            let rows =
                log.lines().filter(|line| line.starts_with("row of ") && line.ends_with(" us"));
            rows.map(str::to_owned).nth(told)
        })?;
        self.told += 1;
        let number = |begin, end| -> Result<f64> {
            Ok(between(&row, begin, end).context("a number is missing")?.parse()?)
        };
        Ok((
            number("row of ", " pushes")?,
            number("median ", " us,")? / 1e3,
            number("all ", " us")? / 1e3,
        ))
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(begin)?.1.split_once(end)?.0)
}

/// An HTTP server that reads a request to its end, answers 204 and closes; returns its port. It keeps
/// nothing, which flatters the peer.
fn answer_204() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away early is its own loss.
            std::thread::spawn(move || drop(answer(&stream)));
        }
    });
    Ok(port)
}

fn answer(mut stream: &TcpStream) -> Result<()> {
    let mut request = BufReader::new(stream);
    let mut line = String::from(" ");
    while !line.trim_end().is_empty() || line == " " {
        line.clear();
        ensure!(request.read_line(&mut line)? > 0, "it ended early");
    }
    request.read_exact(&mut [0; BODY])?;
    stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")?;
    Ok(())
}

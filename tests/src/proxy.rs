//! An ingest proxy on the private Tor network, as a process of its own.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    folder::Folder,
    http::{self, Response},
    influxdb1::Influxd1,
    influxdb2::Influxd,
    ports,
    process::Process,
    programs,
    tor_network::as_tor_table,
};

/// How long the proxy may take to open its files, on a machine that compiles beside it.
const OPENING: Duration = Duration::from_secs(60);
/// How long it may take to end.
const ENDING: Duration = Duration::from_secs(20);

/// A proxy with a folder, a configuration and, while it runs, a process.
#[derive(Debug)]
pub struct Proxy {
    folder: Folder,
    health: u16,
    ingest: String,
    process: Option<Process>,
}

/// What a proxy is made of.
#[derive(Debug)]
pub struct Builder {
    folder: Folder,
    health: u16,
    configuration: String,
    tor: String,
}

impl Proxy {
    /// Begins a proxy on the Tor network of this arti configuration, with the embedded store.
    pub fn on(tor: &str) -> Result<Builder> {
        let folder = Folder::new("proxy")?;
        let health = ports::free()?;
        let configuration = format!(
            "data_dir = \"data\"\nhealth = \"127.0.0.1:{health}\"\n\n[[sink]]\nname = \"store\"\ntype = \"embedded\"\n"
        );
        Ok(Builder { folder, health, configuration, tor: tor.to_owned() })
    }

    /// What agents are given to report here.
    pub fn ingest(&self) -> &str {
        &self.ingest
    }

    /// Takes another configuration from the next start on, on the Tor network of this arti configuration.
    pub fn configure(&mut self, configuration: &str, tor: &str) -> Result<()> {
        fs::write(self.configuration(), configuration.to_owned() + &as_tor_table(tor))?;
        Ok(())
    }

    /// Asks again what agents are given to report here.
    pub fn learn_address(&mut self) -> Result<()> {
        self.ingest = self.output(&["address"])?.trim().to_owned();
        Ok(())
    }

    /// A command that one may run with an environment of one's own.
    pub fn command_with(&self, arguments: &[&str]) -> Result<Command> {
        self.command("proxy.toml", arguments)
    }

    /// The file with its configuration.
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("proxy.toml")
    }

    /// Stops the process in order. Files, keys and address stay.
    pub fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let status = process.terminate(ENDING)?;
            ensure!(status.success(), "the proxy ended with {status}\n{}", process.log());
        }
        Ok(())
    }

    /// Kills the process.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts the process, which prints what agents are given once its files are open.
    pub fn start(&mut self) -> Result<()> {
        let process =
            Process::spawn("proxy", self.folder.path(), self.command("proxy.toml", &["run"])?)?;
        let printed = process.stdout();
        let process = self.process.insert(process);
        process.wait_for("the proxy's files to be open", OPENING, |log| {
            log[printed.len().min(log.len())..].contains(".onion").then_some(())
        })?;
        Ok(())
    }

    /// Adds a schema. A proxy that runs follows within seconds.
    pub fn add_schema(&self, toml: &str) -> Result<()> {
        let file = self.folder.join("schema.toml");
        fs::write(&file, toml)?;
        let file = file.to_str().context("a path in UTF-8")?;
        self.output(&["schema", "add", file]).map(drop)
    }

    /// The output of one of the proxy's commands.
    pub fn output(&self, arguments: &[&str]) -> Result<String> {
        self.output_with("proxy.toml", arguments)
    }

    /// The same with another configuration in the proxy's folder.
    pub fn output_with(&self, configuration: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(configuration, arguments)?.output()?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// `/health` or `/metrics`.
    pub fn local(&self, path: &str) -> Result<Response> {
        let host = format!("127.0.0.1:{}", self.health);
        http::request(self.health, "GET", path, &[("Host", &host)], b"")
    }

    /// Where the operator page is, with its token: what the proxy said when it was last started.
    pub fn page_url(&self) -> Result<String> {
        let log = self.process.as_ref().map(Process::stderr).unwrap_or_default();
        let url = log.lines().rev().find_map(|line| line.strip_prefix("Operator page: "));
        Ok(url.context("the proxy named no operator page")?.to_owned())
    }

    /// One of the numbers in `/metrics`; zero for one that isn't there yet.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let page = self.local("/metrics")?.body;
        let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(value.map(str::parse).transpose()?.unwrap_or(0))
    }

    /// The rows of a query, asked of the embedded store by the `sqlite3` program.
    pub fn sqlite3(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let store = self.folder.join("data/store.sqlite3");
        if !store.exists() {
            return Ok(Vec::new());
        }
        let output = Command::new("sqlite3")
            .args(["-readonly", "-separator", "\t", "-cmd", ".timeout 5000"])
            .arg(&store)
            .arg(sql)
            .output()
            .context("run sqlite3")?;
        if !output.status.success() {
            bail!("sqlite3: {}", String::from_utf8_lossy(&output.stderr));
        }
        let text = String::from_utf8(output.stdout)?;
        Ok(text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// The process, while it runs.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// The proxy's folder: configuration, data, logs.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    fn command(&self, configuration: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = programs::binary("undertone-ingest-proxy")?;
        command.arg("--config").arg(self.folder.join(configuration)).args(arguments);
        Ok(command)
    }
}

impl Builder {
    /// Writes to this database as well.
    pub fn influxdb2(self, database: &Influxd) -> Result<Self> {
        self.file("token", &database.token)?.influxdb2_with("influx", database, "")
    }

    /// The same with the token that the proxy's folder holds already, and with more keys.
    pub fn influxdb2_with(mut self, name: &str, database: &Influxd, keys: &str) -> Result<Self> {
        write!(
            self.configuration,
            "\n[[sink]]\nname = \"{name}\"\ntype = \"influxdb2\"\nurl = \"{}\"\norg = \"{}\"\n\
             bucket = \"{}\"\ntoken_file = \"token\"\n{keys}\n",
            database.url(),
            database.org,
            database.bucket,
        )?;
        Ok(self)
    }

    /// Has no onion service of its own: a tor connects to this socket, and has written the address
    /// into that file.
    pub fn behind(mut self, socket: &Path, hostname_file: &Path) -> Result<Self> {
        let (socket, hostname_file) = (socket.display(), hostname_file.display());
        write!(
            self.configuration,
            "\n[front]\ntype = \"unix\"\npath = \"{socket}\"\nhostname_file = \"{hostname_file}\"\n"
        )?;
        Ok(self)
    }

    /// Has these limits, as keys of `[limits]`.
    pub fn limits(mut self, keys: &str) -> Result<Self> {
        write!(self.configuration, "\n[limits]\n{keys}\n")?;
        Ok(self)
    }

    /// Writes to this database as well, with more keys.
    pub fn influxdb1_with(self, name: &str, database: &Influxd1, keys: &str) -> Result<Self> {
        let mut builder = self.file("password", &database.password)?;
        builder.configuration += &influxdb1(name, database, keys);
        Ok(builder)
    }

    /// More of a configuration, from a table on.
    #[must_use]
    pub fn keys(mut self, toml: &str) -> Self {
        self.configuration += toml;
        self
    }

    /// Puts a file into the proxy's folder.
    pub fn file(self, name: &str, content: &str) -> Result<Self> {
        fs::write(self.folder.join(name), content)?;
        Ok(self)
    }

    /// Makes files and identity, and admits what these schemas declare. Nothing runs yet.
    pub fn build(self, schemas: &[&str]) -> Result<Proxy> {
        let configuration = self.configuration + &as_tor_table(&self.tor);
        fs::write(self.folder.join("proxy.toml"), configuration)?;
        let mut proxy = Proxy {
            folder: self.folder,
            health: self.health,
            ingest: String::new(),
            process: None,
        };
        for schema in schemas {
            proxy.add_schema(schema)?;
        }
        proxy.ingest = proxy.output(&["address"])?.trim().to_owned();
        Ok(proxy)
    }

    /// [`Self::build`], started.
    pub fn start(self, schemas: &[&str]) -> Result<Proxy> {
        let mut proxy = self.build(schemas)?;
        proxy.start()?;
        Ok(proxy)
    }
}

/// A sink's part of a configuration, whose folder holds the password. The key `database` is among
/// those to be given.
pub fn influxdb1(name: &str, database: &Influxd1, keys: &str) -> String {
    format!(
        "\n[[sink]]\nname = \"{name}\"\ntype = \"influxdb1\"\nurl = \"{}\"\nusername = \"{}\"\n\
         password_file = \"password\"\n{keys}\n",
        database.url(),
        database.username,
    )
}

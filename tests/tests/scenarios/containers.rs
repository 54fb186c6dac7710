//! What `docker/` promises, without a container engine: the same binary, entry points and
//! configuration run here, as the image's user on a read-only root that has what the image has.
//!
//! A failure: a port beside Grafana's, a service with more rights than it needs, a secret that is
//! replaced or stands in an environment, a command that an image can't run, a sum that differs, a query
//! of the dashboard that fails or shows nothing. Not a failure: anything that only an engine could
//! show, such as whether an image builds.

mod agent;
mod dashboard;
mod dockerfile;
mod engine;
mod pictures;
mod stack;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use undertone_tests::{
    file_server::FileServer,
    folder::Folder,
    http,
    influxdb2::Influxd,
    ports,
    process::Process,
    tor_network::{TorNetwork, as_tor_table},
    wait,
};

use crate::fixtures::{ARRIVAL, ENDING, Load, RHYTHM, in_influxdb};
use dashboard::Dashboard;
use dockerfile::Dockerfile;
use engine::Container;
use pictures::pictures;
use stack::{Stack, repository};

#[test]
fn the_compose_file_gives_each_service_what_it_needs_and_no_more() -> Result<()> {
    let stack = Stack::copy()?;
    let services = stack.services()?;
    assert_eq!(services.keys().copied().collect::<Vec<_>>(), ["grafana", "influxdb", "proxy"]);
    for (name, service) in &services {
        let text = service.text;
        assert_eq!(text["read_only"], true, "{name}");
        assert_eq!(text["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(text["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
        assert_eq!(text["restart"], "unless-stopped", "{name}");
        for more in
            ["privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"]
        {
            assert!(text[more].is_null(), "{name}: {more}");
        }
        let user = text["user"].as_str().and_then(|user| user.split(':').next()?.parse().ok());
        assert!(user.is_some_and(|user: u32| user > 0), "{name}: {user:?}");
        let image = text["image"].as_str().unwrap_or_default();
        let pinned = image.contains(':') && !image.ends_with(":latest");
        assert!(pinned || !text["build"].is_null(), "{name}: {image}");
        assert!(!service.health_check()?.is_empty());
        for (variable, value) in service.environment() {
            let secret =
                ["PASSWORD", "TOKEN", "SECRET", "KEY"].iter().any(|w| variable.contains(w));
            let file = variable.ends_with("_FILE") && value.starts_with("/run/secrets/");
            assert!(!secret || file, "{name}: {variable}");
        }
    }

    let published: BTreeMap<&str, Vec<String>> = services
        .iter()
        .map(|(name, service)| Ok((*name, service.published()?)))
        .collect::<Result<_>>()?;
    assert_eq!(published["grafana"], ["127.0.0.1:3000:3000"]);
    assert!(published["influxdb"].is_empty() && published["proxy"].is_empty(), "{published:?}");
    let networks = |name: &str| services[name].networks().into_iter().collect::<Vec<_>>();
    assert_eq!(networks("influxdb"), ["database"]);
    assert_eq!(networks("proxy"), ["database", "tor"]);
    assert_eq!(networks("grafana"), ["database", "page"]);
    assert_eq!(stack.compose()["networks"]["database"]["internal"], true);

    let mut writable = BTreeSet::new();
    for (name, service) in &services {
        for mount in service.mounts()? {
            let inside = mount.source.starts_with(stack.folder());
            assert!(inside, "{name}: {mount:?} is outside of docker/");
            if !mount.read_only {
                writable.insert(format!("{name} {}", mount.target));
            }
        }
    }
    let expected = [
        "grafana /var/lib/grafana",
        "influxdb /tokens/grafana",
        "influxdb /tokens/proxy",
        "influxdb /var/lib/influxdb2",
        "proxy /var/lib/undertone-ingest",
    ];
    assert_eq!(writable.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    for (name, secret) in stack.compose()["secrets"].as_object().context("no secrets")? {
        let expected = stack.join("secrets").join(name);
        assert_eq!(secret["file"].as_str().map(Path::new), Some(&*expected));
    }

    // Org and bucket stand in three files.
    let source = fs::read_to_string(stack.join("grafana/provisioning/datasources/undertone.yaml"))?;
    let proxy = fs::read_to_string(stack.join("proxy.toml"))?;
    for (variable, key, of_grafana) in
        [("ORG", "org", "organization"), ("BUCKET", "bucket", "defaultBucket")]
    {
        let environment = services["influxdb"].environment();
        let value = environment[&*format!("DOCKER_INFLUXDB_INIT_{variable}")];
        assert!(proxy.lines().any(|line| line == format!("{key} = \"{value}\"")), "{proxy}");
        assert!(source.contains(&format!(" {of_grafana}: {value}\n")), "{source}");
    }
    assert!(source.contains("token: $__file{/run/undertone/influxdb-token}"), "{source}");
    Ok(())
}

#[test]
fn images_run_one_binary_as_nobody_and_are_built_from_the_workspace_alone() -> Result<()> {
    for name in ["proxy", "agent"] {
        let file = Dockerfile::read(&repository(&format!("docker/{name}.Dockerfile")))?;
        let program = format!("/usr/local/bin/{}", file.binary);
        assert_eq!(file.command.first(), Some(&program), "{name}");
        assert_eq!(file.last("USER"), Some("65532:65532"), "{name}");
        assert_eq!(file.last("STOPSIGNAL"), Some("SIGTERM"), "{name}");
        let volume = file.last("VOLUME").context("no VOLUME")?;
        let copies = &file.instructions["COPY"];
        assert!(copies[0].ends_with(&program), "{name}: {copies:?}");
        assert!(copies[1].ends_with(&format!("--chown=65532:65532 /data {volume}")), "{copies:?}");
    }
    let stack = Stack::copy()?;
    let proxy = stack.service("proxy")?;
    let image = proxy.dockerfile()?.context("the proxy's image is built here")?;
    assert_eq!(proxy.text["user"].as_str(), image.last("USER"));
    let volume = image.last("VOLUME").unwrap_or_default();
    assert!(proxy.mounts()?.iter().any(|mount| mount.target == volume), "{volume}");

    let manifest = fs::read_to_string(repository("Cargo.toml"))?;
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = "));
    let members: Vec<String> = serde_json::from_str(members.context("no members")?)?;
    let context = fs::read_to_string(repository(".dockerignore"))?;
    for member in members {
        let top = member.split('/').next().unwrap_or_default();
        assert!(
            context.lines().any(|line| line == format!("!{top}")),
            "{top} isn't in the context"
        );
    }
    assert!(!context.lines().any(|line| line.starts_with("!docker")), "secrets would be sent");
    Ok(())
}

#[test]
fn secrets_are_made_once_and_are_for_their_owner_alone() -> Result<()> {
    let stack = Stack::copy()?;
    let secrets = || -> Result<BTreeMap<String, String>> {
        run(Command::new(stack.join("make-secrets.sh")))?;
        let files = fs::read_dir(stack.join("secrets"))?.filter_map(Result::ok);
        let files = files.filter(|entry| entry.path().is_file());
        files
            .map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                Ok((name, fs::read_to_string(entry.path())?))
            })
            .collect()
    };
    let first = secrets()?;
    let declared = stack.compose()["secrets"].as_object().context("no secrets")?;
    assert_eq!(first.keys().collect::<Vec<_>>(), declared.keys().collect::<Vec<_>>());
    assert_eq!(first.values().collect::<BTreeSet<_>>().len(), first.len(), "no two are alike");
    for secret in first.values() {
        let random = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(random, "256 bits in hexadecimal");
    }
    let mode = |path: &str| {
        Ok::<_, anyhow::Error>(stack.join(path).metadata()?.permissions().mode() & 0o777)
    };
    assert_eq!(mode("secrets")?, 0o700);
    assert_eq!(mode("secrets/influxdb-admin-token")?, 0o444);
    assert_eq!(secrets()?, first, "a second time changes nothing");

    fs::remove_file(stack.join("secrets/influxdb-admin-token"))?;
    let third = secrets()?;
    for (name, secret) in &first {
        assert_eq!(third[name] == *secret, name != "influxdb-admin-token", "{name}");
    }

    let own = stack.join("secrets/grafana-admin-password");
    fs::remove_file(&own)?;
    fs::write(&own, "short")?;
    let error = run(Command::new(stack.join("make-secrets.sh"))).unwrap_err().to_string();
    assert!(error.contains("grafana-admin-password is too short"), "{error}");
    assert_eq!(fs::read_to_string(own)?, "short");
    Ok(())
}

#[test]
fn the_stack_runs_without_containers_and_every_picture_of_the_dashboard_shows_data() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut database = Influxd::start()?;
    let stack = Stack::copy()?;
    let ask_address = up(&stack)?;
    tokens(&stack, &database)?;
    let token = |of: &str| fs::read_to_string(stack.join(&format!("secrets/{of}/influxdb-token")));
    let (admin, read, write) = (database.token.clone(), token("grafana")?, token("proxy")?);

    let service = stack.service("proxy")?;
    let health = ports::free()?;
    configure(&stack, &database, health, &tor.arti_toml()?)?;
    fs::write(stack.join("schemas/fileserver.toml"), FileServer::schema()?)?;
    let image = service.dockerfile()?.context("the proxy's image is built here")?;
    let container = Container::of(&stack, &service, &image)?;
    let start = container.command(&image.command);
    let mut proxy = Process::spawn("proxy", stack.folder(), start)?;
    proxy.wait_for("the proxy's files to be open", ENDING * 2, |log| {
        log.contains(".onion").then_some(())
    })?;
    let process = Path::new("/proc").join(proxy.pid().to_string());
    assert_eq!(fs::read_link(process.join("root"))?, container.root());
    let status = fs::read_to_string(process.join("status"))?;
    assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
    wait::until("the health check to pass", ARRIVAL, || {
        ensure!(proxy.is_running(), "{}", proxy.log());
        Ok(container.command(&service.health_check()?).output()?.status.success().then_some(()))
    })?;
    let ingest = run(container.command(&ask_address))?;
    let ingest = ingest.trim();
    assert!(proxy.stdout().contains(ingest), "{ingest}");

    let servers = (0..2).map(|_| FileServer::start(&tor.arti_toml()?, ingest, RHYTHM));
    let servers = servers.collect::<Result<Vec<_>>>()?;
    let mut load = Load::default();
    load.times(20, &servers)?;
    load.until_arrived("the first numbers in InfluxDB", &servers, || {
        in_influxdb(&database, "fileserver.connections.count", "delta")
    })?;
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    wait::until("the queue to be empty", ARRIVAL, || {
        Ok((metric(health, "undertone_queue_parcels")? == 0).then_some(()))
    })?;

    // Grafana's token reads, the proxy's writes, and neither can do what the other does.
    database.token = read;
    assert!(database.write("a b=1").is_err());
    let admitted = metric(health, "undertone_points_admitted_total")?;
    pictures(
        &Dashboard::read(&stack.join("grafana/dashboards/sessions.json"))?,
        &database,
        &load,
        admitted,
    )?;
    database.token = write;
    assert!(database.query_flux("from(bucket: \"telemetry\") |> range(start: -1h)").is_err());
    database.token = admin;

    let status = proxy.terminate(ENDING)?;
    ensure!(status.success(), "{status}\n{}", proxy.log());
    Ok(())
}

/// Runs `docker/up` with a `docker` that only notes what it is asked for; returns the command that it
/// runs in the proxy's container at last.
fn up(stack: &Stack) -> Result<Vec<String>> {
    let folder = Folder::new("docker")?;
    let (docker, calls) = (folder.join("docker"), folder.join("calls"));
    fs::write(&docker, format!("#!/bin/sh\necho \"$*\" >>'{}'\n", calls.display()))?;
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH")?);
    let mut command = Command::new(stack.join("up"));
    command.env("PATH", path);
    run(command)?;
    let calls = fs::read_to_string(calls)?;
    let calls: Vec<&str> = calls.lines().collect();
    let [first, second] = calls[..] else { anyhow::bail!("{calls:?}") };
    assert_eq!(first, "compose --file compose.yaml up --detach --build --wait");
    let exec = second.strip_prefix("compose --file compose.yaml exec -T proxy ");
    let command = exec.with_context(|| second.to_owned())?.split(' ').map(str::to_owned).collect();
    Ok(command)
}

/// Runs the script that the database's image runs at the end of its setup, with the variables that it
/// is given there.
fn tokens(stack: &Stack, database: &Influxd) -> Result<()> {
    let service = stack.service("influxdb")?;
    let secret = stack.join("secrets/influxdb-admin-token");
    fs::remove_file(&secret)?;
    fs::write(&secret, &database.token)?;
    let mounts = service.mounts()?;
    let script = mounts.iter().find(|m| m.target.starts_with("/docker-entrypoint-initdb.d/"));
    let script = &script.context("no script")?.source;
    assert_eq!(script.metadata()?.permissions().mode() & 0o555, 0o555, "it must be executable");
    fs::write(script, service.mapped(&fs::read_to_string(script)?)?)?;

    let id = |kind: &str, name: &str| -> Result<String> {
        let list = database.request("GET", &format!("/api/v2/{kind}"), "application/json", "")?;
        let list: Value = serde_json::from_str(&list.body)?;
        let mut all = list[kind].as_array().into_iter().flatten();
        let found = all.find(|one| one["name"] == name).and_then(|one| one["id"].as_str());
        Ok(found.with_context(|| format!("no {name} in {list}"))?.to_owned())
    };
    // Twice: a database that was deleted is set up anew over the old one's tokens.
    for _ in 0..2 {
        let mut command = Command::new(script);
        command.env_clear().env("PATH", std::env::var("PATH")?);
        for (name, value) in service.environment() {
            command.env(name, service.mapped(value)?);
        }
        command
            .env("INFLUX_HOST", database.url())
            .env("DOCKER_INFLUXDB_INIT_ORG_ID", id("orgs", &database.org)?)
            .env("DOCKER_INFLUXDB_INIT_BUCKET_ID", id("buckets", &database.bucket)?);
        run(command)?;
    }
    Ok(())
}

/// Gives the proxy's configuration this machine's database, a free port and the private Tor network.
fn configure(stack: &Stack, database: &Influxd, health: u16, tor: &str) -> Result<()> {
    let path = stack.join("proxy.toml");
    let text = fs::read_to_string(&path)?;
    let url = "http://influxdb:8086";
    ensure!(text.contains(url), "{text}");
    let text = text.replace(url, &database.url());
    // A container's files are as they should be: nothing need be trusted blindly.
    let blind = "[storage.permissions]\ndangerously_trust_everyone = true\n";
    ensure!(tor.contains(blind), "{tor}");
    let table = as_tor_table(&tor.replace(blind, ""));
    let text = format!("health = \"127.0.0.1:{health}\"\n{text}\n{table}");
    Ok(fs::write(path, text)?)
}

/// One of the numbers in `/metrics`.
fn metric(port: u16, name: &str) -> Result<u64> {
    let page = http::request(port, "GET", "/metrics", &[], b"")?.body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(value.with_context(|| format!("no {name}: {page}"))?.parse()?)
}

/// What a command writes to standard output; an error if it fails.
fn run(mut command: Command) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.output().with_context(|| format!("{:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8(stdout)?)
}

//! The proxy's commands: its address, its schemas, and its store as text.
//!
//! A failure: an address that changes, a broken schema that is admitted or whose error doesn't lead to
//! the mistake, an export that has other points than the store or that InfluxDB doesn't take. Not a
//! failure: in which words something is said, or the order of the exported lines.

use std::fs;

use anyhow::Result;
use undertone_tests::{
    file_server::FileServer, influxdb2::Influxd, proxy::Proxy, tor_network::TorNetwork, wait,
};
use undertone_wire::line_protocol;

use crate::fixtures::{ARRIVAL, Load, file_servers, in_influxdb, in_store};

#[test]
fn s5_the_address_is_the_same_before_while_and_after_the_proxy_runs() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.build(&[])?;
    let before = proxy.output(&["address"])?;
    assert_eq!(before.trim(), proxy.ingest());
    for _ in 0..2 {
        proxy.start()?;
        wait::until("the health page", ARRIVAL, || Ok(proxy.local("/health").ok().map(drop)))?;
        assert_eq!(proxy.output(&["address"])?, before, "while it runs");
        let printed = proxy.process().map(|process| process.stdout()).unwrap_or_default();
        assert!(printed.lines().all(|line| line == before.trim()), "{printed}");
        proxy.stop()?;
        assert_eq!(proxy.output(&["address"])?, before, "after it ran");
    }
    Ok(())
}

#[test]
fn help_lists_every_command_and_a_broken_schema_is_not_admitted() -> Result<()> {
    let proxy = Proxy::on("")?.build(&[])?;
    let help = proxy.output(&["--help"])?;
    for command in ["run", "address", "health", "schema", "query", "export", "backup"] {
        let listed = help.lines().any(|line| line.trim_start().starts_with(&format!("{command} ")));
        assert!(listed, "{command} isn't listed:\n{help}");
        assert!(proxy.output(&[command, "--help"])?.contains("Usage: "), "{command}");
    }

    let good = FileServer::schema()?;
    let file = proxy.folder().join("broken.toml");
    let file = file.to_string_lossy();
    // (what is put in whose place, the line of the mistake, the key)
    for (from, to, key) in [
        ("kind = \"counter\"", "kind = \"clock\"", "clock"),
        ("interval_seconds = 1", "interval_seconds = 0", "interval_seconds"),
        ("description = ", "descriptoin = ", "descriptoin"),
    ] {
        let broken = good.replacen(from, to, 1);
        let line = 1 + broken.lines().position(|line| line.contains(to)).unwrap();
        fs::write(&*file, &broken)?;
        let error = proxy.output(&["schema", "add", &file]).unwrap_err().to_string();
        assert!(error.contains(&format!("line {line}: ")) && error.contains(key), "{to}:\n{error}");
    }
    assert_eq!(proxy.output(&["schema", "list"])?, "", "none of them was admitted");
    Ok(())
}

#[test]
fn what_is_exported_is_what_is_stored_and_influxdb_takes_it() -> Result<()> {
    let tor = TorNetwork::shared()?;
    let mut proxy = Proxy::on(&tor.arti_toml()?)?.start(&[&FileServer::schema()?])?;
    let servers = file_servers(1, tor, &proxy)?;
    let mut load = Load::default();
    load.times(30, &servers)?;
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    let while_it_runs = proxy.output(&["export"])?;
    servers.into_iter().try_for_each(FileServer::stop)?;
    proxy.stop()?;

    let export = proxy.output(&["export"])?;
    assert!(export.lines().count() >= while_it_runs.lines().count());
    let (mut points, mut values) = (0, 0);
    for line in line_protocol::parse(&export) {
        let line = line?;
        points += 1;
        values += line.fields.len();
    }
    let stored = proxy.sqlite3(
        "SELECT count(DISTINCT measurement || session || tags || time), count(*) FROM point",
    )?;
    assert_eq!(stored, [[points.to_string(), values.to_string()]]);

    let database = Influxd::start()?;
    database.write(&export)?;
    let counted = database.query_flux(&format!(
        "from(bucket: \"{}\") |> range(start: -1d, stop: 1d) |> count() |> group() |> sum()",
        database.bucket
    ))?;
    assert_eq!(counted[0]["_value"], values.to_string());
    load.is_all_there("InfluxDB", |measurement, field| in_influxdb(&database, measurement, field))
}

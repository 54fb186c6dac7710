//! Keys that come from elsewhere, and backups that go there: the address stays.
//!
//! A failure: another address than C tor gives to the same key, in either direction; an agent that knew the
//! address and reaches nobody; an identity that is overwritten, or changed under a proxy that runs; a key in
//! anything that is written or printed. Not a failure: how long agents take to find the service again.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use data_encoding::{BASE64, HEXLOWER};
use undertone_tests::{
    file_server::FileServer,
    folder::{self, Folder},
    proxy::Proxy,
    tor_network,
};

use crate::fixtures::{Load, RHYTHM, in_store, mixed::MixedNetwork};

/// The file of C tor's with the secret key, and what of it is no key.
const KEY_FILE: &str = "hs_ed25519_secret_key";
const HEADER: usize = 32;

#[test]
fn s5_a_key_of_c_tor_keeps_its_address_and_goes_back_to_c_tor() -> Result<()> {
    let folder = Folder::new("keys")?;
    let (service, onion) = c_tor(&folder, "service", None)?;
    let key = service.join(KEY_FILE);
    let bytes = fs::read(&key)?;

    // As C tor has it, as 64 bytes, as TorfluxDB takes it from its environment.
    let mut shown = Shown::default();
    let by_file = fresh()?;
    shown.take(&by_file, &["key", "import", text(&key)], &[])?.is(&onion);
    let raw = secret_file(&folder, "raw", &bytes[HEADER..])?;
    let by_bytes = fresh()?;
    shown.take(&by_bytes, &["key", "import", text(&raw)], &[])?.is(&onion);
    let by_environment = fresh()?;
    let variable = [("TORFLUXDB_ONIONKEY", HEXLOWER.encode(&bytes[HEADER..]))];
    shown.take(&by_environment, &["key", "import", "--env"], &variable)?.is(&onion);
    for proxy in [&by_file, &by_bytes, &by_environment] {
        shown.take(proxy, &["address"], &[])?.is(&onion);
        let again = proxy.output(&["key", "import", text(&key)])?;
        assert_eq!(again.trim(), onion, "what is there already is no mistake");
    }

    // Back to C tor, which must come to the same address by itself.
    let backup = folder.join("backup");
    shown.take(&by_file, &["key", "backup", text(&backup)], &[])?.is(&onion);
    assert_eq!(fs::metadata(&backup)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read(&backup)?.len(), bytes.len());
    let (_, again) = c_tor(&folder, "again", Some(&backup))?;
    assert_eq!(again, onion, "C tor with our backup");
    let error = shown.refused(&by_file, &["key", "backup", text(&backup)])?;
    assert!(error.contains("there is a file already"), "{error}");

    // A key that was made here goes the same ways.
    let ours = Proxy::on("")?.build(&[])?;
    let backup = folder.join("ours");
    shown.take(&ours, &["key", "backup", text(&backup)], &[])?.is(ours.ingest());
    let (_, theirs) = c_tor(&folder, "theirs", Some(&backup))?;
    assert_eq!(theirs, ours.ingest(), "C tor with a key of ours");
    let restored = fresh()?;
    shown.take(&restored, &["key", "restore", text(&backup)], &[])?.is(ours.ingest());
    shown.take(&restored, &["address"], &[])?.is(ours.ingest());

    let files: Vec<&Proxy> = vec![&by_file, &by_bytes, &by_environment];
    for proxy in files {
        assert_private(&proxy.folder().join("data"))?;
    }
    shown.holds_no(&bytes[HEADER..]);
    shown.holds_no(&fs::read(&backup)?[HEADER..]);
    Ok(())
}

#[test]
fn s5_an_identity_is_replaced_only_when_asked_and_is_kept() -> Result<()> {
    let folder = Folder::new("replaced")?;
    let (service, onion) = c_tor(&folder, "service", None)?;
    let key = service.join(KEY_FILE);
    let proxy = Proxy::on("")?.build(&[])?;
    let before = proxy.ingest().to_owned();
    // What arti has derived from the identity, and what it knows of introduction points.
    let data = proxy.folder().join("data");
    let keystore = data.join("tor/state/keystore/hss/undertone");
    let derived = [
        keystore.join("ks_hs_blind_id+1_2_3.ed25519_expanded_private"),
        keystore.join("ipts/k_sid"),
    ];
    let state = data.join("tor/state/hss/undertone/ipts.json");
    for file in derived.iter().chain([&state]) {
        folder::make(file.parent().context("a folder")?)?;
        fs::write(file, "of the identity before")?;
    }

    let mut shown = Shown::default();
    for refused in [&["key", "import", text(&key)][..], &["key", "restore", text(&key)]] {
        let error = shown.refused(&proxy, refused)?;
        assert!(error.contains("--replace") && error.contains(&before), "{error}");
        assert!(state.exists() && derived.iter().all(|file| file.exists()));
        assert_eq!(proxy.output(&["address"])?.trim(), before);
    }
    shown.take(&proxy, &["key", "import", text(&key), "--replace"], &[])?.is(&onion);
    shown.take(&proxy, &["address"], &[])?.is(&onion);
    for file in derived.iter().chain([&state]) {
        assert!(!file.exists(), "derived from the identity before: {}", file.display());
    }

    let label = before.trim_end_matches(".onion");
    let kept = data.join(format!("identity-{label}.backup"));
    assert!(shown.all.contains(text(&kept)), "the file isn't named:\n{}", shown.all);
    let restored = fresh()?;
    shown.take(&restored, &["key", "restore", text(&kept)], &[])?.is(&before);

    // Who else could have read it, and what is no key.
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644))?;
    let error = shown.refused(&fresh()?, &["key", "import", text(&key)])?;
    assert!(error.contains("chmod 600"), "{error}");
    let seed = secret_file(&folder, "seed", &[7; 32])?;
    let error = shown.refused(&fresh()?, &["key", "import", text(&seed)])?;
    assert!(error.contains("--seed"), "{error}");
    let error = shown.refused(&fresh()?, &["key", "import", "--env"])?;
    assert!(error.contains("TORFLUXDB_ONIONKEY"), "{error}");
    let error = shown.refused(&fresh()?, &["key", "backup", text(&folder.join("none"))])?;
    assert!(error.contains("no identity"), "{error}");
    shown.holds_no(&fs::read(&key)?[HEADER..]);
    Ok(())
}

#[test]
fn s5_agents_that_knew_the_address_go_on_when_the_key_moves() -> Result<()> {
    let tor = MixedNetwork::shared()?;
    let folder = Folder::new("moves")?;
    let (socket, service) = (folder.join("ingest.sock"), folder.join("service"));
    let lines = [
        format!("HiddenServiceDir {}", service.display()),
        format!("HiddenServicePort 80 unix:{}", socket.display()),
        "HiddenServiceExportCircuitID haproxy".to_owned(),
    ];
    let c_tor = tor.network.socks_client(&lines.each_ref().map(|line| &**line))?;
    let onion = Proxy::on("")?;
    let mut proxy =
        onion.behind(&socket, &service.join("hostname"))?.start(&[&FileServer::schema()?])?;
    let known = proxy.ingest().to_owned();
    tor.wait_until_published(&known)?;
    let servers = vec![FileServer::start(&tor.arti_toml, &known, RHYTHM)?];
    let counted = |proxy: &Proxy| in_store(proxy, "fileserver.connections.count", "delta");
    let mut load = Load::default();
    load.times(20, &servers)?;
    load.until_arrived("what was counted before", &servers, || counted(&proxy))?;

    // The key moves from C tor into the proxy, which keeps its folder and has an onion service of its own from now on.
    let key = service.join(KEY_FILE);
    let text_before = fs::read_to_string(proxy.configuration())?;
    let configuration = text_before.split("\n[front]\n").next().context("a table")?.to_owned();
    let mut shown = Shown::default();
    let other = proxy.folder().join("own.toml");
    fs::write(&other, &configuration)?;
    let while_it_runs =
        proxy.output_with("own.toml", &["key", "import", text(&key)]).unwrap_err().to_string();
    assert!(while_it_runs.contains("a proxy runs on this data folder"), "{while_it_runs}");
    drop(c_tor);
    proxy.stop()?;
    let in_front = shown.refused(&proxy, &["key", "import", text(&key)])?;
    assert!(in_front.contains("HiddenServiceDir"), "{in_front}");
    load.times(20, &servers)?;
    proxy.configure(&configuration, &tor.arti_toml)?;
    shown.take(&proxy, &["key", "import", text(&key)], &[])?.is(&known);
    proxy.learn_address()?;
    assert_eq!(proxy.ingest(), known);
    proxy.start()?;

    tor.wait_until_published(&known)?;
    load.until_arrived("what was counted after", &servers, || counted(&proxy))?;
    for command in
        [&["key", "backup", text(&folder.join("never"))][..], &["key", "import", text(&key)]]
    {
        let error = shown.refused(&proxy, command)?;
        assert!(error.contains("a proxy runs on this data folder"), "{error}");
    }
    load.is_all_there("the store", |measurement, field| in_store(&proxy, measurement, field))?;
    shown.all += &proxy.process().map(|process| process.log()).unwrap_or_default();
    shown.holds_no(&fs::read(&key)?[HEADER..]);
    proxy.stop()
}

/// All that the proxy printed.
#[derive(Default)]
struct Shown {
    all: String,
    last: String,
}

impl Shown {
    /// Runs a command that succeeds.
    fn take(
        &mut self,
        proxy: &Proxy,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> Result<&Self> {
        let envs = variables.iter().map(|(name, value)| (name, value));
        let output =
            proxy.command_with(arguments)?.envs(envs).env("UNDERTONE_LOG", "trace").output()?;
        let (out, log) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        anyhow::ensure!(output.status.success(), "{arguments:?}: {log}");
        out.trim().clone_into(&mut self.last);
        self.all += &(out + &log);
        Ok(self)
    }

    /// Runs one that is refused; returns why.
    fn refused(&mut self, proxy: &Proxy, arguments: &[&str]) -> Result<String> {
        let Err(error) = proxy.output(arguments) else { bail!("{arguments:?} was not refused") };
        let error = error.to_string();
        self.all += &error;
        Ok(error)
    }

    fn is(&self, address: &str) {
        assert_eq!(self.last, address);
    }

    /// None of it is part of this key, however it is written.
    fn holds_no(&self, key: &[u8]) {
        for part in key.chunks(8) {
            let hex = HEXLOWER.encode(part);
            let numbers = format!("{part:?}");
            let base64 = BASE64.encode(&part[..6]);
            for form in [&hex, &hex.to_uppercase(), numbers.trim_matches(['[', ']']), &base64] {
                assert!(!self.all.contains(form), "a part of the key was printed");
            }
        }
    }
}

/// A proxy that has no identity yet.
fn fresh() -> Result<Proxy> {
    let proxy = Proxy::on("")?.build(&[])?;
    fs::remove_dir_all(proxy.folder().join("data"))?;
    Ok(proxy)
}

/// A HiddenServiceDir as C tor makes it, of this key or of its own, and its address.
fn c_tor(folder: &Folder, name: &str, key: Option<&Path>) -> Result<(PathBuf, String)> {
    let service = folder.join(name);
    if let Some(key) = key {
        folder::make(&service)?;
        fs::copy(key, service.join(KEY_FILE))?;
    }
    let onion = tor_network::hostname(&service)?;
    Ok((service, onion))
}

fn secret_file(folder: &Folder, name: &str, content: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, content)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// Nobody else gets at anything in this folder.
fn assert_private(path: &Path) -> Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_dir() {
        assert_eq!(mode, 0o700, "{}", path.display());
        return fs::read_dir(path)?.try_for_each(|entry| assert_private(&entry?.path()));
    }
    assert_eq!(mode, 0o600, "{}", path.display());
    Ok(())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

//! The configuration as a whole: what it refuses and where, the example, several files, variables.

use std::{collections::BTreeSet, fs, path::Path};

use undertone_collectors::listener::SocketMode;

use super::{section::Section, *};

const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

fn variables(name: &str) -> Option<String> {
    match name {
        "NAME" => Some("attic".to_owned()),
        "SECRET" => Some("obfs4 hunter2-is-a-secret".to_owned()),
        _ => None,
    }
}

/// The configuration of a folder with these files.
fn load(files: &[(&str, &str)]) -> (tempfile::TempDir, Result<Config, ConfigError>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let loaded = Config::load_with(&folder.path().join("main.toml"), &variables, true);
    (folder, loaded)
}

fn one(text: &str) -> Result<Config, ConfigError> {
    load(&[("main.toml", text), ("token", "0123456789abcdef"), ("empty", "")]).1
}

/// With consent, since arti isn't asked without it.
fn tor(table: &str) -> String {
    format!("consent = \"granted\"\ningest = \"{ONION}\"\n{table}")
}

/// The example with all that is commented out in it.
fn uncommented() -> String {
    let lines = EXAMPLE.lines().map(|line| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest,
        _ => line,
    });
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_example_says_the_defaults() {
    let (example, nothing) = (one(EXAMPLE).unwrap(), one("").unwrap());
    assert_eq!(Config { files: Vec::new(), ..example }, Config { files: Vec::new(), ..nothing });
}

#[test]
fn the_example_has_every_key_and_parses() {
    let text = uncommented();
    let table = tree::parse(&text, Path::new("example"), &variables).unwrap();
    let keys = |entries: &Table| entries.keys().cloned().collect::<BTreeSet<String>>();
    let known = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
    let inner = |key: &str| match &table[key].value {
        tree::Value::Table(table) => keys(table),
        tree::Value::List(list) => {
            let tables = list.iter().map(|entry| match &entry.value {
                tree::Value::Table(table) => keys(table),
                _ => BTreeSet::new(),
            });
            tables.flatten().collect()
        }
        _ => BTreeSet::new(),
    };
    assert_eq!(keys(&table), known(KEYS));
    assert_eq!(inner("host"), known(host::KEYS));
    assert_eq!(inner("listener"), known(listener::KEYS));
    assert_eq!(inner("spool"), known(spool::KEYS));
    assert_eq!(inner("log"), known(log::KEYS));

    // One of two keys that exclude each other, and files that exist.
    let text = text
        .replace("\"denied\"\n", "\"granted\"\n")
        .replace("ADDRESS.onion", ONION)
        .replace("ingest_file =", "#ingest_file =")
        .replace("\"listener-token\"", "\"token\"");
    let config = one(&text).unwrap();
    assert_eq!(config.alias.as_deref(), Some("attic-1"));
    assert_eq!(config.listeners.len(), 2);
    let Transport::Embedded(tor) = &config.agent.transport else { panic!("not embedded") };
    assert!(tor.contains("obfs4proxy") && tor.contains("outbound_proxy"), "{tor}");
}

#[test]
fn mistakes_name_file_line_and_key() {
    let flipped = ONION.replacen('z', "y", 1);
    let checksum = format!("ingest = \"{flipped}\"");
    let version = format!("ingest = \"{}\"", ONION.replacen("d.onion", "c.onion", 1));
    let both = format!("ingest = \"{ONION}\"\ningest_file = \"empty\"");
    let tcp = "[[listener]]\ntcp = \"127.0.0.1:8186\"\n";
    let with_token = format!("{tcp}token_file = \"token\"\n");
    for (text, line, key, reason) in [
        ("\nconsent = \"granted", 2, "consent", "not TOML"),
        ("consent = \"granted\"", 1, "consent", "no `ingest`"),
        ("consent = \"Granted\"", 1, "consent", "did you mean `granted`?"),
        ("consent = true", 1, "consent", "must be a text"),
        ("\n\ningset = \"x\"", 3, "ingset", "did you mean `ingest`?"),
        ("qqqq = 1", 1, "qqqq", "there are: consent, consent_file"),
        ("ingest = \"abc.onion\"", 1, "ingest", "56 characters"),
        (&checksum, 1, "ingest", "checksum"),
        (&version, 1, "ingest", "version"),
        ("ingest = \"example.com\"", 1, "ingest", "ends in `.onion`"),
        (&both, 2, "ingest_file", "`ingest` is set as well"),
        ("ingest_file = \"nowhere\"", 1, "ingest_file", "No such file"),
        ("ingest_file = \"empty\"", 1, "ingest_file", "the file is empty"),
        ("data_dir = \"\"", 1, "data_dir", "a path is needed"),
        ("namespace = \"My Fleet\"", 1, "namespace", "is no name"),
        ("alias = \"two words\"", 1, "alias", "letters, digits"),
        ("alias = \"${MISSING}\"", 1, "alias", "no variable MISSING"),
        ("host = \"attic\"", 1, "host", "must be a table"),
        ("push_every_seconds = 0", 1, "push_every_seconds", "from 0.05 to 86400"),
        ("push_every_seconds = \"10\"", 1, "push_every_seconds", "must be a number"),
        ("transport = \"socks\"", 1, "transport", "\"socks5://ADDRESS:PORT\""),
        ("transport = \"socks5://localhost:9050\"", 1, "transport", "ADDRESS:PORT"),
        ("[host]\ninterval_seconds = 0", 2, "host.interval_seconds", "from 1"),
        ("[host]\nintervall_seconds = 5", 2, "host.intervall_seconds", "did you mean"),
        ("[host]\ncollect = [\n\"cpu\",\n\"memroy\"]", 4, "host.collect", "did you mean `memory`?"),
        ("[host]\ncollect = [\"cpu\", \"cpu\"]", 2, "host.collect", "twice"),
        ("[host]\nroot = \"/nonexistent\"", 2, "host.root", "no `proc`"),
        ("\n[[listener]]\n", 2, "listener.unix", "needs `unix` or `tcp`"),
        (tcp, 2, "listener.tcp", "`token_file` is required"),
        (
            "[[listener]]\ntcp = \"0.0.0.0:8186\"\ntoken_file = \"token\"",
            2,
            "listener.tcp",
            "only a loopback address",
        ),
        (
            "[[listener]]\nunix = \"a\"\n[[listener]]\nunix = \"a\"",
            4,
            "listener.unix",
            "another listener",
        ),
        ("[[listener]]\nunix = \"a\"\nmode = \"0777\"", 3, "listener.mode", "0600, 0660, 0666"),
        ("[[listener]]\nunix = \"a\"\nmode = 0o660", 3, "listener.mode", "a text in quotes"),
        (&format!("{with_token}mode = \"0660\""), 4, "listener.mode", "of a unix socket"),
        (&with_token.replace("\"token\"", "\"empty\""), 3, "listener.token_file", "16 to 512"),
        ("[log]\nlevel = \"inof\"", 2, "log.level", "did you mean `info`?"),
        ("[log]\ntimestamps = \"yes\"", 2, "log.timestamps", "true or false"),
        ("alias = \"a\"\nalias = \"b\"", 2, "alias", "not TOML"),
        (&tor("\n[tor.channel]\npaddding = \"none\""), 5, "tor.channel.paddding", "no such key"),
        (&tor("[tor.channel]\npadding = \"some\""), 4, "tor.channel.padding", "arti refuses"),
        (
            "transport = \"socks5://127.0.0.1:9050\"\n[tor.channel]\npadding = \"none\"",
            2,
            "tor",
            "no Tor in this process",
        ),
    ] {
        let error = one(text).expect_err(text);
        assert!(error.file.ends_with("main.toml"), "{text}: {error}");
        assert_eq!((error.line, &*error.key), (Some(line), key), "{text}: {error}");
        assert!(error.reason.contains(reason), "{text}: {error}");
        let shown = error.to_string();
        let place = format!("main.toml, line {line}: `{key}`: ");
        assert!(shown.contains(&place), "{shown}");
    }
}

#[test]
fn several_files_are_one_configuration() {
    let (folder, config) = load(&[
        (
            "main.toml",
            "alias = \"${NAME}-2\"\n[[listener]]\nunix = \"one\"\n[tor.channel]\npadding = \"none\"",
        ),
        ("conf.d/20-more.toml", "[[listener]]\nunix = \"two\"\n[tor.vanguards]\nmode = \"lite\""),
        ("conf.d/10-host.toml", "host.interval_seconds = 2.5"),
        ("conf.d/ignored.txt", "nothing = true"),
    ]);
    let config = config.unwrap();
    let names: Vec<_> = config.files.iter().filter_map(|file| file.file_name()).collect();
    assert_eq!(names, ["main.toml", "10-host.toml", "20-more.toml"]);
    assert_eq!(config.alias.as_deref(), Some("attic-2"));
    assert_eq!(config.host.interval.as_millis(), 2_500);
    let listeners = [folder.path().join("one"), folder.path().join("conf.d/two")];
    let unix = |path| ListenerConfig::Unix { path, mode: SocketMode::User };
    assert_eq!(config.listeners, listeners.map(unix));
    let Transport::Embedded(tor) = config.agent.transport else { panic!("not embedded") };
    assert!(tor.contains("padding") && tor.contains("vanguards"));
}

#[test]
fn a_key_in_two_files_names_both() {
    for (main, more, line, key, other) in [
        ("alias = \"a\"", "\nalias = \"b\"", 2, "alias", 1),
        (
            "\n[host]\ninterval_seconds = 1",
            "[host]\ninterval_seconds = 2",
            2,
            "host.interval_seconds",
            3,
        ),
        ("[host]\ncollect = []", "host = 1", 1, "host", 1),
    ] {
        let (_folder, loaded) = load(&[("main.toml", main), ("conf.d/more.toml", more)]);
        let error = loaded.unwrap_err();
        assert!(error.file.ends_with("conf.d/more.toml"), "{error}");
        assert_eq!((error.line, &*error.key), (Some(line), key), "{error}");
        let both = format!("main.toml, line {other}: keep one");
        assert!(error.reason.contains(&both), "{error}");
    }
}

#[test]
fn what_comes_from_the_environment_is_never_quoted() {
    let secret = "hunter2";
    for text in [
        "alias = \"${SECRET}\"",
        "ingest = \"${SECRET}\"",
        "consent = \"${SECRET}\"",
        "transport = \"${SECRET}\"",
        "namespace = \"${SECRET}\"",
        "[host]\ncollect = [\"${SECRET}\"]",
        "[log]\nlevel = \"${SECRET}\"",
        "[[listener]]\ntcp = \"${SECRET}\"\ntoken_file = \"token\"",
        "[tor.bridges]\nbridges = [\"${SECRET}\"]",
        "[tor.channel]\npadding = \"${SECRET}\"",
    ] {
        let text = if text.starts_with("[tor") { &tor(text) } else { text };
        let error = one(text).expect_err(text);
        assert!(!error.to_string().contains(secret), "{text}: {error}");
        assert!(error.line.is_some() && !error.key.is_empty(), "{error}");
    }
    let config =
        one(&tor("[tor.channel]\noutbound_proxy = \"socks5://u:hunter2@192.0.2.1:1080\"")).unwrap();
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn no_file_is_told_with_the_way_to_one() {
    let error = Config::load(Path::new("/nonexistent/undertone.toml")).unwrap_err();
    assert_eq!(error.line, None);
    assert!(error.to_string().contains("undertone config example"), "{error}");
}

#[test]
fn keys_are_checked_before_values() {
    let table = tree::parse("b = 1\na = 2", Path::new("x"), &variables).unwrap();
    let place = Place { file: Path::new("x").into(), line: 1 };
    let error = Section::new("t", place, table, &["a"]).unwrap_err();
    assert_eq!((&*error.key, error.line), ("t.b", Some(1)));
}

#[test]
fn the_documentation_has_every_key() {
    let text = include_str!("../../../../docs/agent.md");
    let tables = ["tor", "host", "log", "listener"];
    let plain = KEYS.iter().filter(|key| !tables.contains(key)).map(|key| format!("| `{key}` |"));
    let of = |table: &str, keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| format!("| `{table}.{key}` |")).collect()
    };
    let inner = [of("host", host::KEYS), of("listener", listener::KEYS), of("log", log::KEYS)];
    for row in plain.chain(inner.concat()) {
        assert!(text.contains(&row), "{row}");
    }
}

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    Config::parse(text, Path::new("/etc/undertone"))
}

#[test]
fn nothing_need_be_set() {
    let config = parse("").unwrap();
    assert_eq!(config.data_dir, Path::new("/etc/undertone/undertone-ingest"));
    let [store] = config.sinks.as_slice() else { panic!("{:?}", config.sinks) };
    assert!(matches!(store.target, Target::Embedded(_)) && store.namespaces.is_none());
}

#[test]
fn mistakes_name_line_and_key() {
    let two = "[[sink]]\nname = \"a\"\ntype = \"embedded\"\n\n[[sink]]\nname = \"b\"\ntype = \"embedded\"\n";
    let influx2 = |more: &str| {
        format!(
            "[[sink]]\nname = \"a\"\ntype = \"influxdb2\"\norg = \"o\"\nbucket = \"b\"\n{more}\n"
        )
    };
    let influx1 = |more: &str| {
        let start = "\n[[sink]]\nname = \"a\"\ntype = \"influxdb1\"\ndatabase = \"d\"\n";
        format!("{start}url = \"http://db\"\n{more}\n")
    };
    let routed =
        |list: &str| format!("[[sink]]\nname = \"a\"\ntype = \"embedded\"\nnamespaces = {list}\n");
    let influx3 = "[[sink]]\nname = \"a\"\ntype = \"influxdb3\"\nurl = \"http://db\"\ndatabase = \"\"\n\
                   token_file = \"/dev/null\"\n";
    for (text, line, key) in [
        ("\nhealth = \"0.0.0.0:80\"", "line 2", "`health`"),
        ("deployment = \"abc\"", "line 1", "`deployment`"),
        ("page = \"maybe\"", "line 1", "`page`"),
        ("health = \"off\"\npage = \"on\"", "line 2", "`page`"),
        ("\n\nport = 80", "line 3", "`port`"),
        ("[queue]\nmax_bytes = -1", "line 2", "max_bytes"),
        (two, "line 7", "`type`"),
        ("[front]\ntype = \"unix\"", "line 1", "`path`"),
        ("\n[tor.channel]\npadding = \"none\"\n[front]\ntype = \"x\"", "line 5", "`type`"),
        (&two.replace("\"a\"", "\"a b\""), "line 2", "`name`"),
        ("[queue]\nmax_age_hours = 0", "line 2", "max_age_hours"),
        (&influx2("url = \"http://x\"\ntoken_file = \"nowhere\""), "line 7", "`token_file`"),
        (&influx2("url = \"ftp://x\"\ntoken_file = \"/dev/null\""), "line 6", "`url`"),
        (
            &influx2("url = \"http://x\"\nca_file = \"ca\"\ntoken_file = \"/dev/null\""),
            "line 7",
            "`ca_file`",
        ),
        (
            &influx2("url = \"https://x\"\nca_file = \"ca\"\ntoken_file = \"/dev/null\""),
            "line 7",
            "`ca_file`: /etc/undertone/ca",
        ),
        (&influx1("username = \"u\""), "line 7", "`username`"),
        (&influx1("password_file = \"/dev/null\""), "line 7", "`password_file`"),
        (&influx1("retention_policy = \"\""), "line 7", "`retention_policy`"),
        (&influx1("token_file = \"/dev/null\""), "line 2", "token_file"),
        (influx3, "line 5", "`database`"),
        (&routed("[]"), "line 4", "`namespaces`"),
        (&routed("[\"Not A Name\"]"), "line 4", "`namespaces`"),
        (&routed("[\"a\", \"b\", \"a\"]"), "line 4", "`namespaces`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(line) && error.contains(key), "{text}\n→ {error}");
    }
}

#[test]
fn every_kind_of_sink_is_read() {
    let text = r#"
        [[sink]]
        name = "store"
        type = "embedded"
        namespaces = ["b", "a.x"]
        [[sink]]
        name = "one"
        type = "influxdb1"
        url = "http://db:8086"
        database = "d"
        retention_policy = "p"
        username = "u"
        password_file = "/dev/null"
        [[sink]]
        name = "two"
        type = "influxdb2"
        url = "https://db"
        org = "o"
        bucket = "b"
        token_file = "/dev/null"
        [[sink]]
        name = "three"
        type = "influxdb3"
        url = "http://[::1]:8181/"
        database = "d"
        token_file = "/dev/null"
    "#;
    let config = parse(text).unwrap();
    let [store, one, two, three] = config.sinks.as_slice() else { panic!("{:?}", config.sinks) };
    let namespaces: Vec<_> = store.namespaces.iter().flatten().collect();
    assert_eq!(namespaces, ["a.x", "b"]);
    assert!(matches!(&one.target, Target::InfluxDb1(config) if config.user.is_some()));
    assert!(matches!(&two.target, Target::InfluxDb2(config) if config.server.is_https()));
    assert!(matches!(&three.target, Target::InfluxDb3(config) if !config.server.is_https()));
}

#[test]
fn what_is_under_tor_goes_to_arti_as_it_is() {
    let config = parse("[tor.channel]\npadding = \"reduced\"\n").unwrap();
    assert_eq!(config.tor, "[channel]\npadding = \"reduced\"\n");
}

#[test]
fn the_documented_example_is_read() {
    let document = include_str!("../../../docs/configuration.md");
    let example = document.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    for (name, content) in [
        ("influxdb-token", "token"),
        ("influxdb1-password", "password"),
        ("influxdb3-token", ""),
        ("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    let config = Config::parse(example, folder.path()).unwrap();
    assert_eq!(config.sinks.len(), 4);
}

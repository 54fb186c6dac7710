//! Where influxd 2 comes from: the environment, PATH, a cache folder of the user, or its source.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::janitor;

const VARIABLE: &str = "UNDERTONE_INFLUXD";
const VERSION: &str = "v2.7.12";
const BUILD_SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/go/build-influxd.sh");

/// The path of an influxd 2. First `UNDERTONE_INFLUXD`, then `influxd` on PATH if it is of version 2,
/// then the one in `${XDG_CACHE_HOME:-~/.cache}/undertone/influxd-v2.7.12`, else that one is built
/// there: some four minutes, its progress on standard error. Looked for once a process.
pub fn find() -> Result<&'static Path> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| search().map_err(|error| format!("{error:#}")));
    found.as_deref().map_err(|error| anyhow!("{error}"))
}

fn search() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        let version = version(&path).with_context(|| format!("{VARIABLE}={path:?}"))?;
        ensure!(is_version_2(&version), "{VARIABLE}={path:?} is not InfluxDB 2: {version}");
        return Ok(path);
    }
    let on_path = Path::new("influxd");
    if version(on_path).is_ok_and(|version| is_version_2(&version)) {
        return Ok(on_path.to_owned());
    }
    let cached = cache()?.join(format!("influxd-{VERSION}/influxd"));
    if cached.exists() { Ok(cached) } else { build() }
}

fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".cache"));
    let folder = set("XDG_CACHE_HOME").or_else(home).context("HOME is not set")?;
    Ok(folder.join("undertone"))
}

/// What the program says of itself. InfluxDB 1 answers to `version` as well.
fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("version").stdin(Stdio::null()).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `InfluxDB v2.7.12 (git: …)`, `InfluxDB 2.…`; one that is built from source says `InfluxDB dev`.
fn is_version_2(version: &str) -> bool {
    let word = version.split_whitespace().nth(1).unwrap_or_default();
    version.starts_with("InfluxDB ")
        && (word.trim_start_matches('v').starts_with("2.") || word == "dev")
}

fn build() -> Result<PathBuf> {
    let has_go = Command::new("go").arg("version").output().is_ok_and(|go| go.status.success());
    if !has_go {
        bail!(
            "these tests need a real InfluxDB 2, and neither influxd nor Go is here to build it. \
             Either install Go 1.23 or newer (tests/tools/install.sh test), or set {VARIABLE} to \
             the path of an influxd of version 2 (https://docs.influxdata.com/influxdb/v2/install)"
        );
    }
    let mut command = Command::new(BUILD_SCRIPT);
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output =
        janitor::mark(&mut command)?.output().with_context(|| format!("running {BUILD_SCRIPT}"))?;
    ensure!(output.status.success(), "{BUILD_SCRIPT} failed; what it wrote says why");
    let path = String::from_utf8_lossy(&output.stdout);
    let path = path.lines().last().context("the build names no program")?;
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("InfluxDB v2.7.12 (git: ec9dcde5d6) build_date: 2025-05-20T22:48:48Z", true),
            ("InfluxDB 2.0.7 (git: 2a45f0c037) build_date: 2021-06-04T19:17:40Z", true),
            ("InfluxDB dev (git: none) build_date: 2026-11-22T18:11:54Z", true),
            ("InfluxDB v1.6.7~rc0 (git: unknown unknown)", false),
            ("InfluxDB v1.2.7 (git: unknown unknown)", false),
            ("influxdb3 influxdb3-core 3.2.0", false),
            ("", false),
        ] {
            assert_eq!(is_version_2(text), expected, "{text}");
        }
    }
}

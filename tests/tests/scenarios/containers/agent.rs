//! The standalone agent's image measures the host, from a network and processes of its own and without any
//! capability, if the configuration says where the host is mounted.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context, Result, ensure};
use undertone_tests::{folder::Folder, programs};

use super::{run, stack::repository};
use crate::fixtures::in_namespace;

/// Of no service; nothing is sent there.
const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
/// What the head of the image's recipe mounts, where the host is to be.
const MOUNT: &str = "mount --rbind / \"$0\" && exec setpriv --no-new-privs --bounding-set=-all \
                     --inh-caps=-all \"$@\"";

#[test]
fn an_agent_in_a_container_measures_the_host_as_the_readme_says() -> Result<()> {
    let recipe = fs::read_to_string(repository("docker/agent.Dockerfile"))?;
    for mount in ["source=/,target=/host,readonly", "source=/proc,target=/host/proc,readonly"] {
        ensure!(recipe.contains(mount), "{mount}");
    }
    let readme = fs::read_to_string(repository("docker/README.md"))?;
    let mut blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let told = blocks.find(|block| block.contains("\n[host]\n")).context("no configuration")?;
    ensure!(told.contains("root = \"/host\""), "{told}");

    let folder = Folder::new("container")?;
    let host = folder.join("host");
    fs::create_dir(&host)?;
    let configuration = |name: &str, root: &str| -> Result<_> {
        let file = folder.join(name);
        let text = told.replace("ADDRESS.onion", ONION).replace("\"/host\"", &format!("{root:?}"));
        fs::write(
            &file,
            format!("{text}\ninterval_seconds = 1\ncollect = [\"network\", \"disk\"]\n"),
        )?;
        Ok(file)
    };
    let [with, without] = [
        configuration("with.toml", &host.display().to_string())?,
        configuration("without.toml", "/")?,
    ];
    let mut command = programs::binary("undertone")?;
    let program = command.get_program().to_owned();
    command.arg("--config").arg(&without);
    let here = measured(command)?;
    ensure!(here.contains("disk"), "{here:?}");
    let contained = |file| -> Result<_> {
        let mut inside = in_namespace("--mount");
        inside.args(["--net", "--pid", "--fork", "sh", "-c", MOUNT]).arg(&host);
        inside.arg(&program).arg("--config").arg(file);
        measured(inside)
    };
    assert_eq!(contained(&with)?, here, "left: the container, right: the host");
    let own = contained(&without)?;
    ensure!(!own.iter().any(|word| word.starts_with("interface=")), "its own network: {own:?}");
    Ok(())
}

/// Measurements and tags of what it would send.
fn measured(mut command: Command) -> Result<BTreeSet<String>> {
    command.arg("preview").env_remove("DO_NOT_TRACK").env_remove("UNDERTONE_LOG");
    let text = run(command)?;
    let rows = text.lines().filter(|line| line.starts_with("disk ") || line.starts_with("net "));
    let words = rows.flat_map(str::split_whitespace);
    let words = words.filter(|word| ["disk", "net"].contains(word) || word.contains('='));
    Ok(words.map(str::to_owned).collect())
}

//! The machine that was measured on, in a few lines.

use std::{fs, process::Command};

/// Pairs of what it is and what it says.
pub(crate) fn describe() -> Vec<(&'static str, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let cpu = read("/proc/cpuinfo");
    let numbers = ["cpu family", "model"].map(|key| field(&cpu, &format!("{key}\t")));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        (
            "Processor",
            format!(
                "{} (family {}, model {}), {cores} cores{}",
                field(&cpu, "model name"),
                numbers[0],
                numbers[1],
                if cpu.contains(" hypervisor") { " of a virtual machine" } else { "" }
            ),
        ),
        ("Memory", field(&read("/proc/meminfo"), "MemTotal")),
        ("Kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("Rust", output("rustc", &["--version"])),
        ("Go", output("go", &["version"])),
        ("Tor", output("tor", &["--version"])),
        ("curl", output("curl", &["--version"])),
        ("Load at the start", read("/proc/loadavg").trim().to_owned()),
    ]
}

/// The first line that a program prints.
fn output(program: &str, arguments: &[&str]) -> String {
    let printed = Command::new(program).args(arguments).output();
    let printed = printed.map(|output| output.stdout).unwrap_or_default();
    let line = String::from_utf8_lossy(&printed).lines().next().map(str::to_owned);
    line.unwrap_or_else(|| "not here".to_owned())
}

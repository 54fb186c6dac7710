//! The basics of a Linux host, under the names, tags and fields of Telegraf's inputs.
//!
//! Each input is a file of this module. What can't be read, or says something odd, is left out and
//! counted: containers have no `diskstats`, kernels differ, and a host that says less is still a host.
//!
//! No host's name, no serial number and no wall clock: points have no timestamp.

mod cpu;
mod disk;
mod diskio;
mod files;
mod memory;
mod net;
mod system;

use std::path::PathBuf;

use undertone_wire::Point;

use self::{cpu::Cpu, files::Files};

pub use self::files::Skipped;

/// Points of one input in one read, at most: some hosts have thousands of mounts or interfaces.
const POINTS_LIMIT: usize = 512;

/// What of a host is read.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where the host's file system begins: `/`, or where it is mounted into a container.
    pub root: PathBuf,
    /// `system`: load, CPUs, uptime.
    pub system: bool,
    /// `cpu`: how the CPUs' time was used since the last read, in percent.
    pub cpu: bool,
    /// `cpu` also for each CPU alone.
    pub per_cpu: bool,
    /// `mem`: memory, in bytes.
    pub mem: bool,
    /// `swap`: swap space, in bytes.
    pub swap: bool,
    /// `disk`: space and inodes of mounted file systems.
    pub disk: bool,
    /// `diskio`: what block devices did since they are there.
    pub diskio: bool,
    /// `net`: what network interfaces did since they are there.
    pub net: bool,
}

impl Default for HostConfig {
    /// Everything, of the host that this runs on.
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            system: true,
            cpu: true,
            per_cpu: true,
            mem: true,
            swap: true,
            disk: true,
            diskio: true,
            net: true,
        }
    }
}

/// Reads a host again and again.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
    files: Files,
    cpu: Cpu,
}

impl Host {
    /// Nothing is read before [`read`](Self::read).
    pub fn new(config: HostConfig) -> Self {
        let files = Files::new(config.root.clone());
        Self { config, files, cpu: Cpu::default() }
    }

    /// What the host says now, without timestamps. The first read has no `cpu`: its percentages are
    /// those since the read before.
    ///
    /// Blocks for as long as the kernel takes, which is milliseconds where all disks are well.
    pub fn read(&mut self) -> Vec<Point> {
        let Self { config, files, cpu } = self;
        let mut points = Vec::new();
        if config.system {
            points.extend(system::read(files));
        }
        if config.cpu {
            points.extend(cpu.read(files, config.per_cpu));
        }
        if config.mem {
            points.extend(memory::read_mem(files));
        }
        if config.swap {
            points.extend(memory::read_swap(files));
        }
        if config.disk {
            points.extend(disk::read(files));
        }
        if config.diskio {
            points.extend(diskio::read(files));
        }
        if config.net {
            points.extend(net::read(files));
        }
        points
    }

    /// What was left out since the start.
    pub fn skipped(&self) -> Skipped {
        self.files.skipped()
    }
}

/// A number as Telegraf writes it: signed, also where it can't be negative.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `part` of `whole`, in percent; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than 53 bits")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;

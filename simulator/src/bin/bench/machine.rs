//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// `key: value` of a file under `/proc`.
fn proc_value(file: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    line.split_once(':').map(|(_, value)| value.trim().to_string())
}

/// Processor, cores, memory and kernel.
pub(crate) fn describe() -> String {
    let unknown = || "unknown".to_string();
    let processor = proc_value("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |cores| cores.to_string());
    let kb: Option<u64> = proc_value("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    let memory = kb.map_or_else(unknown, |kb| format!("{} GiB", (kb as f64 / 1024.0 / 1024.0).round()));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").map_or_else(|_| unknown(), |text| text.trim().to_string());
    format!("{processor}, {cores} cores, {memory}, Linux {kernel}")
}

/// Processes that wanted to run in the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_string()
}

/// The first line a program says about its version.
pub(crate) fn version(program: &Path) -> String {
    let said = Command::new(program).arg("--version").output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_string()
}

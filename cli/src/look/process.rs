//! Whose maps they are: a process that runs, or one that has a core.

use std::fs;

use serde::Serialize;

use super::notes::Notes;

/// Whose maps they are.
#[derive(Debug, Serialize)]
pub struct Process {
    pub pid: Option<u32>,
    pub exe: Option<String>,
    pub command: Vec<String>,
    pub state: &'static str,
    /// What the kernel calls it.
    #[serde(skip)]
    comm: Option<String>,
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl Process {
    /// What it is called: by the name that it was started under, where that is a link to the program.
    pub fn name(&self) -> &str {
        let exe = file_name(self.exe.as_deref().unwrap_or("process"));
        let started = self.command.first().map_or("", String::as_str);
        // A service may write anything there: `redis-server *:6379`.
        let started = file_name(started.split_ascii_whitespace().next().unwrap_or(""));
        let renamed = |comm: &str| started.starts_with(comm) && !exe.starts_with(comm);
        match self.comm.as_deref().is_some_and(renamed) {
            true => started,
            false => exe,
        }
    }

    /// Process `pid`, which runs.
    pub fn live(pid: u32) -> Process {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let arguments = command.strip_suffix(b"\0").unwrap_or(&command);
        Process {
            pid: Some(pid),
            exe: exe.map(|path| path.to_string_lossy().into_owned()),
            command: (arguments.split(|&byte| byte == 0))
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .collect(),
            state: "live",
            comm: fs::read_to_string(format!("/proc/{pid}/comm"))
                .ok()
                .map(|name| name.trim_end().to_owned())
                .filter(|name| !name.is_empty()),
        }
    }

    /// That of a core.
    pub fn core(notes: &Notes) -> Process {
        let name = notes.name.clone().filter(|name| !name.is_empty());
        // The path goes with the name; a library that lies below the program does not.
        let program = notes.program.clone().filter(|path| {
            name.as_ref()
                .is_none_or(|name| file_name(path).starts_with(name.as_str()))
        });
        let command = notes.command.clone().unwrap_or_default();
        Process {
            pid: notes.pid,
            exe: program.or(name),
            command: command.split_whitespace().map(str::to_owned).collect(),
            state: "core",
            comm: None,
        }
    }
}

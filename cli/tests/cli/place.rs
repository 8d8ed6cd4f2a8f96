//! Where a test's files lie, processes that it watches, and the command run among them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use mapgrow_fixture::Program;
use mapgrow_format::layout::{header, region};

/// A directory that goes away with its owner.
pub struct TempDir(PathBuf);

impl TempDir {
    /// A new empty directory.
    pub fn new() -> TempDir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("a temporary directory");
        TempDir(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The directories of one test, and the command run within them.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Place {
        let place = Place(TempDir::new());
        for name in ["run/mapgrow", "state/mapgrow", "rec"] {
            fs::create_dir_all(place.path(name)).expect("a directory");
        }
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_mapgrow")))
    }

    /// A program that sees the directories of this test and no others.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("HOME", self.path("home"))
            .env("MAPGROW_DIR", self.path("rec"))
            // On a loaded machine the budget leaves out what the programs count.
            .env("MAPGROW_BUDGET", "0")
            .env_remove("NO_COLOR");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command().args(arguments).output().expect("it runs")
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A recording file as a running process keeps it: sparse, its regions far apart.
    pub fn live_file(&self, id: u64, bytes: &[u8]) -> PathBuf {
        let pid = word(bytes, header::PID) as u32;
        let path = self.path(&format!("rec/mapgrow-{pid}-{id:016x}.rec"));
        spread(bytes, &path);
        path
    }
}

/// Copies a program that is then run. By another process: while this one had it open for writing,
/// children that other tests start would hold it open too, and it would be "busy".
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status();
    assert!(copied.expect("cp runs").success(), "{}", to.display());
}

pub fn word(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("8 bytes"))
}

/// Distance of two regions in a sparse file.
const APART: u64 = 8 << 20;

pub fn spread(bytes: &[u8], path: &Path) {
    let file = fs::File::create(path).expect("created");
    let mut head = bytes[..header::WORDS * 8].to_vec();
    for kind in 0..region::COUNT {
        let row = header::REGIONS + kind * header::REGION_WORDS;
        let [from, committed] = [1, 3].map(|i| word(bytes, row + i) as usize);
        let to = (kind as u64 + 1) * APART;
        file.write_all_at(&bytes[from..from + committed], to)
            .expect("written");
        let capacity = if committed == 0 { 4096 } else { APART };
        for (index, value) in [(row + 1, to), (row + 2, capacity)] {
            head[index * 8..index * 8 + 8].copy_from_slice(&value.to_le_bytes());
        }
    }
    file.write_all_at(&head, 0).expect("written");
    file.set_len(APART * (region::COUNT as u64 + 1))
        .expect("sized");
}

/// A process of the test's, with when it was started. It maps the files that it is told to, as a
/// process that records has its recording mapped.
pub struct Sleeper(Child, BufReader<ChildStdout>);

impl Sleeper {
    pub fn new() -> Sleeper {
        const MAP: &str = "import mmap, sys\n\
                           kept = []\n\
                           for line in sys.stdin:\n    \
                               file = open(line.rstrip('\\n'), 'r+b')\n    \
                               kept.append(mmap.mmap(file.fileno(), 4096))\n    \
                               file.close()\n    \
                               print('mapped', flush=True)\n";
        let child = Command::new("python3")
            .args(["-c", MAP])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.expect("python3 runs");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Sleeper(child, output)
    }

    /// Maps a file, and closes it.
    pub fn map(&mut self, path: &Path) {
        let input = self.0.stdin.as_mut().expect("piped");
        writeln!(input, "{}", path.display()).expect("it listens");
        let mut line = String::new();
        self.1.read_line(&mut line).expect("it tells");
        assert_eq!(line, "mapped\n");
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    pub fn start_time(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("stat");
        let fields: Vec<&str> = stat.split_ascii_whitespace().collect();
        fields[21].parse().expect("a number")
    }

    pub fn end(mut self) -> u32 {
        self.0.kill().expect("killed");
        self.0.wait().expect("reaped");
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A recording with one site that holds one block, of this process.
pub fn recording_of(pid: u32, start_time: u64) -> Vec<u8> {
    let mut program = Program::new();
    program
        .recording
        .exe("/opt/app/bin/cache-server", &["cache-server", "--fast"]);
    program.recording.set(header::PID, 1 << 32 | u64::from(pid));
    program.recording.set(header::PROCESS_STARTTIME, start_time);
    let site = program.recording.site(1, &[0x1000, 0x2000]);
    let block = program.alloc(site, 4096 * 34 + 16, 16);
    program.keep(block, 0x7000_0000);
    program.build()
}

pub fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    assert!(
        text.starts_with("mapgrow: ") && text.ends_with('\n'),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1, "one sentence: {text}");
    text
}

pub fn printed(output: &Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub fn json(output: &Output) -> serde_json::Value {
    serde_json::from_str(&printed(output)).expect("JSON")
}

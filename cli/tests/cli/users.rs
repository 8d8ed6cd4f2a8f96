//! The command where another user of the machine was first. Needs to be root, to run it as two
//! others, whose numbers nobody else has.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::place::{Place, printed, recording_of, spread, told};

/// Whether this test runs as root, as it must to run programs as other users. Where checks are run
/// for a change to land it has to.
pub fn needs_root() -> bool {
    // SAFETY: reads this process's own user.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        let checked = std::env::var_os("CI").is_some();
        assert!(!checked, "this test has to run as root");
        eprintln!("skipped: only root can run programs as other users");
    }
    root
}

/// A user of a test's own, without a home.
struct User(u32);

impl User {
    fn new(number: u32) -> User {
        let user = User(1_600_000_000 + std::process::id() % 10_000_000 * 10 + number);
        user.clear();
        user
    }

    fn shared(&self, parent: &str) -> PathBuf {
        PathBuf::from(format!("{parent}/mapgrow-{}", self.0))
    }

    fn clear(&self) {
        for parent in ["/dev/shm", "/var/tmp", "/tmp"] {
            let path = self.shared(parent);
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(&path);
        }
    }

    fn own(&self, path: &Path) {
        std::os::unix::fs::lchown(path, Some(self.0), Some(self.0)).expect("root may");
    }

    /// A directory that this user made, and lets all write to.
    fn open_directory(&self, path: &Path) {
        fs::create_dir(path).expect("made");
        self.own(path);
        fs::set_permissions(path, Permissions::from_mode(0o777)).expect("root may");
    }

    /// Runs the command as this user. It ends within a minute or fails: a pipe must not stop it.
    fn mapgrow(&self, arguments: &[&str]) -> Output {
        let output = Command::new("timeout")
            .arg("60")
            .arg(env!("CARGO_BIN_EXE_mapgrow"))
            .args(arguments)
            .env_clear()
            .uid(self.0)
            .gid(self.0)
            .current_dir("/")
            .output();
        output.expect("it runs")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.clear();
    }
}

fn dump_name(number: u32) -> String {
    format!("cache-server-1760000000-4000000021-{number}.mapgrow")
}

fn names(path: &Path) -> usize {
    fs::read_dir(path).expect("there").count()
}

#[test]
fn a_forged_dump_is_not_reported() {
    if !needs_root() {
        return;
    }
    let (user, attacker) = (User::new(0), User::new(1));
    let forged = recording_of(4_000_000_021, 1);
    for parent in ["/var/tmp", "/tmp"] {
        let place = user.shared(parent);
        attacker.open_directory(&place);
        for (number, owner) in [(1, &attacker), (2, &user)] {
            let dump = place.join(dump_name(number));
            fs::write(&dump, &forged).expect("written");
            owner.own(&dump);
        }
    }
    for arguments in [&["report"][..], &["report", "4000000021"]] {
        let output = user.mapgrow(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    // In a directory of the user's own, what another user put there is not it.
    let place = user.shared("/var/tmp");
    user.own(&place);
    fs::set_permissions(&place, Permissions::from_mode(0o700)).expect("root may");
    fs::remove_file(place.join(dump_name(2))).expect("there");
    told(&user.mapgrow(&["report"]));
    let own = place.join(dump_name(3));
    fs::write(&own, &forged).expect("written");
    user.own(&own);
    let output = user.mapgrow(&["report"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn links_and_pipes_in_the_place_of_dumps_are_passed_over() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let user = User::new(2);
    let precious = place.write("precious", &recording_of(4_000_000_021, 1));
    let directory = user.shared("/var/tmp");
    fs::create_dir(&directory).expect("made");
    user.own(&directory);
    symlink(&precious, directory.join(dump_name(1))).expect("linked");
    user.own(&directory.join(dump_name(1)));
    let pipe = directory.join(dump_name(2));
    let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    user.own(&pipe);
    let sentence = told(&user.mapgrow(&["report"]));
    assert!(sentence.contains("there is no dump"), "{sentence}");
}

#[test]
fn recordings_in_another_user_s_directory_are_neither_listed_nor_pruned() {
    if !needs_root() {
        return;
    }
    let (user, attacker) = (User::new(3), User::new(4));
    let place = user.shared("/dev/shm");
    attacker.open_directory(&place);
    let forged = place.join("mapgrow-4000000022-00000000000000aa.rec");
    spread(&recording_of(4_000_000_022, 1), &forged);
    // Even one of the user's own: they would be asked to remove it.
    user.own(&forged);
    let listed = user.mapgrow(&["list"]);
    assert!(!printed(&listed).contains("cache-server"), "{listed:?}");
    printed(&user.mapgrow(&["list", "--prune"]));
    assert_eq!(names(&place), 1);
    told(&user.mapgrow(&["report", "4000000022"]));

    // The same file where it is the user's own.
    user.own(&place);
    fs::set_permissions(&place, Permissions::from_mode(0o700)).expect("root may");
    assert!(printed(&user.mapgrow(&["list"])).contains("cache-server"));
    // What another user owns, a link and a pipe stay.
    let foreign = place.join("mapgrow-4000000023-00000000000000bb.rec");
    fs::copy(&forged, &foreign).expect("copied");
    chown(&foreign, Some(attacker.0), None).expect("root may");
    symlink(
        &foreign,
        place.join("mapgrow-4000000024-00000000000000cc.rec"),
    )
    .expect("linked");
    let pruned = printed(&user.mapgrow(&["list", "--prune"]));
    assert!(pruned.contains("4000000022"), "{pruned}");
    assert!(foreign.exists() && !forged.exists());
    assert_eq!(names(&place), 2);
}

#[test]
fn dumps_are_not_written_where_a_link_leads() {
    if !needs_root() {
        return;
    }
    let place = Place::new();
    let user = User::new(5);
    let own = user.shared("/dev/shm");
    fs::create_dir(&own).expect("made");
    let recording = own.join("mapgrow-4000000025-00000000000000aa.rec");
    spread(&recording_of(4_000_000_025, 1), &recording);
    user.own(&recording);
    user.own(&own);
    let target = place.path("target");
    fs::create_dir(&target).expect("made");
    user.own(&target);
    symlink(&target, user.shared("/var/tmp")).expect("linked");
    let output = user.mapgrow(&["dump", "4000000025"]);
    let written = PathBuf::from(printed(&output).trim_end());
    assert!(written.starts_with(user.shared("/tmp")), "{written:?}");
    assert_eq!(names(&target), 0);
}

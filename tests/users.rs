//! What a program does where another user of the machine was first: in the directories that
//! anybody may make, in those that links lead to, and with another user's rights.
//!
//! Needs to be root, to run programs as two others. The users have numbers that nobody else has.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use support::{Scratch, copy_program, example, needs_root};

/// Dumps that a program keeps, and some.
const MANY: usize = 70;

/// A user of this test's own, and what lies where this user's files would.
struct User {
    id: u32,
    program: PathBuf,
}

impl User {
    /// `number` tells the tests of this file apart.
    fn new(number: u32, scratch: &Scratch) -> User {
        let open = |path: &Path| {
            fs::set_permissions(path, Permissions::from_mode(0o755)).expect("own file");
        };
        open(&scratch.path(""));
        let program = scratch.path("victim");
        copy_program(&example("victim_ends", "dev"), &program);
        open(&program);
        let user = User {
            id: 1_700_000_000 + std::process::id() % 10_000_000 * 10 + number,
            program,
        };
        user.clear();
        user
    }

    fn shared(&self, parent: &str) -> PathBuf {
        PathBuf::from(format!("{parent}/mapgrow-{}", self.id))
    }

    /// Everywhere that the user has no say over.
    fn all_shared(&self) -> [PathBuf; 3] {
        ["/dev/shm", "/var/tmp", "/tmp"].map(|parent| self.shared(parent))
    }

    fn clear(&self) {
        for path in self.all_shared() {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(&path);
        }
    }

    /// Runs the program as this user, who has no home.
    fn run(&self, way: &str, variables: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(&self.program);
        command
            .arg(way)
            .env_clear()
            .envs(variables.iter().copied())
            .uid(self.id)
            .gid(self.id)
            .current_dir("/")
            .output()
            .expect("the program starts")
    }

    fn own(&self, path: &Path) {
        chown(path, Some(self.id), Some(self.id)).expect("root may");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.clear();
    }
}

fn dumps(directory: &Path) -> usize {
    let names = Scratch::list(directory);
    let dumps = names.iter().filter(|name| name.ends_with(".mapgrow"));
    dumps.count()
}

/// A directory of `user`'s with more dumps than are kept, all of them old.
fn full(path: &Path, user: &User) {
    fs::create_dir(path).expect("made");
    for number in 0..MANY {
        let dump = path.join(format!("app-1000000-7-{number}.mapgrow"));
        fs::write(&dump, b"old").expect("written");
        user.own(&dump);
    }
    user.own(path);
}

#[test]
fn dumps_go_to_a_directory_of_the_user_s_own() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-own");
    let user = User::new(0, &scratch);
    assert!(user.run("return", &[]).status.success());
    assert_eq!(dumps(&user.shared("/var/tmp")), 1);
    let mode = user
        .shared("/var/tmp")
        .metadata()
        .expect("made")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_another_user_made_is_not_used() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-foreign");
    let user = User::new(1, &scratch);
    let attacker = User::new(2, &scratch);
    let taken = user.shared("/var/tmp");
    // Files of the user's, so that only the directory tells.
    full(&taken, &user);
    attacker.own(&taken);
    fs::set_permissions(&taken, Permissions::from_mode(0o777)).expect("root may");
    let output = user.run("return", &[]);
    assert_eq!(output.stdout, b"sum 333328333350000\n");
    assert_eq!(dumps(&taken), MANY, "nothing was added or removed");
    assert_eq!(dumps(&user.shared("/tmp")), 1, "{output:?}");
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_nowhere() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-link");
    let user = User::new(3, &scratch);
    let target = scratch.path("target");
    full(&target, &user);
    for parent in ["/var/tmp", "/tmp", "/dev/shm"] {
        symlink(&target, user.shared(parent)).expect("linked");
    }
    for way in ["return", "abort"] {
        let output = user.run(way, &[]);
        assert_eq!(output.stdout, b"sum 333328333350000\n");
        assert_eq!(dumps(&target), MANY, "{way}: nothing was added or removed");
        let names = Scratch::list(&target);
        assert_eq!(names.len(), MANY, "{way}: {names:?}");
        if way == "return" {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("the dump could not be written"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

#[test]
fn a_recording_is_not_put_where_another_user_may_write() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-recording");
    let user = User::new(4, &scratch);
    let attacker = User::new(5, &scratch);
    // Killed, a program leaves its recording where it made it.
    let recorded = |directory: &Path| {
        user.run("abort", &[]);
        Scratch::list(directory).len()
    };
    let place = user.shared("/dev/shm");
    assert_eq!(recorded(&place), 1, "its own");
    fs::remove_dir_all(&place).expect("root may");
    fs::create_dir(&place).expect("made");
    attacker.own(&place);
    fs::set_permissions(&place, Permissions::from_mode(0o777)).expect("root may");
    assert_eq!(recorded(&place), 0, "another user's");
    user.own(&place);
    assert_eq!(recorded(&place), 0, "open to all");
    fs::set_permissions(&place, Permissions::from_mode(0o755)).expect("root may");
    assert_eq!(recorded(&place), 1, "closed again");
}

/// As `sudo` may leave them.
#[test]
fn the_directories_of_the_one_who_called_are_left_alone() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-sudo");
    let user = User::new(8, &scratch);
    let caller = User::new(9, &scratch);
    let home = scratch.path("home");
    fs::create_dir(&home).expect("made");
    caller.own(&home);
    fs::set_permissions(&home, Permissions::from_mode(0o777)).expect("root may");
    let variables = [("HOME", &*home), ("XDG_RUNTIME_DIR", &*home)];
    assert!(user.run("return", &variables).status.success());
    assert_eq!(Scratch::list(&home), [""; 0]);
    assert_eq!(dumps(&user.shared("/var/tmp")), 1);
    user.run("abort", &variables);
    assert_eq!(Scratch::list(&home), [""; 0]);
    assert_eq!(Scratch::list(&user.shared("/dev/shm")).len(), 1);
}

#[test]
fn a_set_user_id_program_writes_to_no_place_of_its_caller_s() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("users-set-id");
    let owner = User::new(6, &scratch);
    let caller = User::new(7, &scratch);
    owner.own(&owner.program);
    fs::set_permissions(&owner.program, Permissions::from_mode(0o4755)).expect("root may");
    let trap = scratch.path("trap");
    fs::create_dir(&trap).expect("made");
    fs::set_permissions(&trap, Permissions::from_mode(0o777)).expect("own file");
    symlink(&trap, owner.shared("/var/tmp")).expect("linked");
    let named = trap.join("named.mapgrow");
    let as_caller = |way: &str| {
        let mut command = Command::new(&owner.program);
        let command = command.arg(way).env_clear().uid(caller.id).gid(caller.id);
        for name in ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "MAPGROW_DIR"] {
            command.env(name, &trap);
        }
        let output = command.env("MAPGROW_OUT", &named).output();
        assert_eq!(output.expect("it starts").stdout, b"sum 333328333350000\n");
    };
    as_caller("return");
    assert_eq!(Scratch::list(&trap), [""; 0]);
    let kept = owner.shared("/tmp");
    assert_eq!(dumps(&kept), 1);
    as_caller("abort");
    assert_eq!(Scratch::list(&trap), [""; 0]);
}

#[test]
fn a_directory_for_recordings_that_cannot_be_used_is_named_once() {
    let scratch = Scratch::new("users-named-once");
    let file = scratch.path("a-file");
    fs::write(&file, b"").expect("written");
    let open = scratch.path("open");
    fs::create_dir(&open).expect("made");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("own file");
    for place in [&file, &open, &scratch.path("no/such")] {
        for program in ["victim_ends", "victim_forks"] {
            let program = example(program, "dev");
            let output = support::run(
                support::command(&program, &scratch)
                    .arg("return")
                    .env("MAPGROW_OUT", scratch.path("%p.mapgrow"))
                    .env("MAPGROW_DIR", place),
            );
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(said.matches("MAPGROW_DIR=").count(), 1, "{said}");
            assert!(said.contains(&place.display().to_string()), "{said}");
        }
    }
}

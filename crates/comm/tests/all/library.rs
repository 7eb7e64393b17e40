//! Libraries that are not there, or not what they should be, and launchers of other libraries.

use std::env;
use std::process::Command;

use ganforge_comm::{Error, Nccl, open};

/// What a process that no launcher started says when it opens MPI.
fn said(set: &[(&str, &str)]) -> String {
    let program = env::current_exe().expect("its path");
    let mut command = Command::new(program);
    command.args(["--exact", "mpi::worker", "--ignored", "--nocapture"]);
    command
        .env("GANFORGE_TEST_WORK", "open")
        .envs(set.iter().copied());
    for name in [
        "OMPI_COMM_WORLD_SIZE",
        "PMI_SIZE",
        "SLURM_STEP_NUM_TASKS",
        "SLURM_NTASKS",
    ] {
        command.env_remove(name);
    }
    let done = command.envs(set.iter().copied()).output().expect("runs");
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    let line = err.lines().find_map(|line| line.strip_prefix("said: "));
    line.unwrap_or_else(|| panic!("{err}")).to_string()
}

#[test]
fn the_library_that_the_variable_names_must_be_one() {
    let said_of = |path| said(&[("GANFORGE_MPI", path)]);
    let missing = said_of("/nowhere/libmpi.so");
    assert!(
        missing.starts_with("GANFORGE_MPI=/nowhere/libmpi.so: /nowhere/libmpi.so: cannot open"),
        "{missing}"
    );
    let text = said_of("/etc/passwd");
    assert!(
        text.starts_with("GANFORGE_MPI=/etc/passwd: /etc/passwd: "),
        "{text}"
    );
    #[cfg(target_os = "linux")]
    assert_eq!(
        said_of("libc.so.6"),
        "libc.so.6 is not the MPI library that is needed: it has no MPI_Init_thread"
    );
}

#[test]
fn a_launcher_that_the_library_does_not_know_is_refused() {
    let alone = said(&[]);
    let Some(library) = alone.strip_prefix("Mpi(0 of 1, ") else {
        assert!(
            alone.starts_with("no MPI library: install Open MPI"),
            "{alone}"
        );
        return testkit::skip("mpirun", "there is no MPI library");
    };
    let library = library.strip_suffix(')').expect("all of it");
    for variable in ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"] {
        let said = said(&[(variable, "4")]);
        if variable == "OMPI_COMM_WORLD_SIZE" && !library.contains("Open MPI") {
            let first = format!(
                "{variable} is set, so Open MPI's mpirun started this, but the library is {library}: "
            );
            assert!(said.starts_with(&first), "{said}");
            continue;
        }
        let first = format!("{variable} says that 4 ranks were started, but {library} sees 1: ");
        assert!(said.starts_with(&first), "{said}");
        let last = "Start with the launcher of that library, or let GANFORGE_MPI name the library of the launcher";
        assert!(said.ends_with(last), "{said}");
    }
    assert_eq!(said(&[("PMI_SIZE", "1")]), alone);
}

#[test]
fn kinds_that_are_not_there_say_what_is() {
    let said = |kind: &str| open(kind).expect_err("refused").to_string();
    assert_eq!(said("gloo"), "ranks by gloo: there are alone, mpi, nccl");
    let nccl = said("nccl");
    assert!(
        nccl.starts_with("ranks by nccl are not supported yet: "),
        "{nccl}"
    );
    assert_eq!(open("alone").map(|comm| comm.size()).ok(), Some(1));
}

#[test]
fn nccl_is_found_or_its_absence_said() {
    match Nccl::open() {
        Ok(nccl) => {
            let [major, minor, patch] = nccl.version().expect("a version");
            assert!(
                major >= 2 && minor < 100 && patch < 100,
                "{major}.{minor}.{patch}"
            );
        }
        Err(error) => {
            let said = error.to_string();
            let is_missing = matches!(error, Error::NoLibrary { what: "NCCL", .. });
            assert!(
                is_missing && said.starts_with("no NCCL library: install it"),
                "{said}"
            );
            assert!(said.contains("libnccl.so.2"), "{said}");
            testkit::skip("nccl", said);
        }
    }
}

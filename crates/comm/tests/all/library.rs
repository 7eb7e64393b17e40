//! Libraries that are not there, or not what they should be, and launchers of other libraries.

use std::env;
use std::process::Command;

use ganforge_comm::{Error, Nccl, open};

/// What a process that no launcher started says when it opens MPI: one line.
fn said(set: &[(&str, &str)]) -> String {
    let lines = all_said("open", set);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.concat()
}

/// The lines that such a process says in this work.
fn all_said(work: &str, set: &[(&str, &str)]) -> Vec<String> {
    let program = env::current_exe().expect("its path");
    let mut command = Command::new(program);
    command.args(["--exact", "mpi::worker", "--ignored", "--nocapture"]);
    command
        .env("GANFORGE_TEST_WORK", work)
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
    let lines = err.lines().filter_map(|line| line.strip_prefix("said: "));
    let lines: Vec<_> = lines.map(String::from).collect();
    assert!(!lines.is_empty(), "{err}");
    lines
}

/// Makes a library of one rank that says that it is `version`, with the thread level of the variable `LEVEL`. It has the handles
/// of the standard interface, which is what it says if `standard` is 1; then it also has the symbols of Open MPI, as one that
/// has that below it.
#[cfg(target_os = "linux")]
fn library(version: &str, standard: i32) -> String {
    const SOURCE: &str = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #if STANDARD == 1
        char ompi_mpi_comm_world[8], ompi_mpi_byte[8], ompi_mpi_float[8], ompi_mpi_op_sum[8];
        #endif
        static int check(void *comm) { return comm == (void *)0x101 ? 0 : 5; }
        int MPI_Get_library_version(char *to, int *len) { *len = sprintf(to, "%s", VERSION); return 0; }
        int MPI_Abi_get_version(int *major, int *minor) { *major = *minor = STANDARD; return 0; }
        int MPI_Init_thread(void *n, void *all, int wanted, int *level) {
            *level = atoi(getenv("LEVEL"));
            return 0;
        }
        int MPI_Finalize(void) { fputs("said: finalized\n", stderr); return 0; }
        int MPI_Abort(void *comm, int code) { exit(code); }
        int MPI_Comm_rank(void *comm, int *rank) { *rank = 0; return check(comm); }
        int MPI_Comm_size(void *comm, int *size) { *size = 1; return check(comm); }
        int MPI_Get_processor_name(char *to, int *len) { *len = sprintf(to, "here"); return 0; }
        int MPI_Error_string(int code, char *to, int *len) { *len = sprintf(to, "code %d", code); return 0; }
        int MPI_Allgather(void *from, int n, void *type, void *to, int m, void *other, void *comm) {
            memcpy(to, from, n);
            return check(comm);
        }
        int MPI_Alltoall(void) { return 5; }
        int MPI_Bcast(void) { return 5; }
        int MPI_Barrier(void) { return 5; }
        int MPI_Allreduce(void) { return 5; }
    "#;
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let name: String = version.split_whitespace().collect();
    let [source, made] = ["c", "so"].map(|ending| folder.join(format!("{name}.{ending}")));
    std::fs::write(&source, SOURCE).expect("written");
    let done = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&made, &source])
        .arg(format!("-DVERSION=\"{version}\""))
        .arg(format!("-DSTANDARD={standard}"))
        .output()
        .expect("cc, which also links this program");
    assert!(done.status.success(), "{done:?}");
    made.display().to_string()
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
        "libc.so.6 is not the MPI library that is needed: it has no MPI_Get_library_version"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn the_handles_of_a_library_are_known_or_it_is_refused() {
    let says = |path: &str, level| all_said("open", &[("GANFORGE_MPI", path), ("LEVEL", level)]);
    let standard = library("Some standard MPI 1.0", 1);
    let finalized = "finalized".to_string();
    let opened = format!("Mpi(0 of 1, Some standard MPI 1.0 ({standard}))");
    assert_eq!(says(&standard, "2048"), [opened, finalized.clone()]);
    let refused = "MPI_Init_thread: this library is for programs of one thread (level 0, 1024 is needed); take one that was built with threads";
    assert_eq!(says(&standard, "0"), [finalized, refused.into()]);

    let other = library("HPE MPT 2.28", -1);
    let refused = format!(
        "{other} says that it is HPE MPT 2.28, and which handles its calls take is not known: take Open MPI, MPICH, Intel MPI or MVAPICH, or a library of the standard interface of MPI 5 (libmpi_abi.so.1)"
    );
    assert_eq!(says(&other, "2"), [refused]);
    // What is taken for a relative of MPICH gets other handles than this one checks.
    for version in [
        "MPICH Version: 3.4",
        "Intel(R) MPI Library 2021.9",
        "MVAPICH2 Version: 2.3.7",
    ] {
        let relative = library(version, -1);
        assert_eq!(
            says(&relative, "2")[1..],
            ["MPI_Comm_rank: code 5"],
            "{version}"
        );
    }
}

#[test]
fn what_fails_before_mpi_begins_may_be_tried_again() {
    let said = all_said("again", &[("GANFORGE_MPI", "/nowhere/libmpi.so")]);
    assert_eq!(said.len(), 2, "{said:?}");
    for said in said {
        assert!(
            said.starts_with("GANFORGE_MPI=/nowhere/libmpi.so: "),
            "{said}"
        );
    }
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

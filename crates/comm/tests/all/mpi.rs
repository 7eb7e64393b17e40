//! Ranks as processes, started by a launcher: `mpirun` of Open MPI or, where `GANFORGE_TEST_MPIRUN` names one, that one,
//! whose library `GANFORGE_MPI` then names.

use std::env;
use std::io::Write;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ganforge_comm::{Alone, Communicator, Error, Mpi, all_reduce, check_same};

use crate::same_bits::{on_threads, sum_of_shards};

/// What the ranks are to do: a variable of theirs.
const WORK: &str = "GANFORGE_TEST_WORK";

/// Lengths of sums: below and above the number of ranks, divisible and not.
const LENGTHS: [usize; 7] = [0, 1, 3, 4, 7, 1001, 100_000];

/// What ranks did: how their launcher ended, after how long, and what they said, in the order in which it came.
struct Done {
    status: ExitStatus,
    took: Duration,
    said: Vec<String>,
    all: String,
}

/// Has `n` ranks do this work, each the test [`worker`] of this program. None where there is no launcher.
#[track_caller]
fn launch(n: usize, work: &str, set: &[(&str, &str)]) -> Option<Done> {
    let named = env::var("GANFORGE_TEST_MPIRUN");
    let launcher = named.as_deref().unwrap_or("mpirun");
    let Ok(about) = Command::new(launcher).arg("--version").output() else {
        testkit::skip("mpirun", format_args!("there is no launcher {launcher}"));
        return None;
    };
    let is_open_mpi = String::from_utf8_lossy(&about.stdout).contains("Open MPI");
    if named.is_err() && !is_open_mpi {
        testkit::skip("mpirun", "mpirun is not that of Open MPI");
        return None;
    }
    let mut command = Command::new(launcher);
    if is_open_mpi {
        command.args(["--oversubscribe", "--bind-to", "none"]);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1");
        command.env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
        // In a container, the way around shared memory that needs a right of debuggers.
        command.env("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
    }
    // One after the other: more ranks than cores wait for each other's turns.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let start = Instant::now();
    let done = command
        .args(["-n", &n.to_string()])
        .arg(env::current_exe().expect("its path"))
        .args(["--exact", "mpi::worker", "--ignored", "--nocapture"])
        .env(WORK, work)
        .env("MPIEXEC_TIMEOUT", "100")
        .envs(set.iter().copied())
        .output()
        .expect("the launcher runs");
    let err = String::from_utf8_lossy(&done.stderr);
    let said = err.lines().filter_map(|line| line.split_once("said: "));
    Some(Done {
        status: done.status,
        took: start.elapsed(),
        said: said.map(|(_, text)| text.to_string()).collect(),
        all: format!("{err}{}", String::from_utf8_lossy(&done.stdout)),
    })
}

/// One write, which launchers do not mix with those of other ranks.
fn say(text: &str) {
    let line = format!("said: {text}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("said");
}

#[test]
#[ignore = "a rank, started by the other tests"]
fn worker() {
    let work = env::var(WORK).unwrap_or_default();
    match work.as_str() {
        "" => {}
        "sums" => say(&sums(&Mpi::open().expect("ranks")).expect("sums")),
        "pieces" => {
            let comm = Mpi::open().expect("ranks").in_pieces_of(10_000);
            say(&sums(&comm).expect("sums"));
        }
        "open" => match Mpi::open() {
            Ok(comm) => say(&format!("{comm:?}")),
            Err(error) => say(&error.to_string()),
        },
        "twice" => {
            let _first = Mpi::open().expect("ranks");
            say(&Mpi::open().expect_err("refused").to_string());
        }
        "again" => {
            for _ in 0..2 {
                say(&Mpi::open().expect_err("refused").to_string());
            }
        }
        "elsewhere" => {
            let comm = Mpi::open().expect("ranks");
            let left = std::thread::spawn(move || drop(comm)).join();
            say(&format!("not ended: {left:?}"));
        }
        "threads" => from_all_threads(&Mpi::open().expect("ranks")),
        "killed" => ends(|_| {
            let own = std::process::id().to_string();
            Command::new("kill")
                .args(["-9", &own])
                .status()
                .expect("kill");
        }),
        "aborts" => ends(|comm| comm.abort(7)),
        "aborts-from-elsewhere" => aborts_amid_a_call(&Mpi::open().expect("ranks")),
        "panics" => ends(|_| panic!("expected in this test")),
        "lengths" => {
            let comm = Mpi::open().expect("ranks");
            let len = 8 + comm.rank();
            let mut data = vec![1.0; len];
            match all_reduce(&comm, &mut data, &mut Vec::new()) {
                Ok(()) => say("done"),
                Err(error) => say(&error.to_string()),
            }
        }
        "given" => {
            let comm = Mpi::open().expect("ranks");
            let own = "x".repeat(comm.rank());
            match check_same(&comm, "configuration", own.as_bytes()) {
                Ok(()) => say("done"),
                Err(error) => say(&error.to_string()),
            }
        }
        "broadcasts" => {
            let comm = Mpi::open().expect("ranks");
            match comm.broadcast(&mut [0; 4], comm.rank()) {
                Ok(()) => say("done"),
                Err(error) => say(&error.to_string()),
            }
        }
        other => panic!("no work {other}"),
    }
}

/// Sums of shards, broadcasts and gatherings: a hash of all results, which is the same with any number of ranks.
fn sums(comm: &dyn Communicator) -> Result<String, Error> {
    let mut hash = 0u64;
    let mut add = |bits: u32| hash = (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3);
    for len in LENGTHS {
        let sum = sum_of_shards(comm, len)?;
        sum.iter().for_each(|x| add(x.to_bits()));
    }
    let root = comm.size() - 1;
    let mut text: Vec<u8> = vec![0; 4321];
    if comm.rank() == root {
        text = (0..4321).map(|i| (i % 251) as u8).collect();
    }
    comm.broadcast(&mut text, root)?;
    text.iter().for_each(|&byte| add(byte.into()));
    // Number i of 4096, held by the ranks in turn, as a NaN and others.
    let own = 4096 / comm.size();
    let mine = comm.rank() * own..(comm.rank() + 1) * own;
    let mine: Vec<f32> = mine
        .map(|i| f32::from_bits(0x7fa0_0000 + i as u32))
        .collect();
    let mut all = vec![0.0; 4096];
    comm.all_gather(&mine, &mut all)?;
    all.iter().for_each(|x| add(x.to_bits()));
    // Chunk i of rank r has r and i; so chunk r of what comes has r and the own rank.
    let size = comm.size();
    let send = (0..size * 1000).map(|at| (comm.rank() * size + at / 1000) as f32);
    let mut got = vec![0.0; size * 1000];
    comm.all_to_all(&send.collect::<Vec<_>>(), &mut got)?;
    let expected = (0..size * 1000).map(|at| (at / 1000 * size + comm.rank()) as f32);
    assert_eq!(got, expected.collect::<Vec<_>>());
    comm.barrier()?;
    Ok(format!("{hash:016x}"))
}

/// Rank 1 ends in some way while the others call on.
fn ends(how: impl Fn(&Mpi)) {
    let comm = Mpi::open().expect("ranks");
    for turn in 0.. {
        if comm.rank() == 1 && turn == 20 {
            how(&comm);
        }
        let mut all = vec![0.0; 1000 * comm.size()];
        comm.all_gather(&[1.0; 1000], &mut all).expect("gathered");
    }
}

/// Rank 0 waits in a call to which rank 1 never comes, when another thread of it ends all.
fn aborts_amid_a_call(comm: &Mpi) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(200));
            match comm.rank() {
                0 => comm.abort(7),
                _ => std::thread::sleep(Duration::from_secs(50)),
            }
        });
        if comm.rank() == 0 {
            comm.barrier().expect("ended before");
        }
    });
}

/// Calls from several threads, which MPI itself would not take.
fn from_all_threads(comm: &Mpi) {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    comm.barrier().expect("all are here");
                }
            });
        }
    });
    say(&format!("{} of {}", comm.local().0, comm.local().1));
}

#[test]
fn sums_have_the_same_bits_on_1_2_and_4_processes() {
    let alone = sums(&Alone).expect("alone");
    let threads = on_threads(4, |comm| sums(&comm).expect("sums"));
    assert!(threads.iter().all(|hash| *hash == alone));
    for work in ["sums", "pieces"] {
        for n in [1, 2, 4] {
            let Some(done) = launch(n, work, &[]) else {
                return;
            };
            assert!(done.status.success(), "{}", done.all);
            assert_eq!(done.said, vec![alone.clone(); n], "{work}: {}", done.all);
        }
    }
}

#[test]
fn any_thread_may_call_and_ranks_know_their_machine() {
    let Some(mut done) = launch(2, "threads", &[]) else {
        return;
    };
    assert!(done.status.success(), "{}", done.all);
    done.said.sort();
    assert_eq!(done.said, ["0 of 2", "1 of 2"]);
}

#[test]
fn a_rank_that_is_killed_ends_the_others() {
    for (work, code) in [
        ("killed", 137),
        ("aborts", 7),
        ("aborts-from-elsewhere", 7),
        ("panics", 101),
    ] {
        let Some(done) = launch(2, work, &[]) else {
            return;
        };
        assert!(
            done.took < Duration::from_secs(60),
            "{work}: {:?}",
            done.took
        );
        // MPICH's launcher gives the number of the signal, shells add 128.
        let ended = done
            .status
            .code()
            .map(|ended| if ended == 9 { 137 } else { ended });
        assert_eq!(ended, Some(code), "{work}: {}", done.all);
    }
}

#[test]
fn ranks_that_differ_are_told_so() {
    let Some(done) = launch(2, "lengths", &[]) else {
        return;
    };
    let text = "rank 1 calls all_reduce of 9 numbers where rank 0 calls all_reduce of 8 numbers";
    assert!(done.said.len() == 2, "{}", done.all);
    assert!(
        done.said.iter().all(|said| said.starts_with(text)),
        "{}",
        done.all
    );
    let done = launch(2, "given", &[]).expect("a launcher");
    let text = "rank 1 has another configuration than rank 0: all ranks must be given the same";
    assert_eq!(done.said, [text; 2], "{}", done.all);
    let done = launch(2, "broadcasts", &[]).expect("a launcher");
    let text = "rank 1 calls broadcast of 4 bytes from rank 1 where rank 0 calls broadcast of 4 bytes from rank 0";
    assert!(done.said.len() == 2, "{}", done.all);
    assert!(
        done.said.iter().all(|said| said.starts_with(text)),
        "{}",
        done.all
    );
}

#[test]
fn three_ranks_are_refused() {
    let Some(done) = launch(3, "open", &[]) else {
        return;
    };
    let text =
        "3 ranks: their number must be a power of two, so that sums have the same bits as with 1";
    assert_eq!(done.said, [text; 3], "{}", done.all);
    assert!(done.status.success(), "{}", done.all);
}

#[test]
fn ranks_dropped_by_another_thread_are_ended() {
    let Some(done) = launch(2, "elsewhere", &[]) else {
        return;
    };
    assert_eq!(done.said, [""; 0], "{}", done.all);
    assert_eq!(done.status.code(), Some(101), "{}", done.all);
    // MPICH's launcher may lose what they say at their end.
    let text = "MPI is left by another thread than the one that opened it, which ends all ranks";
    let may_be_lost = env::var_os("GANFORGE_TEST_MPIRUN").is_some();
    assert!(may_be_lost || done.all.contains(text), "{}", done.all);
}

#[test]
fn a_second_connection_is_refused() {
    let Some(done) = launch(1, "twice", &[]) else {
        return;
    };
    let text = "MPI was opened before in this process, which can be done only once";
    assert_eq!(done.said, [text], "{}", done.all);
}

//! Ranks as threads, and alone.

use ganforge_comm::{Alone, Communicator, Error, Threads, all_reduce, check_same};

use crate::same_bits::on_threads;

#[test]
fn chunks_go_where_they_belong() {
    for n in [1, 2, 4] {
        on_threads(n, |comm| {
            let (rank, size) = (comm.rank(), comm.size());
            assert_eq!((size, comm.name(), comm.local()), (n, "threads", (rank, n)));
            let id = |from: usize, to: usize, i: usize| (100 * from + 10 * to + i) as f32;

            let send: Vec<f32> = (0..3 * size).map(|at| id(rank, at / 3, at % 3)).collect();
            let mut all = vec![0.0; 3 * size];
            comm.all_to_all(&send, &mut all).expect("all to all");
            let expected: Vec<f32> = (0..3 * size).map(|at| id(at / 3, rank, at % 3)).collect();
            assert_eq!(all, expected);

            comm.all_gather(&send[..3], &mut all).expect("all gather");
            let expected: Vec<f32> = (0..3 * size).map(|at| id(at / 3, 0, at % 3)).collect();
            assert_eq!(all, expected);

            for root in 0..size {
                let mut bytes = [rank as u8; 5];
                comm.broadcast(&mut bytes, root).expect("broadcast");
                assert_eq!(bytes, [root as u8; 5]);
            }
            comm.barrier().expect("barrier");
        });
    }
}

#[test]
fn alone_is_rank_0_of_1() {
    let mut received = [0.0; 3];
    Alone
        .all_to_all(&[1.0, 2.0, 3.0], &mut received)
        .expect("copied");
    assert_eq!(received, [1.0, 2.0, 3.0]);
    Alone
        .all_gather(&[4.0, 5.0, 6.0], &mut received)
        .expect("copied");
    assert_eq!(received, [4.0, 5.0, 6.0]);
    Alone.barrier().expect("alone");
    Alone.broadcast(&mut [1], 0).expect("alone");
    let error = Alone.broadcast(&mut [1], 1).expect_err("no rank 1");
    assert_eq!(error, Error::Root { root: 1, size: 1 });
    let about = (Alone.rank(), Alone.size(), Alone.local(), Alone.name());
    assert_eq!(about, (0, 1, (0, 1), "alone"));
}

#[test]
fn slices_that_do_not_fit_are_refused_before_anybody_waits() {
    let comm = Threads::of(2).remove(0);
    let said = |done: Result<(), Error>| done.expect_err("refused").to_string();
    assert_eq!(
        said(comm.all_to_all(&[0.0; 3], &mut [0.0; 3])),
        "all_to_all: 3 numbers are not 2 equal chunks, one for each rank"
    );
    assert_eq!(
        said(comm.all_to_all(&[0.0; 4], &mut [0.0; 2])),
        "all_to_all: 4 numbers come in, into a slice of 2"
    );
    assert_eq!(
        said(comm.all_gather(&[0.0; 4], &mut [0.0; 4])),
        "all_gather: 8 numbers come in, into a slice of 4"
    );
    assert_eq!(
        said(comm.broadcast(&mut [], 2)),
        "broadcast from rank 2, of 2"
    );
    assert!(Alone.all_gather(&[0.0], &mut []).is_err());
    assert!(Alone.all_to_all(&[0.0], &mut []).is_err());
}

#[test]
fn ranks_in_different_calls_all_hear_of_it() {
    let differ = |work: &(dyn Fn(&Threads) -> Result<(), Error> + Sync)| {
        let mut said = on_threads(2, |comm| work(&comm).expect_err("different").to_string());
        assert_eq!(said[0], said[1]);
        said.remove(0)
    };
    let said = differ(&|comm| comm.broadcast(&mut vec![0; 7 + comm.rank()], 1));
    assert!(
        said.starts_with(
            "rank 1 calls broadcast of 8 bytes from rank 1 where rank 0 calls broadcast of 7 bytes from rank 1"
        ),
        "{said}"
    );
    let said = differ(&|comm| comm.broadcast(&mut [0], comm.rank()));
    assert!(
        said.contains("from rank 1 where rank 0 calls broadcast of 1 bytes from rank 0"),
        "{said}"
    );
    let said = differ(&|comm| match comm.rank() {
        0 => comm.barrier(),
        _ => comm.all_gather(&[1.0], &mut [0.0; 2]),
    });
    assert!(
        said.starts_with("rank 1 calls all_gather of 1 numbers where rank 0 calls barrier"),
        "{said}"
    );
    // Of 7 and of 8 numbers the chunks are the same.
    for (a, b) in [(7, 8), (0, 100_000)] {
        let said = differ(&|comm| {
            let len = if comm.rank() == 0 { a } else { b };
            all_reduce(comm, &mut vec![1.0; len], &mut Vec::new())
        });
        let expected = format!(
            "rank 1 calls all_reduce of {b} numbers where rank 0 calls all_reduce of {a} numbers"
        );
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn what_ranks_are_given_is_compared_and_all_hear_of_the_first_that_has_another() {
    let said = |given: [&str; 4]| {
        on_threads(4, |comm| {
            check_same(&comm, "seed", given[comm.rank()].as_bytes())
        })
    };
    assert_eq!(said(["12"; 4]), [const { Ok(()) }; 4]);
    assert_eq!(said([""; 4]), [const { Ok(()) }; 4]);
    for (given, rank) in [
        (["12", "12", "13", "14"], 2),
        // Shorter, longer, nothing.
        (["12", "1", "12", "12"], 1),
        (["12", "12", "12", "120"], 3),
        (["", "", "", "1"], 3),
        (["1", "", "", ""], 1),
    ] {
        let what = "seed".to_string();
        let error = Err(Error::Another { rank, what });
        assert!(said(given).iter().all(|said| *said == error), "{given:?}");
    }
}

#[test]
fn a_rank_that_returns_or_panics_leaves_nobody_waiting() {
    let said = on_threads(4, |comm| match comm.rank() {
        2 => Ok(()),
        _ => comm.barrier(),
    });
    let left = Err(Error::Left {
        call: "barrier",
        rank: 2,
    });
    assert_eq!(said, [left.clone(), left.clone(), Ok(()), left]);

    let mut ranks = Threads::of(2);
    let second = ranks.pop().expect("rank 1");
    let panics = std::thread::spawn(move || {
        let _owned = second;
        panic!("expected in this test");
    });
    let left = ranks[0].all_gather(&[1.0], &mut [0.0; 2]);
    assert!(panics.join().is_err());
    let (call, rank) = ("all_gather", 1);
    assert_eq!(left, Err(Error::Left { call, rank }));
    assert_eq!(ranks[0].barrier().map_err(|e| e.to_string()), Err("barrier: rank 1 has ended, by an error or a panic of its own, and this rank would wait for ever".into()));
}

#[test]
fn a_call_that_all_have_made_is_done_though_one_leaves_at_once() {
    for _ in 0..200 {
        let done = on_threads(4, |comm| {
            let mut all = [0.0; 4];
            comm.all_gather(&[comm.rank() as f32], &mut all)
                .map(|()| all)
        });
        assert!(done.iter().all(|all| *all == Ok([0.0, 1.0, 2.0, 3.0])));
    }
}

#[test]
fn an_abort_ends_those_that_wait_and_those_that_come_later() {
    let said = on_threads(2, |comm| {
        if comm.rank() == 1 {
            comm.abort(3);
        }
        (comm.barrier(), comm.barrier())
    });
    let (call, rank, code) = ("barrier", 1, 3);
    for (first, second) in said {
        assert_eq!(first, Err(Error::Aborted { call, rank, code }));
        assert_eq!(second, first);
    }
}

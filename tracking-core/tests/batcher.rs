//! Group commit: what a `Batcher` promises to callers who know nothing of each other.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};
use tracking_core::{Batch, BatchLimits, Batcher, StoreError, async_trait};

/// Answers each number with its double, when it is let.
#[derive(Debug)]
struct Doubles {
    gate: Semaphore,
    batches: Mutex<Vec<Vec<u32>>>,
}

/// A call that makes its batch panic.
const PANIC: u32 = 666;
/// A call that makes its batch forget its last answer.
const FORGET: u32 = 777;
/// A call that fails alone.
const FAIL: u32 = 888;

#[async_trait]
impl Batch for Doubles {
    type Call = u32;
    type Answer = u32;

    async fn run(&self, calls: Vec<u32>) -> Vec<Result<u32, StoreError>> {
        self.batches.lock().unwrap().push(calls.clone());
        self.gate.acquire().await.unwrap().forget();
        assert!(!calls.contains(&PANIC), "as the test wants it");
        let double = |call: &u32| if *call == FAIL { Err(StoreError::backend("double", "no")) } else { Ok(call * 2) };
        let mut answers: Vec<_> = calls.iter().map(double).collect();
        if calls.contains(&FORGET) {
            answers.pop();
        }
        answers
    }
}

type Call = JoinHandle<Result<u32, StoreError>>;

fn doubles(limits: BatchLimits) -> Batcher<Doubles> {
    Batcher::new("double", Doubles { gate: Semaphore::new(0), batches: Mutex::default() }, limits)
}

impl Doubles {
    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }
}

/// Makes a call, and goes on when it is in the queue, or in its batch.
async fn call(batcher: &Batcher<Doubles>, number: u32) -> Call {
    let batcher = batcher.clone();
    let call = tokio::spawn(async move { batcher.call(number).await });
    settle().await;
    call
}

/// Lets all other tasks go as far as they can. The tests run on one thread.
async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

fn let_through(batcher: &Batcher<Doubles>, batches: usize) {
    batcher.batch().gate.add_permits(batches);
}

async fn answer(call: Call) -> u32 {
    call.await.unwrap().unwrap()
}

#[track_caller]
fn is_unavailable(result: Result<u32, StoreError>, because: &str) {
    match result {
        Err(StoreError::Unavailable { operation: "double", source }) => assert_eq!(source.to_string(), because),
        other => panic!("expected to be refused because {because}, got {other:?}"),
    }
}

#[tokio::test]
async fn call_alone_starts_at_once() {
    let batcher = doubles(BatchLimits::default());
    let first = call(&batcher, 1).await;
    assert_eq!(batcher.batch().batches(), [[1]]);
    let_through(&batcher, 1);
    assert_eq!(answer(first).await, 2);
}

#[tokio::test]
async fn calls_gather_while_a_batch_is_under_way() {
    let batcher = doubles(BatchLimits::default());
    let mut calls = Vec::new();
    for number in 1..=5 {
        calls.push(call(&batcher, number).await);
    }
    let_through(&batcher, 1);
    settle().await;
    assert_eq!(batcher.batch().batches(), [vec![1], vec![2, 3, 4, 5]]);
    assert!(calls.iter().skip(1).all(|call| !call.is_finished()), "nobody is answered before his batch is done");
    let_through(&batcher, 1);
    for (number, call) in (1..).zip(calls) {
        assert_eq!(answer(call).await, number * 2, "each gets his own answer");
    }
}

#[tokio::test]
async fn batches_are_bounded() {
    let batcher = doubles(BatchLimits { batch: 2, ..BatchLimits::default() });
    let mut calls = Vec::new();
    for number in 1..=6 {
        calls.push(call(&batcher, number).await);
    }
    let_through(&batcher, 4);
    for call in calls {
        answer(call).await;
    }
    assert_eq!(batcher.batch().batches(), [vec![1], vec![2, 3], vec![4, 5], vec![6]]);
}

#[tokio::test]
async fn full_queue_refuses_at_once() {
    let batcher = doubles(BatchLimits { capacity: 2, ..BatchLimits::default() });
    let mut calls = Vec::new();
    for number in 1..=3 {
        calls.push(call(&batcher, number).await);
    }
    is_unavailable(batcher.call(4).await, "too many calls are waiting already");
    let_through(&batcher, 2);
    for call in calls {
        answer(call).await;
    }
    let_through(&batcher, 1);
    assert_eq!(batcher.call(5).await.unwrap(), 10, "there is room again");
}

#[tokio::test]
async fn call_that_waits_too_long_is_refused() {
    let batcher = doubles(BatchLimits { patience: Duration::ZERO, ..BatchLimits::default() });
    let late = call(&batcher, 1).await;
    is_unavailable(late.await.unwrap(), "the call has waited too long");
    assert!(batcher.batch().batches().is_empty());
}

#[tokio::test]
async fn caller_who_has_gone_before_his_batch_is_left_out() {
    let batcher = doubles(BatchLimits::default());
    let first = call(&batcher, 1).await;
    let (gone, there) = (call(&batcher, 2).await, call(&batcher, 3).await);
    gone.abort();
    settle().await;
    let_through(&batcher, 2);
    assert_eq!((answer(first).await, answer(there).await), (2, 6));
    assert_eq!(batcher.batch().batches(), [[1], [3]]);
}

#[tokio::test]
async fn caller_who_goes_later_changes_nothing() {
    let batcher = doubles(BatchLimits::default());
    let gone = call(&batcher, 1).await;
    gone.abort();
    settle().await;
    let next = call(&batcher, 2).await;
    let_through(&batcher, 2);
    assert_eq!(answer(next).await, 4);
    assert_eq!(batcher.batch().batches(), [[1], [2]]);
}

#[tokio::test]
async fn call_that_fails_fails_alone() {
    let batcher = doubles(BatchLimits::default());
    let first = call(&batcher, 1).await;
    let (bad, good) = (call(&batcher, FAIL).await, call(&batcher, 3).await);
    let_through(&batcher, 2);
    answer(first).await;
    assert!(matches!(bad.await.unwrap(), Err(StoreError::Backend { .. })));
    assert_eq!(answer(good).await, 6);
}

#[tokio::test]
async fn panic_fails_its_batch_and_no_other() {
    let batcher = doubles(BatchLimits::default());
    let bad = call(&batcher, PANIC).await;
    let waiting = call(&batcher, 2).await;
    let_through(&batcher, 2);
    is_unavailable(bad.await.unwrap(), "the batch was broken off");
    assert_eq!(answer(waiting).await, 4, "those who waited go on");
    let_through(&batcher, 1);
    assert_eq!(batcher.call(3).await.unwrap(), 6);
}

#[tokio::test]
async fn forgotten_answer_is_an_error() {
    let batcher = doubles(BatchLimits::default());
    let first = call(&batcher, 1).await;
    let (there, forgotten) = (call(&batcher, 2).await, call(&batcher, FORGET).await);
    let_through(&batcher, 2);
    answer(first).await;
    assert_eq!(answer(there).await, 4);
    is_unavailable(forgotten.await.unwrap(), "the batch left a call unanswered");
}

#[tokio::test]
async fn close_waits_for_those_who_are_there_and_refuses_others() {
    let batcher = doubles(BatchLimits::default());
    let calls = [call(&batcher, 1).await, call(&batcher, 2).await];
    let closing = tokio::spawn({
        let batcher = batcher.clone();
        async move { batcher.close().await }
    });
    settle().await;
    is_unavailable(batcher.call(3).await, "the store has been closed");
    assert!(!closing.is_finished(), "two calls are not answered yet");
    let_through(&batcher, 2);
    for call in calls {
        answer(call).await;
    }
    closing.await.unwrap();
    batcher.close().await;
}

/// Waits for ever.
#[derive(Debug)]
struct Stuck;

#[async_trait]
impl Batch for Stuck {
    type Call = ();
    type Answer = ();

    async fn run(&self, _: Vec<()>) -> Vec<Result<(), StoreError>> {
        pending().await
    }
}

#[test]
fn runtime_that_stops_leaves_nobody_waiting() {
    let batcher = Batcher::new("double", Stuck, BatchLimits::default());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, other) = (runtime(), runtime());
    // The batch runs on the first runtime, and its callers on the other.
    let call = || {
        let batcher = batcher.clone();
        other.spawn(async move { batcher.call(()).await })
    };
    first.block_on(async {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.call(()).await });
        settle().await;
    });
    let calls = [call(), call()];
    other.block_on(settle());
    drop(first);
    for call in calls {
        let result = other.block_on(call).unwrap();
        assert!(matches!(result, Err(StoreError::Unavailable { .. })), "got {result:?}");
    }
}

#[test]
fn any_number_of_callers_on_any_number_of_threads_are_all_answered() {
    for workers in [1, 2, 4] {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).build().unwrap();
        runtime.block_on(async {
            let batcher = doubles(BatchLimits { batch: 7, ..BatchLimits::default() });
            let_through(&batcher, 100_000);
            let callers = (0..200).map(|caller| {
                let batcher = batcher.clone();
                tokio::spawn(async move {
                    for number in caller * 1000..caller * 1000 + 50 {
                        let number = if [PANIC, FORGET, FAIL].contains(&number) { 0 } else { number };
                        assert_eq!(batcher.call(number).await.unwrap(), number * 2);
                    }
                })
            });
            for caller in callers.collect::<Vec<_>>() {
                caller.await.unwrap();
            }
            let batches = batcher.batch().batches();
            assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 200 * 50);
            assert!(batches.iter().all(|batch| (1..=7).contains(&batch.len())));
        });
    }
}

#[test]
fn call_outside_of_a_runtime_leaves_nothing_behind() {
    let batcher = doubles(BatchLimits { batch: 0, ..BatchLimits::default() });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let outside = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut call = Box::pin(batcher.call(1));
        _ = call.as_mut().poll(&mut context);
    }));
    assert!(outside.is_err());
    let_through(&batcher, 1);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(batcher.call(2)).unwrap(), 4);
    runtime.block_on(batcher.close());
}

//! Many worlds at once: a matrix waits for processes and for pauses, not for a processor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Worlds at once in one test. Each has a process and a small server.
const AT_ONCE: usize = 6;

/// Does the work for every job, and fails with the names of all those that failed.
pub(crate) fn each<T: Sync>(
    jobs: &[T],
    name: impl Fn(&T) -> String + Sync,
    work: impl Fn(&T) + Sync,
) -> usize {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = std::time::Instant::now();
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(job))) {
                        let said = panic.downcast_ref::<String>().cloned();
                        let said = said.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        failed.lock().unwrap().push(format!("{}: {}", name(job), said.unwrap_or_default()));
                    }
                    if began.elapsed().as_secs() > 30 {
                        println!("{} took {} s", name(job), began.elapsed().as_secs());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed:\n{}", failed.len(), jobs.len(), failed.join("\n"));
    jobs.len()
}

//! Who wakes the subscribers of an organisation: one task for all of them, a few at a time, after whoever committed was
//! answered; and one look at the clock for all that ends by itself.
//! Never reads anything, and never wakes the next few while anybody else has work to do.

use crate::{
    app::App,
    domain::{access::Viewer, id::TenantId, time::Clock, time::Timestamp},
    limits::{HERALD_WOKEN_TOGETHER, SOCKET_STANDING_MILLISECONDS},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, yield_now},
    time::timeout,
};

/// Every organisation's herald that somebody listens to.
#[derive(Default)]
pub(in crate::app) struct Heralds {
    by_tenant: Mutex<BTreeMap<TenantId, Weak<Herald>>>,
}

/// An organisation's herald. Its task ends with the last seat.
struct Herald {
    called: Arc<Called>,
    task: AbortHandle,
}

impl Drop for Herald {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whom a herald calls.
#[derive(Default)]
struct Called {
    /// Those who are woken together share a channel; none any more once the server stops.
    groups: Mutex<Option<Vec<watch::Sender<u64>>>>,
    /// The earliest moment at which something that somebody listens with ends by itself, in milliseconds.
    ends: AtomicI64,
}

/// A place among those who are woken when the organisation's head has moved.
#[derive(Clone)]
pub struct Seat {
    pub(in crate::app) wake: watch::Receiver<u64>,
    herald: Arc<Herald>,
}

impl Seat {
    /// Wakes this one, and everybody else, at this moment by the server's clock, or a little later.
    pub(in crate::app) fn wake_at(&self, end: Timestamp) {
        self.herald.called.ends.fetch_min(end.milliseconds(), Ordering::AcqRel);
    }
}

impl App {
    /// A place among those who are woken; take it before reading, or a wake-up is lost.
    pub fn seat(&self, viewer: &Arc<Viewer>) -> Seat {
        let tenant = viewer.tenant();
        let mut heralds = self.inner.heralds.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let herald = heralds.get(&tenant).and_then(Weak::upgrade).unwrap_or_else(|| {
            let head = self.store.of(viewer).watch();
            let called = Called { groups: Mutex::new(Some(vec![])), ends: AtomicI64::new(i64::MAX) };
            let called = Arc::new(called);
            let calling = call(head, Arc::clone(self.store.clock()), Arc::clone(&called));
            let herald = Arc::new(Herald { called, task: tokio::spawn(calling).abort_handle() });
            heralds.retain(|_, known| known.strong_count() > 0);
            heralds.insert(tenant, Arc::downgrade(&herald));
            herald
        });
        Seat { wake: herald.called.receiver(), herald }
    }
}

impl Called {
    fn receiver(&self) -> watch::Receiver<u64> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        // Without groups the server stops: a channel that nobody holds says so.
        let Some(groups) = groups.as_mut() else { return watch::channel(0).1 };
        // Whoever came last most likely sits in a group that has room.
        let free = groups.iter().rev().find(|group| group.receiver_count() < HERALD_WOKEN_TOGETHER);
        if let Some(group) = free {
            return group.subscribe();
        }
        let (group, receiver) = watch::channel(0);
        groups.push(group);
        receiver
    }

    /// Wakes one group; answers whether there is another.
    fn wake(&self, at: usize, head: u64) -> bool {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.as_ref().and_then(|groups| groups.get(at));
        group.is_some_and(|group| {
            group.send_replace(head);
            true
        })
    }
}

/// Calls everybody whenever the head has moved, or something has ended by itself.
async fn call(mut head: watch::Receiver<u64>, clock: Arc<dyn Clock>, called: Arc<Called>) {
    let pause = Duration::from_millis(SOCKET_STANDING_MILLISECONDS);
    loop {
        let moved = match timeout(pause, head.changed()).await {
            Ok(Ok(())) => true,
            Ok(Err(_)) => break,
            Err(_) => false,
        };
        let ended = called.ends.load(Ordering::Acquire) <= clock.now().milliseconds();
        if ended {
            // Whoever is woken says anew when to be woken.
            called.ends.store(i64::MAX, Ordering::Release);
        }
        if moved || ended {
            let number = *head.borrow_and_update();
            let mut at = 0;
            while called.wake(at, number) {
                at += 1;
                // Goes on only when nobody else has anything to do, requests that have just come included.
                yield_now().await;
            }
        }
    }
    called.groups.lock().unwrap_or_else(PoisonError::into_inner).take();
}

//! The sandbox as tests hold it: started with a call, stopped by being dropped.

use crate::account::Obstacle;
use crate::counters::{Counters, RequestLog};
use crate::fault::Fault;
use crate::library::{LibraryHandle, TruthFile};
use crate::options::Options;
use crate::server;
use crate::state::State;
use crate::tls::Tls;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A running sandbox. Dropping it closes the port and every connection.
#[derive(Debug)]
pub struct Sandbox {
    state: Arc<State>,
    tls: Option<Arc<Tls>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox on a thread of its own; it listens when the call returns.
    ///
    /// # Panics
    /// If the port is taken.
    pub fn start(options: Options) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).expect("the port is free");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let tls = options.tls.map(|certificate| Arc::new(Tls::new(certificate)));
        let state = Arc::new(State::new(options, port));
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("sandbox".into())
            .spawn({
                let (state, tls) = (state.clone(), tls.clone());
                move || serve(listener, state, tls, stopped)
            })
            .expect("a thread can be started");
        Self { state, tls, stop: Some(stop), thread: Some(thread) }
    }

    /// `http://127.0.0.1:PORT`, or `https://…` if TLS was chosen. Below it live `/appleauth/auth/…` and `/setup/ws/1/…`; all other
    /// addresses come from the answers.
    pub fn endpoint(&self) -> String {
        self.state.base()
    }

    /// The certificate, in PEM, that a client of a TLS port must trust.
    pub fn authority_pem(&self) -> Option<&str> {
        self.tls.as_ref().map(|tls| tls.authority_pem.as_str())
    }

    /// The account name.
    pub fn username(&self) -> &str {
        &self.state.options.username
    }

    /// The account's password.
    pub fn password(&self) -> &str {
        &self.state.options.password
    }

    /// Every file a complete copy holds. Reads every byte of the library once.
    pub fn truth(&self) -> Vec<TruthFile> {
        self.state.truth()
    }

    /// The same, with the smaller copies that the service makes.
    pub fn truth_with_previews(&self) -> Vec<TruthFile> {
        self.state.truth_with_previews()
    }

    /// Totals since the start or the last reset.
    pub fn counters(&self) -> Counters {
        self.state.books.counters()
    }

    /// The latest requests, oldest first.
    pub fn log(&self) -> Vec<RequestLog> {
        self.state.books.log()
    }

    /// Sets the counters to zero and empties the log.
    pub fn reset_counters(&self) {
        self.state.books.reset();
    }

    /// The faults to come.
    pub fn faults(&self) -> Faults<'_> {
        Faults { state: &self.state }
    }

    /// Every address of content issued until now answers 410.
    pub fn expire_urls(&self) {
        self.state.expire_urls();
    }

    /// Voids cookies; the session token stands, and `accountLogin` trades it for new ones.
    pub fn expire_cookies(&self) {
        self.state.identity.expire_cookies();
    }

    /// Forgets every sign-in under way: a code that comes later belongs to none of them.
    pub fn end_sign_ins(&self) {
        self.state.identity.end_sign_ins();
    }

    /// Puts something between the owner and the photos, or takes it away.
    pub fn set_obstacle(&self, obstacle: Obstacle) {
        self.state.account.set_obstacle(obstacle);
    }

    /// The owner approves web access on a device. `false`: no device was asked.
    pub fn approve_consent(&self) -> bool {
        self.state.account.approve()
    }

    /// The consent ends, and the cookies that it let out with it.
    pub fn lapse_consent(&self) {
        self.state.account.lapse();
    }

    /// The cookies for protected data end; the consent stands, so new ones need nobody.
    pub fn lapse_consent_cookies(&self) {
        self.state.account.lapse_cookies();
    }

    /// Voids session tokens and cookies; trust tokens stand.
    pub fn expire_sessions(&self) {
        self.state.identity.expire_sessions();
    }

    /// Voids trust tokens, and sessions with them.
    pub fn revoke_trust(&self) {
        self.state.identity.revoke_trust();
    }

    /// The code a device would show now.
    pub fn two_factor_code(&self) -> String {
        self.state.identity.code(&self.state.signer)
    }

    /// Changes the library.
    pub fn library(&self) -> LibraryHandle {
        LibraryHandle::new(self.state.clone())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Stalled answers would otherwise hold their tasks until the runtime is torn down.
        self.state.faults.clear();
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(listener: TcpListener, state: Arc<State>, tls: Option<Arc<Tls>>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("sandbox-worker")
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
        tokio::select! {
            () = server::run(listener, state, tls) => {}
            _ = stopped => {}
        }
    });
    runtime.shutdown_background();
}

/// The faults of a running sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Faults<'a> {
    state: &'a State,
}

impl Faults<'_> {
    /// Adds a fault behind those that wait.
    pub fn add(&self, fault: Fault) {
        self.state.faults.add(fault);
    }

    /// Forgets all faults, and lets stalled answers go on.
    pub fn clear(&self) {
        self.state.faults.clear();
    }

    /// Lets answers go on that are stalled until released.
    pub fn release(&self) {
        self.state.faults.release();
    }

    /// Faults that have not struck as often as they should.
    pub fn waiting(&self) -> Vec<Fault> {
        self.state.faults.waiting()
    }
}

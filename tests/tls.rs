//! Over TLS: the whole job, and every way in which a certificate is not believed.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use rollbook_sandbox::{Certificate, Options};
use support::{Ran, World};

fn world(certificate: Certificate) -> World {
    World::new(Options { assets: 12, tls: Some(certificate), ..Options::default() })
}

/// The sandbox's authority, as a machine keeps its trust roots.
fn roots(world: &World) -> PathBuf {
    let path = world.data_dir().parent().unwrap().join("roots.pem");
    fs::write(&path, world.sandbox.authority_pem().unwrap()).unwrap();
    path
}

fn run(mut command: Command, code: i32) -> Ran {
    let ran = Ran(command.output().unwrap());
    assert_eq!(ran.0.status.code(), Some(code), "{}{}", ran.stdout(), ran.stderr());
    ran
}

#[test]
fn a_library_comes_home_over_tls_with_the_roots_of_ssl_cert_file() {
    let world = world(Certificate::Good);
    let mut sync = world.rollbook(&["sync"]);
    sync.env("SSL_CERT_FILE", roots(&world));
    run(sync, 0);
    world.assert_complete();
}

#[test]
fn a_certificate_that_is_not_believed_is_named_with_its_cure_and_nothing_is_sent() {
    let believed = "the clock of this machine says";
    for (certificate, trusted, why, hint) in [
        (Certificate::Expired, true, believed, "set the clock right"),
        (Certificate::NotYetValid, true, believed, "set the clock right"),
        (Certificate::Good, false, "certificate", "SSL_CERT_FILE"),
    ] {
        let world = world(certificate);
        let mut login = world.rollbook(&["login"]);
        if trusted {
            login.env("SSL_CERT_FILE", roots(&world));
        }
        let told = run(login, 5).stderr();
        assert!(told.contains(why) && told.contains(hint), "{certificate:?}, {trusted}: {told}");
        assert!(world.sandbox.log().is_empty(), "{:?}", world.sandbox.log());
    }
}

#[test]
fn a_machine_without_trust_roots_is_told_to_install_some() {
    let world = world(Certificate::Good);
    let mut login = world.rollbook(&["login"]);
    let nowhere = world.data_dir().parent().unwrap().join("nowhere.pem");
    login.env("SSL_CERT_FILE", &nowhere).env("SSL_CERT_DIR", &nowhere);
    let told = run(login, 5).stderr();
    assert!(told.contains("ca-certificates") && told.contains("SSL_CERT_FILE"), "{told}");
}

//! The validator's own binary in the pod: it reports where the rules hold, and keeps silent where they do not.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use sallyport_policy::proof::{GREETING, KEPT, REPORT, SOCKET};

use crate::bed::{By, FACTS, Lab, NEIGHBOUR, SERVER, SIDECAR, VALIDATOR, prover};

/// The sidecar's end of the socket, by the given user; tells what was reported.
fn socket(lab: &Lab, uid: u32) -> (tempfile::TempDir, PathBuf, mpsc::Receiver<String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let path = folder.path().join(SOCKET);
    let (tell, told) = mpsc::channel();
    let at = path.clone();
    let listener = lab.in_pod(uid, move || {
        let listener = UnixListener::bind(&at).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o666)).unwrap();
        listener
    });
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let key = hex::encode(prover().key());
            writeln!(&stream, "{GREETING}{key}").ok();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).ok();
            if line.trim_end() == REPORT {
                writeln!(&stream, "{KEPT}").ok();
            }
            tell.send(line).ok();
        }
    });
    (folder, path, told)
}

fn validate(lab: &Lab, socket: &std::path::Path) -> (bool, String) {
    let mut words = vec!["validate", "--socket", socket.to_str().unwrap()];
    words.extend(FACTS);
    let output = lab.capture(VALIDATOR, &words);
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.success(), said.trim_end().to_owned())
}

#[test]
fn the_validator_reports_once_every_address_of_the_pod_answers_as_the_sidecar() {
    for by in [By::Nft, By::Iptables] {
        let Some(lab) = Lab::guarded(by) else {
            continue;
        };
        let (_folder, path, told) = socket(&lab, SIDECAR);
        let (proven, said) = validate(&lab, &path);
        println!("{by:?}: {said}");
        assert!(proven, "{said}");
        for address in [
            "127.0.0.1:8080",
            "[::1]:8080",
            "10.77.0.2:8080",
            "10.78.0.2:8080",
            "[fd77::2]:8080",
        ] {
            assert!(said.contains(address), "{address} was not asked: {said}");
        }
        let line = told.recv_timeout(Duration::from_secs(1)).unwrap();
        assert_eq!(line.trim_end(), REPORT);
    }
}

#[test]
fn the_validator_reports_nothing_where_there_are_no_rules() {
    let Some(lab) = Lab::new() else { return };
    lab.serve();
    lab.sidecar();
    let (_folder, path, told) = socket(&lab, SIDECAR);
    let (proven, said) = validate(&lab, &path);
    println!("no rules: {said}");
    assert!(!proven);
    assert!(
        said.contains("127.0.0.1:8080: no answer of a sidecar"),
        "{said}"
    );
    assert_eq!(told.recv_timeout(Duration::from_secs(1)).unwrap(), "");
}

#[test]
fn the_validator_believes_no_other_users_socket() {
    let Some(lab) = Lab::guarded(By::Nft) else {
        return;
    };
    let (_folder, path, _told) = socket(&lab, NEIGHBOUR);
    let (proven, said) = validate(&lab, &path);
    println!("a socket of another container: {said}");
    assert!(!proven && said.contains("not the sidecar's"), "{said}");
}

#[test]
fn a_server_that_passes_the_question_on_to_the_sidecar_is_found_out() {
    let Some(lab) = Lab::new() else { return };
    lab.sidecar();
    // No rules: the server answers at its port, with what the sidecar says to it.
    lab.listen(SERVER, 8080, |stream| {
        let sidecar = std::net::TcpStream::connect("127.0.0.1:15101").unwrap();
        let (mut from, mut to) = (stream.try_clone().unwrap(), sidecar.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to).ok());
        std::io::copy(&mut &sidecar, &mut &stream).ok();
    });
    let (_folder, path, _told) = socket(&lab, SIDECAR);
    let (proven, said) = validate(&lab, &path);
    println!("a relay: {said}");
    assert!(
        !proven && said.contains("something passes connections on"),
        "{said}"
    );
}

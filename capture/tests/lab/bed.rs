//! One pod's network namespace and one of its neighbours: a thread enters a namespace, becomes a user and dials.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use rustix::thread::{
    LinkNameSpaceType, move_into_link_name_space, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};
use sallyport_policy::proof::{FIRST, Nonce, Prover, QUESTION, Seen};
use zeroize::Zeroizing;

pub(crate) const SIDECAR: u32 = 60101;
pub(crate) const VALIDATOR: u32 = 60102;
pub(crate) const SERVER: u32 = 10001;
/// A second container of the pod.
pub(crate) const NEIGHBOUR: u32 = 10002;
pub(crate) const ROOT: u32 = 0;
/// Root of the node, as a pod with its own user namespace sees it.
pub(crate) const NOBODY: u32 = 65534;

const WAIT: Duration = Duration::from_millis(700);

/// How the rules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Nft,
    Iptables,
}

/// The pod (10.77.0.2, fd77::2, and 10.78.0.2 on a second interface), and a neighbour at .3.
pub(crate) struct Lab {
    pod: Space,
    other: Space,
}

struct Space {
    name: String,
    file: Arc<File>,
}

impl Drop for Space {
    fn drop(&mut self) {
        Command::new("ip")
            .args(["netns", "del", &self.name])
            .output()
            .ok();
    }
}

impl Lab {
    /// Nothing where the kernel or our rights do not let us.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |what: &str| format!("sallyport-{}-{number}-{what}", std::process::id());
        match Self::make(&name("pod"), &name("other")) {
            Ok(lab) => Some(lab),
            Err(why) => {
                println!("not shown here: {why}");
                None
            }
        }
    }

    fn make(pod: &str, other: &str) -> Result<Self, String> {
        let lab = Self {
            pod: Space::new(pod)?,
            other: Space::new(other)?,
        };
        for (a, b, net) in [("eth0", "eth0", "10.77"), ("net1", "net1", "10.78")] {
            ip(&format!(
                "link add {a} netns {pod} type veth peer name {b} netns {other}"
            ))?;
            for (space, interface, last) in [(pod, a, 2), (other, b, 3)] {
                ip(&format!(
                    "-n {space} addr add {net}.0.{last}/24 dev {interface}"
                ))?;
                if interface == "eth0" {
                    ip(&format!(
                        "-n {space} addr add fd77::{last}/64 dev {interface} nodad"
                    ))?;
                }
                ip(&format!("-n {space} link set {interface} up"))?;
            }
        }
        for space in [pod, other] {
            ip(&format!("-n {space} link set lo up"))?;
        }
        Ok(lab)
    }

    /// A lab with the server, a second port of the server and the sidecar at work, and the rules loaded.
    pub(crate) fn guarded(by: By) -> Option<Self> {
        let lab = Self::new()?;
        lab.serve();
        lab.sidecar();
        match lab.load(by) {
            Ok(()) => Some(lab),
            Err(why) => {
                println!("not shown here: {by:?}: {why}");
                None
            }
        }
    }

    /// The server: TCP 8080, TCP 9090 and UDP 8081.
    pub(crate) fn serve(&self) {
        for port in [8080, 9090] {
            self.listen(SERVER, port, |mut stream| {
                heard(&stream);
                writeln!(stream, "SERVER").ok();
            });
        }
        self.pod.run(SERVER, || {
            let socket = UdpSocket::bind("[::]:8081").unwrap();
            thread::spawn(move || {
                let mut datagram = [0; 64];
                while let Ok((_, peer)) = socket.recv_from(&mut datagram) {
                    socket.send_to(b"SERVER", peer).ok();
                }
            });
        });
    }

    /// What stands in for the sidecar: it says where the peer dialled and what the server says to it, or proves itself.
    pub(crate) fn sidecar(&self) {
        let prover = Arc::new(prover());
        self.listen(SIDECAR, 15101, move |stream| sidecar(stream, &prover));
        self.listen(SIDECAR, 15102, |mut stream| {
            heard(&stream);
            writeln!(stream, "PROBES").ok();
        });
    }

    /// Listens in the pod as a user until the test ends.
    pub(crate) fn listen(&self, uid: u32, port: u16, serve: impl Fn(TcpStream) + Send + 'static) {
        let listener = self.bind(uid, port);
        self.pod.detached(uid, move || {
            for stream in listener.incoming().flatten() {
                serve(stream);
            }
        });
    }

    pub(crate) fn bind(&self, uid: u32, port: u16) -> TcpListener {
        self.pod
            .run(uid, move || TcpListener::bind(("::", port)).unwrap())
    }

    pub(crate) fn load(&self, by: By) -> Result<(), String> {
        let by = match by {
            By::Nft => "nft",
            By::Iptables => "iptables",
        };
        let mut words: Vec<&str> = vec!["apply", "--by", by];
        words.extend(FACTS);
        let output = self.capture(ROOT, &words);
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs the product's own binary in the pod.
    pub(crate) fn capture(&self, uid: u32, words: &[&str]) -> Output {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        self.pod.run(uid, move || {
            Command::new(env!("CARGO_BIN_EXE_sallyport-capture"))
                .args(words)
                .output()
                .unwrap()
        })
    }

    /// Runs `nft` in the pod, as its root.
    pub(crate) fn nft(&self, words: &str) {
        let words = words.to_owned();
        let output = self.pod.run(ROOT, move || {
            Command::new("nft").args(words.split(' ')).output().unwrap()
        });
        assert!(output.status.success(), "{output:?}");
    }

    pub(crate) fn rules(&self) -> String {
        let output = self.pod.run(ROOT, || {
            Command::new("nft")
                .args(["-s", "list", "ruleset"])
                .output()
                .unwrap()
        });
        String::from_utf8(output.stdout).unwrap()
    }

    /// Sets a switch of the pod's network namespace, as a node's administrator can.
    pub(crate) fn sysctl(&self, path: &str, value: &'static str) {
        let path = PathBuf::from("/proc/sys").join(path);
        self.pod.run(ROOT, move || fs::write(path, value).unwrap());
    }

    /// What a process of the pod gets that dials.
    pub(crate) fn dialled_in_pod(&self, uid: u32, to: &str) -> String {
        let to = to.parse().unwrap();
        self.pod.run(uid, move || dial(to))
    }

    /// What another pod gets, or the node: it arrives over the wire.
    pub(crate) fn dialled_outside(&self, to: &str) -> String {
        let to = to.parse().unwrap();
        self.other.run(ROOT, move || dial(to))
    }

    pub(crate) fn datagram_outside(&self, to: &'static str) -> String {
        self.other.run(ROOT, move || udp(to))
    }

    pub(crate) fn datagram_in_pod(&self, uid: u32, to: &'static str) -> String {
        self.pod.run(uid, move || udp(to))
    }

    /// A listener of the neighbour, for what the pod dials itself.
    pub(crate) fn outside(&self, port: u16) {
        let listener = self
            .other
            .run(ROOT, move || TcpListener::bind(("::", port)).unwrap());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                heard(&stream);
                writeln!(stream, "OUTSIDE").ok();
            }
        });
    }

    /// Runs in the pod as a user.
    pub(crate) fn in_pod<T: Send + 'static>(
        &self,
        uid: u32,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.pod.run(uid, work)
    }
}

/// What `sallyport-capture` is told in these tests.
pub(crate) const FACTS: [&str; 4] = ["--server-uid", "10001", "--server-port", "8080"];

pub(crate) fn prover() -> Prover {
    Prover::from_seed(&Zeroizing::new([42; 32])).unwrap()
}

impl Space {
    fn new(name: &str) -> Result<Self, String> {
        ip(&format!("netns add {name}"))?;
        let path = PathBuf::from("/run/netns").join(name);
        let file = File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            name: name.to_owned(),
            file: Arc::new(file),
        })
    }

    fn run<T: Send + 'static>(&self, uid: u32, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (tell, told) = mpsc::channel();
        self.detached(uid, move || {
            tell.send(work()).ok();
        });
        told.recv().unwrap()
    }

    /// Credentials and namespaces belong to threads, not to the process: no helper program is needed.
    fn detached(&self, uid: u32, work: impl FnOnce() + Send + 'static) {
        let space = Arc::clone(&self.file);
        thread::spawn(move || {
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            if uid != ROOT {
                become_user(uid);
            }
            work();
        });
    }
}

fn become_user(uid: u32) {
    let (user, group) = (
        rustix::process::Uid::from_raw(uid),
        rustix::process::Gid::from_raw(uid),
    );
    set_thread_groups(&[]).unwrap();
    set_thread_res_gid(group, group, group).unwrap();
    set_thread_res_uid(user, user, user).unwrap();
}

fn ip(words: &str) -> Result<(), String> {
    let failed = |why: &dyn std::fmt::Display| format!("ip {words}: {why}");
    let output = Command::new("ip")
        .args(words.split(' '))
        .output()
        .map_err(|error| failed(&error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(&String::from_utf8_lossy(&output.stderr).trim()))
}

fn sidecar(mut stream: TcpStream, prover: &Prover) {
    stream.set_read_timeout(Some(WAIT)).ok();
    let peer = stream.peer_addr().unwrap();
    let dialled = original(&stream).unwrap_or(stream.local_addr().unwrap());
    let mut first = [0; 1];
    if matches!(stream.peek(&mut first), Ok(1)) && first[0] == FIRST {
        let mut question = [0; QUESTION];
        stream.read_exact(&mut question).unwrap();
        let nonce = Nonce::of_question(&question).unwrap();
        let answer = prover.answer(&nonce, Seen::new(peer, dialled));
        stream.write_all(answer.as_bytes()).ok();
        return;
    }
    heard(&stream);
    let server = dial("127.0.0.1:8080".parse().unwrap());
    writeln!(stream, "SIDECAR {dialled} {server}").ok();
}

/// Reads what the peer says first: a stream that is closed with something unread is reset.
pub(crate) fn heard(stream: &TcpStream) {
    stream.set_read_timeout(Some(WAIT)).ok();
    BufReader::new(stream).read_line(&mut String::new()).ok();
}

fn original(stream: &TcpStream) -> Option<SocketAddr> {
    let v4 = ip_original_dst(stream).map(SocketAddr::V4);
    v4.or_else(|_| ipv6_original_dst(stream).map(SocketAddr::V6))
        .ok()
}

/// The first line that comes back, or how there was none.
fn dial(to: SocketAddr) -> String {
    let known = [
        (ErrorKind::ConnectionRefused, "refused"),
        (ErrorKind::TimedOut, "silence"),
        (ErrorKind::WouldBlock, "silence"),
        (ErrorKind::ConnectionReset, "reset"),
    ];
    let said = |error: std::io::Error| {
        let found = known.iter().find(|(kind, _)| *kind == error.kind());
        found.map_or_else(|| error.to_string(), |(_, word)| (*word).to_owned())
    };
    let mut stream = match TcpStream::connect_timeout(&to, WAIT) {
        Ok(stream) => stream,
        Err(error) => return said(error),
    };
    stream.set_read_timeout(Some(WAIT * 3)).unwrap();
    if let Err(error) = writeln!(stream, "HELLO") {
        return said(error);
    }
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(0) => "closed".to_owned(),
        Ok(_) => line.trim_end().to_owned(),
        Err(error) => said(error),
    }
}

fn udp(to: &str) -> String {
    let socket = UdpSocket::bind("[::]:0").unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    if socket.send_to(b"HELLO", to).is_err() {
        return "refused".to_owned();
    }
    let mut datagram = [0; 64];
    match socket.recv_from(&mut datagram) {
        Ok((length, _)) => String::from_utf8_lossy(&datagram[..length]).into_owned(),
        Err(_) => "silence".to_owned(),
    }
}

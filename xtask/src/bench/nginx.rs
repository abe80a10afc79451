//! nginx as the least that a proxy can do: one process, no log, connections to the server kept, nothing on the disk.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{self, Service};
use crate::setup;

const START_LIMIT: Duration = Duration::from_secs(10);

pub(crate) fn start(server: SocketAddr, home: &Path) -> Result<(Service, SocketAddr)> {
    let program = setup::nginx()?;
    let port = process::free_port()?;
    fs::create_dir_all(home)?;
    let file = home.join("nginx.conf");
    fs::write(&file, configuration(server, port, home))?;
    let mut command = Command::new(program);
    command.arg("-p").arg(home).arg("-c").arg(&file);
    let mut service = Service::start(&mut command, &home.join("nginx.log"))?;
    process::listening(&mut service, port, START_LIMIT).context("nginx")?;
    Ok((service, SocketAddr::from(([127, 0, 0, 1], port))))
}

/// Buffers hold the largest answer whole, or nginx would write it to a file first.
fn configuration(server: SocketAddr, port: u16, home: &Path) -> String {
    let home = home.display();
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {home}/pid;\nerror_log stderr error;\n\
         events {{ worker_connections 256; }}\n\
         http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 1000000;\n\
         \x20 proxy_buffer_size 8k;\n  proxy_buffers 16 8k;\n\
         \x20 client_body_temp_path {home}/body;\n  proxy_temp_path {home}/proxy;\n  fastcgi_temp_path {home}/f;\n\
         \x20 uwsgi_temp_path {home}/u;\n  scgi_temp_path {home}/s;\n\
         \x20 upstream trivial {{ server {server}; keepalive 64; keepalive_requests 1000000; }}\n\
         \x20 server {{\n    listen 127.0.0.1:{port};\n    location / {{\n      proxy_pass http://trivial;\n\
         \x20     proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n"
    )
}

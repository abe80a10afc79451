//! The clients: many at once, of every revision, each a principal of its own.

mod approver;
mod chance;
mod client;
mod expect;
mod message;
mod plan;
mod rude;
mod steps;
mod streams;
mod tally;
mod tokens;
mod wire;

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use client::{Client, Revision};
pub(crate) use plan::Plan;
use tally::{Report, Tally};

/// How often a long run says how it goes.
const EVERY: Duration = Duration::from_secs(5);

/// Runs all clients to the end of the plan.
pub(crate) async fn run(plan: Plan) -> Result<Report> {
    let loopback = plan
        .targets
        .iter()
        .all(|target| target.address.ip().is_loopback());
    ensure!(loopback, "the load goes to this machine only");
    let began = Instant::now();
    let until = began + Duration::from_secs(plan.seconds);
    let plan = Arc::new(plan);
    let tally = Arc::new(Tally::default());
    let (mut clients, mut helpers) = (Vec::new(), Vec::new());
    let mut number = 0;
    for target in &plan.targets {
        let target = Arc::new(target.clone());
        let approving = approver::run(Arc::clone(&target), until);
        helpers.push(tokio::spawn(approving));
        for revision in Revision::ALL
            .iter()
            .cycle()
            .take(usize::try_from(target.clients)?)
        {
            let client = Client::new(number, *revision, &plan, &target, &tally)?;
            clients.push(tokio::spawn(client.run(until)));
            number += 1;
        }
    }
    helpers.push(tokio::spawn(tell(Arc::clone(&tally), began)));
    for client in clients {
        client.await?;
    }
    for helper in helpers {
        helper.abort();
    }
    Ok(tally.report())
}

async fn tell(tally: Arc<Tally>, began: Instant) {
    loop {
        tokio::time::sleep(EVERY).await;
        let line = format!(
            "    {:4.0} s: {}",
            began.elapsed().as_secs_f64(),
            tally.line()
        );
        if writeln!(std::io::stderr().lock(), "{line}").is_err() {
            return; // nobody reads; the report still comes
        }
    }
}

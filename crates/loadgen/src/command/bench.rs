//! `loadgen bench`: ours and the peer.

use std::io;

use meridian_clock::{Clock, SystemClock};

use super::{CommandError, block_length};
use crate::bench::{Bench, Gate, Plan, Row};
use crate::cli::BenchArgs;
use crate::kafka::Parts;
use crate::progress::Progress;
use crate::report::{Header, Report, write_row};
use crate::server::Programs;
use crate::workload::select;

/// Runs the comparison, prints its rows as they come, and saves the report.
pub(crate) async fn bench(arguments: BenchArgs, command: String) -> Result<(), CommandError> {
    let out = arguments.out.clone();
    let mut bench = Bench::new(plan(arguments)?, Progress { shown: true }).await?;
    let header = Header::of(&bench, command, now()).await;
    let mut report = Report::new(header);
    let mut saved = Ok(());
    let mut take = |row: Row| {
        // Whoever closed the terminal still finds the row in the report.
        let _closed = write_row(&mut io::stdout().lock(), &row);
        report.add(row);
        if saved.is_ok() {
            saved = report.save(&out);
        }
    };
    bench.run(&mut take).await;
    saved?;
    match (report.is_empty(), report.is_whole()) {
        (true, _) => Err(CommandError::NoCase),
        (false, true) => Ok(()),
        (false, false) => Err(CommandError::Incomplete),
    }
}

fn plan(arguments: BenchArgs) -> Result<Plan, CommandError> {
    let quick = arguments.scale.quick;
    let pairs = arguments.pairs.unwrap_or(if quick { 3 } else { 11 }).max(1);
    let workloads = select(&arguments.workloads).map_err(CommandError::UnknownWorkload)?;
    Ok(Plan {
        programs: Programs {
            ours: std::path::absolute(arguments.ours)?,
            distribution: std::path::absolute(arguments.peer)?,
            // These may be names, which are looked up in PATH.
            etcd: arguments.etcd,
            skopeo: arguments.skopeo,
            parts: match &arguments.parts {
                Some(file) => Parts::find(file)?,
                None => Parts::default(),
            },
        },
        null: arguments.null,
        workloads,
        cases: arguments.cases,
        scale: arguments.scale.scale(),
        pairs,
        attempts: arguments.attempts.unwrap_or(2 * pairs).max(pairs),
        block: block_length(arguments.block, quick),
        gate: Gate::new(arguments.no_gate),
        data: std::path::absolute(match arguments.data {
            Some(data) => data,
            None => arguments.out.join("data"),
        })?,
        out: std::path::absolute(arguments.out)?,
    })
}

fn now() -> String {
    let millis = i64::try_from(SystemClock.now_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(
        |_| "an unknown day".to_owned(),
        |it| it.strftime("%F %R UTC").to_string(),
    )
}

//! Simulates a directory and prints the record.

use whittle_control as _;

fn main() {
    let dir = std::env::args().nth(1).unwrap_or_else(|| "examples/ticket-cluster".to_owned());
    let options = whittle_sim::run::Options::default();
    match whittle_sim::plan::plan(std::path::Path::new(&dir), &options) {
        Ok(report) => println!("{}", whittle_sim::plan::text(&report)),
        Err(problems) => eprintln!("{problems}"),
    }
    let mut last = 0;
    let record = whittle_sim::run::simulate(std::path::Path::new(&dir), &options, &mut |progress| {
        let hour = progress.elapsed.millis() / 3_600_000;
        if hour != last {
            last = hour;
            eprintln!("{hour} h: {} nodes, {} waiting", progress.nodes, progress.waiting_pods);
        }
    });
    match record {
        Ok(record) => {
            println!(
                "{}",
                whittle_sim::record::text::timeline(&record, whittle_sim::record::text::Detail::Compact)
            );
            println!("{}", whittle_sim::record::text::summary(&record));
        }
        Err(problems) => eprintln!("{problems}"),
    }
}

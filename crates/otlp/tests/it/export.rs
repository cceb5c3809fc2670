//! What a collector receives.

use crate::collector::{Collector, PATIENCE};
use crate::program::{config, exporting};

#[test]
fn a_run_reaches_the_collector() {
    let collector = Collector::taking();
    let (manager, statistics) = exporting(config(&collector));
    manager.start_run("A workflow", vec![]).end();
    assert!(manager.flush(PATIENCE));
    let received = collector.received();
    assert_eq!(received[0].path, "/v1/traces");
    assert_eq!(received[0].header("content-type"), Some("application/x-protobuf"));
    assert_eq!(received[0].spans()[0].name, "A workflow");
    assert_eq!(statistics.get().sent, 1);
}

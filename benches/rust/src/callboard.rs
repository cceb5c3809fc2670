//! callboard, with its OTLP exporter over HTTP.

use std::time::Duration;

use callboard_core::{EventKind, InstrumentationManager, ManagerConfig, Span, SpanKind};
use callboard_otlp::{ExporterConfig, OpenTelemetryProvider, config::process_environment};

use crate::{Side, Texts};

pub(crate) struct Callboard {
    manager: InstrumentationManager,
    root: Span,
}

impl Callboard {
    pub(crate) fn new(endpoint: &str) -> Self {
        let config = ExporterConfig {
            collector_endpoint: Some(endpoint.to_owned()),
            service_name: Some("bench".to_owned()),
            ..ExporterConfig::default()
        };
        let config = config.resolve(&process_environment).expect("the endpoint is a URL");
        let manager = InstrumentationManager::new(ManagerConfig::default());
        manager.register(Box::new(OpenTelemetryProvider::new(config)));
        let root = manager.start_run("bench", []);
        Self { manager, root }
    }
}

impl Side for Callboard {
    fn record(&self, number: i64, texts: &Texts) {
        let attributes = [
            ("ag2.reply_function".into(), "generate_reply".into()),
            ("ag2.agent.sender".into(), texts.sender.as_str().into()),
            ("ag2.agent.recipient".into(), texts.recipient.as_str().into()),
            ("ag2.round".into(), number.into()),
        ];
        let span = self.root.start_child(SpanKind::Reply, attributes);
        span.set_attribute("ag2.reply", texts.reply.as_str());
        span.set_attribute("ag2.final", true);
        let attributes = [
            ("ag2.message".into(), texts.message.as_str().into()),
            ("ag2.silent".into(), false.into()),
        ];
        span.record_event(EventKind::AgentSendMsg, attributes);
        span.end();
    }

    fn flush(&self) {
        assert!(self.manager.flush(Duration::from_secs(60)), "the sink takes everything");
    }
}

//! `opentelemetry_sdk` with its batch processor, and `opentelemetry-otlp` over HTTP with the client it comes with.

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider,
};

use crate::{Side, Texts};

pub(crate) struct OpenTelemetry {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl OpenTelemetry {
    pub(crate) fn new(endpoint: &str, max_queue_size: usize) -> Self {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .build()
            .expect("the endpoint is a URL");
        let config = BatchConfigBuilder::default().with_max_queue_size(max_queue_size).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder_empty().with_service_name("bench").build())
            .with_span_processor(processor)
            .build();
        let tracer = provider.tracer("bench");
        Self { provider, tracer }
    }
}

impl Side for OpenTelemetry {
    fn record(&self, number: i64, texts: &Texts) {
        let attributes = [
            KeyValue::new("ag2.reply_function", "generate_reply"),
            KeyValue::new("ag2.agent.sender", texts.sender.clone()),
            KeyValue::new("ag2.agent.recipient", texts.recipient.clone()),
            KeyValue::new("ag2.round", number),
        ];
        let mut span =
            self.tracer.span_builder("reply").with_attributes(attributes).start(&self.tracer);
        span.set_attribute(KeyValue::new("ag2.reply", texts.reply.clone()));
        span.set_attribute(KeyValue::new("ag2.final", true));
        let attributes = vec![
            KeyValue::new("ag2.message", texts.message.clone()),
            KeyValue::new("ag2.silent", false),
        ];
        span.add_event("agent_send_msg", attributes);
        span.end();
    }

    fn flush(&self) {
        self.provider.force_flush().expect("the sink takes everything");
    }
}

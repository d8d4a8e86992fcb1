//! Health, readiness and metrics.

use crate::support::{Req, server};

#[tokio::test]
async fn the_probes_answer() {
    let server = server().await;
    for path in ["/healthz", "/readyz"] {
        let answer = server.send(Req::get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    server.world.store.close().await.unwrap();
    assert_eq!(server.send(Req::get("/healthz")).await.status, 200);
    let answer = server.send(Req::get("/readyz")).await;
    assert_eq!(
        (answer.status, answer.at("/code").as_str()),
        (503, "TL1018"),
        "without a store"
    );
}

#[tokio::test]
async fn the_metrics_count_what_happened_without_names_of_people() {
    let server = server().await;
    let lead = || Req::post("/hooks/acme/leads", r#"{"email":"ada@example.com"}"#).signed();
    for request in [
        lead(),
        lead(),
        lead().without("x-signature"),
        lead().set("x-signature", "sha256=00"),
        Req::post("/hooks/ada-lovelace/leads", "{}"),
        Req::get("/ada@example.com"),
        Req::post("/hooks/other/leads", "{}").set("x-signature", "sha256=00"),
    ] {
        server.send(request).await;
    }
    let answer = server.send(Req::get("/metrics")).await;
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let lines = [
        "throughline_http_requests_total{route=\"/hooks/{tenant}/{endpoint}\",status=\"2xx\"} 2",
        "throughline_http_requests_total{route=\"/hooks/{tenant}/{endpoint}\",status=\"4xx\"} 4",
        "throughline_http_requests_total{route=\"none\",status=\"4xx\"} 1",
        "throughline_messages_total{tenant=\"1\",endpoint=\"leads\",outcome=\"accepted\"} 1",
        "throughline_messages_total{tenant=\"1\",endpoint=\"leads\",outcome=\"duplicate\"} 1",
        "throughline_messages_total{tenant=\"1\",endpoint=\"leads\",outcome=\"missing_header\"} 1",
        "throughline_messages_total{tenant=\"1\",endpoint=\"leads\",outcome=\"malformed\"} 1",
        "throughline_messages_total{tenant=\"0\",endpoint=\"none\",outcome=\"not_found\"} 1",
        "throughline_http_request_duration_seconds_count{route=\"/hooks/{tenant}/{endpoint}\"} 6",
        "throughline_events_stored 1",
        "# EOF",
    ];
    for line in lines {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ada"), "{text}");
    assert!(
        !text.contains("tenant=\"2\""),
        "a workflow without series: {text}"
    );
}

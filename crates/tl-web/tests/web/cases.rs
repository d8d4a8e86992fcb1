//! What the API says of cases. The cases themselves belong to the engine; here there are none, and the answers
//! must say so.

use crate::support::{OTHER_KEY, READ_KEY, Req, api_key, server};

#[tokio::test]
async fn lists_are_narrowed_by_words_that_exist() {
    let server = server().await;
    let table = [
        ("/v1/cases", 200),
        (
            "/v1/cases?state=needs_human&workflow=other&closed=false&limit=10",
            200,
        ),
        ("/v1/cases?limit=1000000", 200),
        ("/v1/cases?state=lost", 400),
        ("/v1/cases?before=x", 400),
        ("/v1/cases?limit=x", 400),
        ("/v1/cases?color=red", 400),
    ];
    for (target, status) in table {
        let answer = server
            .send(Req::get(target).bearer(&api_key(READ_KEY)))
            .await;
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        if status == 200 {
            assert_eq!(answer.text(), r#"{"cases":[],"next":null}"#, "{target}");
        }
    }
    let unknown = "/v1/cases/case_00000000000000000000000001";
    for key in [READ_KEY, OTHER_KEY] {
        assert_eq!(
            server
                .send(Req::get(unknown).bearer(&api_key(key)))
                .await
                .status,
            404
        );
    }
}

//! The samples for advertisers, as they stand in the guide, against the real server.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{Server, on_each_framework};

on_each_framework!(the_samples_report_sales_once);

/// Each with its sample. One that this machine lacks is left out.
const INTERPRETERS: [(&str, &str); 4] =
    [("python3", "postback.py"), ("node", "postback.mjs"), ("php", "postback.php"), ("ruby", "postback.rb")];

fn the_samples_report_sales_once(framework: &str) {
    let server = Server::start(framework);
    let campaign = json!({"name": "Shop", "destination_url": "https://shop.example/", "key_kind": "signing"});
    let campaign = post(&server, "/campaigns", &campaign);
    let key = campaign["data"]["postback_key"].as_str().unwrap();
    let mut run = 0;
    for (interpreter, sample) in INTERPRETERS.into_iter().filter(|(interpreter, _)| is_there(interpreter)) {
        let click = server.get(&format!("/click?affiliate_id=1&campaign_id={}", campaign["data"]["id"])).json();
        let click_id = click["data"]["click_id"].as_str().unwrap();
        for is_duplicate in [false, true] {
            let output = Command::new(interpreter)
                .arg(samples().join(sample))
                .env("POSTBACK_URL", format!("{}/postback", server.url))
                .env("POSTBACK_KEY", key)
                .env("CLICK_ID", click_id)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.code(), Some(0), "{sample}: {said}{}", String::from_utf8_lossy(&output.stderr));
            // `GET 200 {…}`, and the same of a POST.
            let answers: Vec<Value> = said
                .lines()
                .filter_map(|line| line.find('{').map(|start| &line[start..]))
                .map(|json| serde_json::from_str(json).unwrap_or_else(|error| panic!("{sample}: {error}: {said}")))
                .collect();
            assert_eq!(answers.len(), 2, "{sample}: {said}");
            for answer in answers {
                assert_eq!(answer["duplicate"] == true, is_duplicate, "{sample}: {said}");
                assert_eq!(answer["data"]["click_id"], click_id, "{sample}: {said}");
            }
        }
        run += 1;
        let summary = server.get("/affiliates/1/summary").json();
        assert_eq!(summary["data"]["conversions"], 2 * run, "{sample}: {summary}");
    }
    assert!(run > 0, "not a single interpreter is on this machine: scripts/install-test-tools installs some");
    let problems = server.get("/postbacks?problems=true").json();
    assert_eq!(problems["data"], json!([]), "{problems}");
}

#[test]
fn the_samples_sign_as_the_vectors_say() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check-samples");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/advertiser")
}

fn is_there(interpreter: &str) -> bool {
    let version = Command::new(interpreter).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn post(server: &Server, path: &str, body: &Value) -> Value {
    let mut answer = ureq::post(format!("{}{path}", server.url))
        .header("content-type", "application/json")
        .send(body.to_string())
        .unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

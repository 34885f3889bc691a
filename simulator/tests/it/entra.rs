//! The token endpoint.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PSS_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use simulator::accounts::{self, Account, CLIENT_ID, CLIENT_SECRET, Roles, TENANT};
use simulator::entra::{Cloud, Resource};
use simulator::wire::percent_encode;
use simulator::{Config, Fault, FaultKind, Request, Response, Route, Service, Simulator, Time};

use crate::support::{Desk, NOW, sample};

const GRAPH: &str = "https://graph.microsoft.com/.default";

fn form(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect::<Vec<_>>().join("&")
}

fn ask(desk: &mut Desk, tenant: &str, fields: &[(&str, &str)]) -> Response {
    let request = Request::new("POST", &format!("/{tenant}/oauth2/v2.0/token"))
        .header("host", "127.0.0.1:1")
        .body("application/x-www-form-urlencoded", form(fields));
    desk.ask(Service::Login, &request)
}

fn good() -> Vec<(&'static str, &'static str)> {
    vec![("client_id", CLIENT_ID), ("scope", GRAPH), ("client_secret", CLIENT_SECRET), ("grant_type", "client_credentials")]
}

/// Status, `error` and the number of a refusal.
fn refusal(response: &Response) -> (u16, String, i64) {
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    let code = body["error_codes"][0].as_i64().unwrap_or_default();
    assert!(body["error_description"].as_str().unwrap_or_default().starts_with(&format!("AADSTS{code}: ")), "{body}");
    (response.status, body["error"].as_str().unwrap_or_default().to_string(), code)
}

#[test]
fn a_secret_gives_a_token_of_the_documented_shape() {
    let mut desk = Desk::empty();
    for tenant in [TENANT, accounts::DOMAIN] {
        let response = ask(&mut desk, tenant, &good());
        assert_eq!(response.status, 200, "{}", response.text());
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("Bearer"), Some(3599)));
        assert!(body["access_token"].as_str().unwrap().starts_with("eyJ"));
    }
}

#[test]
fn basic_credentials_serve_as_well() {
    let mut desk = Desk::empty();
    let credential = STANDARD.encode(format!("{CLIENT_ID}:{}", percent_encode(CLIENT_SECRET)));
    let body = form(&[("scope", GRAPH), ("grant_type", "client_credentials")]);
    let request = Request::new("POST", &format!("/{TENANT}/oauth2/v2.0/token"))
        .header("authorization", &format!("Basic {credential}"))
        .body("application/x-www-form-urlencoded; charset=utf-8", body);
    assert_eq!(desk.ask(Service::Login, &request).status, 200);
}

#[test]
fn every_fault_of_a_request_has_its_number() {
    let with = |name: &'static str, value: &'static str| {
        let mut fields = good();
        fields.retain(|(key, _)| *key != name);
        if !value.is_empty() {
            fields.push((name, value));
        }
        fields
    };
    let cases = [
        (TENANT, with("client_secret", "wrong"), 401, "invalid_client", 7_000_215),
        (TENANT, with("client_secret", ""), 401, "invalid_client", 7_000_218),
        (TENANT, with("client_id", ""), 400, "invalid_request", 900_144),
        (TENANT, with("client_id", "11111111-1111-1111-1111-111111111111"), 400, "unauthorized_client", 700_016),
        (TENANT, with("scope", ""), 400, "invalid_request", 900_144),
        (TENANT, with("scope", "https://graph.microsoft.com/User.Read"), 400, "invalid_scope", 70_011),
        (TENANT, with("scope", "https://graph.microsoft.com/.default offline_access"), 400, "invalid_scope", 70_011),
        (TENANT, with("scope", "https://graph.microsoft.us/.default"), 400, "invalid_resource", 500_011),
        (TENANT, with("grant_type", "password"), 400, "unsupported_grant_type", 70_003),
        (TENANT, with("grant_type", ""), 400, "invalid_request", 900_144),
        ("22222222-2222-2222-2222-222222222222", good(), 400, "invalid_request", 90_002),
        ("not a tenant", good(), 400, "invalid_request", 900_023),
        ("common", good(), 400, "invalid_request", 9_001_023),
    ];
    for (tenant, fields, status, error, code) in cases {
        let mut desk = Desk::empty();
        let response = ask(&mut desk, &percent_encode(tenant), &fields);
        assert_eq!(refusal(&response), (status, error.to_string(), code), "{tenant} {fields:?}");
    }
}

#[test]
fn json_in_place_of_a_form_is_refused() {
    let mut desk = Desk::empty();
    let request = Request::new("POST", &format!("/{TENANT}/oauth2/v2.0/token")).body("application/json", "{}");
    assert_eq!(refusal(&desk.ask(Service::Login, &request)).2, 900_144);
    assert_eq!(refusal(&desk.ask(Service::Login, &Request::get(&format!("/{TENANT}/oauth2/v2.0/token")))).2, 900_561);
}

#[test]
fn expired_secrets_disabled_applications_and_missing_licences() {
    let mut desk = Desk::empty();
    desk.world.entra.application(TENANT, CLIENT_ID).unwrap().secrets[0].1 = Some(NOW);
    assert_eq!(refusal(&ask(&mut desk, TENANT, &good())).2, 7_000_222);
    let mut desk = Desk::empty();
    desk.world.entra.application(TENANT, CLIENT_ID).unwrap().missing = vec![Resource::Graph];
    assert_eq!(refusal(&ask(&mut desk, TENANT, &good())).2, 500_011);
    let mut desk = Desk::empty();
    desk.world.entra.application(TENANT, CLIENT_ID).unwrap().disabled = true;
    assert_eq!(refusal(&ask(&mut desk, TENANT, &good())).2, 70_001);
}

#[test]
fn each_cloud_has_its_scopes() {
    let scopes = [
        (Cloud::Commercial, "https://api.securitycenter.microsoft.com/.default", Resource::Endpoint),
        (Cloud::Commercial, "https://securitycenter.onmicrosoft.com/windowsatpservice/.default", Resource::Endpoint),
        (Cloud::Commercial, "https://api.security.microsoft.com/.default", Resource::Defender),
        (Cloud::Gcc, "https://graph.microsoft.com/.default", Resource::Graph),
        (Cloud::Gcc, "https://api-gcc.securitycenter.microsoft.us/.default", Resource::Endpoint),
        (Cloud::GccHigh, "https://graph.microsoft.us/.default", Resource::Graph),
        (Cloud::GccHigh, "https://api-gov.security.microsoft.us/.default", Resource::Defender),
        (Cloud::Dod, "https://dod-graph.microsoft.us/.default", Resource::Graph),
        (Cloud::Dod, "https://api-gov.securitycenter.microsoft.us/.default", Resource::Endpoint),
    ];
    for (cloud, scope, resource) in scopes {
        let mut desk = Desk::empty();
        let tenant = "33333333-3333-4333-8333-333333333333".to_string();
        let account = Account { cloud, tenant: tenant.clone(), ..Account::new("gov") };
        accounts::add(&mut desk.world, &account, None);
        let secret = account.secret.clone().unwrap();
        let fields = [
            ("client_id", account.client_id.as_str()),
            ("scope", scope),
            ("client_secret", &secret),
            ("grant_type", "client_credentials"),
        ];
        assert_eq!(ask(&mut desk, &tenant, &fields).status, 200, "{scope}");
        assert_eq!(desk.world.entra.tokens().next().unwrap().1.resource, resource);
    }
}

#[test]
fn the_authority_of_another_cloud_refuses() {
    let mut desk = Desk::empty();
    let request = Request::new("POST", &format!("/{TENANT}/oauth2/v2.0/token"))
        .header("host", "login.microsoftonline.us")
        .body("application/x-www-form-urlencoded", form(&good()));
    assert_eq!(refusal(&desk.ask(Service::Login, &request)).2, 900_382);
}

/// An assertion signed with the key of the simulator's certificate; `bend` may change header and claims.
fn assertion(sim: &Simulator, now: Time, bend: impl Fn(&mut Value, &mut Value)) -> String {
    let thumbprint = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, &sim.certificate().der));
    let mut header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
    let mut claims = json!({
        "aud": format!("https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"), "iss": CLIENT_ID, "sub": CLIENT_ID,
        "jti": "00aa00aa-bb11-cc22-dd33-44ee44ee44ee", "nbf": now.unix(), "exp": now.unix() + 600,
    });
    bend(&mut header, &mut claims);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let body: String = sim.certificate().key.lines().filter(|line| !line.starts_with("-----")).collect();
    let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PSS_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_certificate_gives_a_token_and_each_flaw_its_number() {
    let sim = Simulator::start(Config { alerts: 0, incidents: 0, ..Config::default() });
    let now = sim.now();
    let ask = |jwt: &str, known: bool| {
        sim.world(|world| {
            world.entra.application(TENANT, CLIENT_ID).unwrap().certificates =
                if known { vec![sim.certificate().der.clone()] } else { Vec::new() };
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let fields = [
                ("client_id", CLIENT_ID),
                ("scope", GRAPH),
                ("grant_type", "client_credentials"),
                ("client_assertion_type", kind),
                ("client_assertion", jwt),
            ];
            let request = Request::new("POST", &format!("/{TENANT}/oauth2/v2.0/token"))
                .header("host", "127.0.0.1:9")
                .body("application/x-www-form-urlencoded", form(&fields));
            simulator::answer(world, Service::Login, &request, now)
        })
    };
    let right = assertion(&sim, now, |_, _| {});
    let response = ask(&right, true);
    assert_eq!(response.status, 200, "{}", response.text());
    let own_host =
        assertion(&sim, now, |_, claims| claims["aud"] = json!(format!("http://127.0.0.1:9/{TENANT}/oauth2/v2.0/token")));
    assert_eq!(ask(&own_host, true).status, 200);

    assert_eq!(refusal(&ask(&right, false)), (401, "invalid_client".to_string(), 700_027));
    type Bend<'a> = &'a dyn Fn(&mut Value, &mut Value);
    let flaws: [(&str, Bend<'_>, i64); 7] = [
        (
            "another audience",
            &|_, claims| claims["aud"] = json!("https://login.microsoftonline.com/other/oauth2/v2.0/token"),
            50_012,
        ),
        ("another issuer", &|_, claims| claims["iss"] = json!("somebody"), 50_012),
        ("another subject", &|_, claims| claims["sub"] = json!("somebody"), 50_012),
        ("no id", &|_, claims| claims["jti"] = Value::Null, 50_012),
        ("expired", &|_, claims| claims["exp"] = json!(1_600_000_000), 700_024),
        ("not yet valid", &|_, claims| claims["nbf"] = json!(4_000_000_000_i64), 700_024),
        ("another algorithm", &|header, _| header["alg"] = json!("HS256"), 50_013),
    ];
    for (what, bend, code) in flaws {
        assert_eq!(refusal(&ask(&assertion(&sim, now, bend), true)).2, code, "{what}");
    }
    let mut parts: Vec<&str> = right.split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(json!({"aud": "x"}).to_string());
    parts[1] = &forged;
    assert_eq!(refusal(&ask(&parts.join("."), true)).2, 50_013, "the signature is checked");
}

#[test]
fn a_token_is_good_for_its_resource_its_roles_and_its_time() {
    let mut desk = Desk::empty();
    let graph = desk.token(Resource::Graph);
    let list = Request::get("/v1.0/security/alerts_v2").bearer(&graph);
    assert_eq!(desk.ask(Service::Graph, &list).status, 200);
    let endpoint = Request::get("/api/alerts").bearer(&graph);
    assert_eq!(desk.ask(Service::Defender, &endpoint).status, 401, "another audience");
    let defender = desk.token(Resource::Endpoint);
    assert_eq!(
        desk.ask(Service::Defender, &Request::get("/api/incidents").bearer(&defender)).status,
        401,
        "two APIs, two audiences"
    );
    assert_eq!(desk.ask(Service::Defender, &Request::get("/api/alerts").bearer(&defender)).status, 200);

    desk.now = Time::from_unix(NOW.unix() + 3598);
    assert_eq!(desk.ask(Service::Graph, &list).status, 200);
    desk.now = Time::from_unix(NOW.unix() + 3599);
    let response = desk.ask(Service::Graph, &list);
    assert_eq!(response.status, 401);
    assert!(response.text().contains("InvalidAuthenticationToken") && response.header_value("www-authenticate").is_some());
    assert_eq!(desk.ask(Service::Graph, &Request::get("/v1.0/security/alerts_v2")).status, 401);
}

#[test]
fn a_token_without_roles_is_issued_and_useless() {
    let mut desk = Desk::empty();
    let application = desk.world.entra.application(TENANT, CLIENT_ID).unwrap();
    accounts::grant(application, Roles::None);
    assert_eq!(ask(&mut desk, TENANT, &good()).status, 200);
    let (status, body) = desk.get("/api/alerts", &[]);
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("Forbidden")));
    let documented = sample("errors/composed-aad-gateway-401-missing-scope.json");
    if let Some(documented) = documented {
        assert_eq!(body["error"]["message"], documented["error"]["message"]);
    }
    assert_eq!(desk.get("/v1.0/security/incidents", &[]).0, 403);
    assert_eq!(desk.get("/api/incidents", &[]).0, 403);
    let application = desk.world.entra.application(TENANT, CLIENT_ID).unwrap();
    accounts::grant(application, Roles::Read);
    assert_eq!(desk.get("/api/incidents", &[]).0, 200);
    assert_eq!(desk.send("PATCH", "/api/incidents/1", &json!({"status": "Resolved"})).0, 403, "reading is not writing");
}

#[test]
fn errors_look_as_documented() {
    let names = |value: &Value| {
        value.as_object().unwrap().keys().filter(|name| *name != "_http_status").cloned().collect::<BTreeSet<_>>()
    };
    for (file, code) in [
        ("401-7000215", 7_000_215),
        ("401-7000222", 7_000_222),
        ("401-700027", 700_027),
        ("400-700016", 700_016),
        ("400-90002", 90_002),
        ("400-500011", 500_011),
        ("400-900144", 900_144),
        ("429-90055", 90_055),
        ("503-90033", 90_033),
    ] {
        let Some(documented) = sample(&format!("entra/composed-token-{file}.json")) else { return };
        let mut desk = Desk::empty();
        desk.world.faults.push(Fault::once(Route::Token, FaultKind::Entra(code)));
        let fields = [
            ("client_id", "11111111-1111-1111-1111-111111111111"),
            ("scope", "https://api.securitycenter.microsoft.com/.default"),
            ("grant_type", "client_credentials"),
        ];
        let response = ask(&mut desk, "22222222-2222-2222-2222-222222222222", &fields);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(names(&body), names(&documented), "{file}");
        let status = documented["_http_status"].as_u64().unwrap() as u16;
        assert_eq!((response.status, &body["error"]), (status, &documented["error"]), "{file}");
        // The sample of 700027 names a thumbprint; up to there, and elsewhere to the ids, the texts are the same.
        let text = |value: &Value| {
            let text = value["error_description"].as_str().unwrap();
            text.split(" Trace ID").next().unwrap().split(", Thumbprint").next().unwrap().to_string()
        };
        assert_eq!(text(&body), text(&documented));
    }
}

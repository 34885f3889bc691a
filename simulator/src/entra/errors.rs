//! The errors of the token endpoint: number, HTTP status, `error` and text.

use crate::chance::Chance;
use crate::object;
use crate::time::Time;
use crate::wire::Response;

/// The answer for an AADSTS number; `detail` is the thing its text names (an application, a tenant, a scope, a parameter).
/// Numbers without a text of their own get 400 `invalid_request`.
pub fn error(code: u32, detail: &str, now: Time) -> Response {
    let (status, kind, text) = describe(code, detail, now);
    let mut chance = Chance::new(now.0 as u64 ^ u64::from(code));
    let (trace, correlation, stamp) = (chance.guid(), chance.guid(), now.entra_stamp());
    let body = object! {
        "error" => kind,
        "error_description" => format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {stamp}"),
        "error_codes" => vec![i64::from(code)],
        "timestamp" => stamp,
        "trace_id" => trace,
        "correlation_id" => correlation,
        "error_uri" => format!("https://login.microsoftonline.com/error?code={code}"),
    };
    let response = Response::json(status, &body).header("Cache-Control", "no-store, no-cache");
    if status == 429 || status == 503 { response.header("Retry-After", "2") } else { response }
}

fn describe(code: u32, detail: &str, now: Time) -> (u16, &'static str, String) {
    let (app, directory) = detail.split_once('|').unwrap_or((detail, "the directory"));
    match code {
        7_000_215 => (401, "invalid_client", format!("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{app}'.")),
        7_000_222 => (401, "invalid_client", format!("The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.")),
        7_000_218 => (401, "invalid_client", "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.".to_string()),
        70_002 => (401, "invalid_client", "Error validating credentials.".to_string()),
        700_016 => (400, "unauthorized_client", format!("Application with identifier '{app}' was not found in the directory '{directory}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.")),
        700_011 => (400, "unauthorized_client", format!("Application with identifier '{app}' was not found in the directory '{directory}'.")),
        70_001 => (400, "unauthorized_client", format!("Application '{app}' is disabled.")),
        90_002 => (400, "invalid_request", format!("Tenant '{app}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.")),
        900_023 => (400, "invalid_request", format!("Specified tenant identifier '{app}' is neither a valid DNS name, nor a valid external domain.")),
        9_001_023 => (400, "invalid_request", format!("The grant type is not supported over the /{app} endpoint. Please use a tenant-specific endpoint.")),
        90_038 => (400, "invalid_request", format!("Tenant '{app}' request is being redirected to the National Cloud.")),
        900_382 => (400, "invalid_request", "Confidential Client is not supported in Cross Cloud request.".to_string()),
        900_432 => (400, "invalid_request", "Confidential Client is not supported in Cross Cloud request.".to_string()),
        70_011 => (400, "invalid_scope", format!("The provided value for the input parameter 'scope' is not valid. The scope {app} is not valid.")),
        28_002 => (400, "invalid_scope", format!("Provided value for the input parameter scope '{app}' is not valid when requesting an access token.")),
        500_011 => (400, "invalid_resource", format!("The resource principal named {app} was not found in the tenant named Contoso. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.")),
        50_001 => (400, "invalid_resource", format!("The resource '{app}' is disabled or does not exist.")),
        700_027 => (401, "invalid_client", format!("The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '{app}']")),
        500_133 => (401, "invalid_client", "Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion, or request a new token.".to_string()),
        700_024 => (401, "invalid_client", format!("Client assertion is not within its valid time range. Current time: {now}, {detail}.")),
        50_012 => (401, "invalid_client", format!("Authentication failed. {app}")),
        50_013 => (400, "invalid_grant", format!("Assertion failed signature validation. {app}")),
        900_384 => (400, "invalid_grant", "JWT token failed signature validation.".to_string()),
        700_213 => (401, "invalid_client", format!("No matching federated identity record found for presented assertion subject '{app}'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.")),
        700_211 => (401, "invalid_client", format!("No matching federated identity record found for presented assertion issuer '{app}'.")),
        50_034 => (400, "invalid_grant", "The user account {EmailHidden} does not exist in the directory. To sign into this application, the account must be added to the directory.".to_string()),
        50_076 => (400, "invalid_grant", "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication.".to_string()),
        53_003 => (400, "access_denied", "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.".to_string()),
        90_055 => (429, "temporarily_unavailable", "TenantThrottlingError - There are too many incoming requests.".to_string()),
        90_033 => (503, "temporarily_unavailable", "A transient error has occurred. Please try again.".to_string()),
        90_006 | 90_012 | 90_024 | 90_090 => (503, "temporarily_unavailable", "The service is temporarily unavailable. Please retry later.".to_string()),
        50_000 => (500, "temporarily_unavailable", "There was an error issuing a token or an issue with our sign-in service.".to_string()),
        900_144 => (400, "invalid_request", format!("The request body must contain the following parameter: '{app}'.")),
        900_561 => (400, "invalid_request", format!("The endpoint only accepts POST, OPTIONS requests. Received a {app} request.")),
        70_003 => (400, "unsupported_grant_type", format!("The app requested an unsupported grant type '{app}'.")),
        _ => (400, "invalid_request", format!("The request was refused. {app}")),
    }
}

//! The OpenAPI document, made from the route table and the wire types.

use std::sync::LazyLock;

use http::{Method, StatusCode};
use serde_json::Value;
use tracking_core::{ConversionStatus, Grouping, OutcomeKind, Preset, SortBy, SubIds};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, KnownFormat, ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Required, Response, ResponseBuilder,
    Schema, Server,
};
use utoipa::{PartialSchema, ToSchema};

use crate::admin::EXPLAIN_SOURCE;
use crate::api::SESSION_COOKIE;
use crate::endpoint::{Endpoint, Guarded, ROUTES, Route};
use crate::lists::Format;
use crate::postback::{Described, IMPORTED, PARAMETERS};
use crate::report_query::DEFAULT_PERIOD;
use crate::wire::campaigns::{CampaignChange, CampaignData, KeyData, NewCampaign, NewKey};
use crate::wire::conversions::{ConversionListed, ConversionTracked, NewStatus, PostbackAnswer};
use crate::wire::links::{LinkData, LinkTest, LinkTested};
use crate::wire::postbacks::{Explained, PostbackListed};
use crate::wire::reports::ReportData;
use crate::wire::{
    AffiliateChange, AffiliateData, Answer, ClickListed, ClickTracked, EraseClicks, Erased, ErrorAnswer, ListAnswer,
    NewAffiliate, NewPass, PassData, RecordedAnswer, Status, SummaryData,
};

/// The document as JSON text, for a mount point with this URL.
pub(crate) fn document(base_url: &str) -> String {
    static DOCUMENT: LazyLock<OpenApi> = LazyLock::new(describe);
    let mut document = DOCUMENT.clone();
    document.servers = Some(vec![Server::new(base_url)]);
    document.to_json().unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document could not be written");
        "{}".to_owned()
    })
}

fn describe() -> OpenApi {
    let mut schemas = Vec::new();
    let mut paths = Paths::new();
    for route in &ROUTES {
        if let Some(operation) = operation(route, &mut schemas) {
            let method = match route.method {
                Method::POST => HttpMethod::Post,
                Method::PATCH => HttpMethod::Patch,
                Method::DELETE => HttpMethod::Delete,
                _ => HttpMethod::Get,
            };
            paths.add_path_operation(route.path, vec![method], operation);
        }
    }
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let basic = SecurityScheme::Http(Http::new(HttpAuthScheme::Basic));
    let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE)));
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Affiliate tracking")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(DESCRIPTION))
                .build(),
        )
        .paths(paths)
        .components(Some(
            ComponentsBuilder::new()
                .schemas_from_iter(schemas)
                .security_scheme("bearer", bearer)
                .security_scheme("basic", basic)
                .security_scheme("session", session)
                .build(),
        ))
        .build()
}

const DESCRIPTION: &str = "Affiliate tracking by server-to-server postbacks. Records a click with its `click_id`, and \
    attributes a conversion to it, exactly once. Times are UTC. Amounts are exact decimals. Parameters that are not \
    listed are ignored; a listed one must not be repeated; an optional one that is empty counts as left out.";

/// What the table does not say about a route. `None` for the pages, which are for people.
fn operation(route: &Route, schemas: &mut Vec<(String, RefOr<Schema>)>) -> Option<Operation> {
    let (summary, parameters, body, success, refusals): (_, Vec<Parameter>, Option<RequestBody>, _, &[u16]) =
        match route.endpoint {
            Endpoint::Go => (
                "Record a click, and send the visitor on to the campaign's destination",
                link_parameters("; minted if left out, empty or not fit for one."),
                None,
                (StatusCode::FOUND, Body::Empty),
                &[400, 404, 414, 422, 500, 503],
            ),
            Endpoint::Click => (
                "Record a click",
                link_parameters("; minted if left out or empty."),
                None,
                (StatusCode::OK, Body::Json(envelope::<RecordedAnswer<ClickTracked>, ClickTracked>(schemas))),
                &[400, 404, 414, 422, 500, 503],
            ),
            Endpoint::Postback if route.method == Method::POST => (
                "Record a conversion, or change the status of one, by a form or JSON",
                vec![],
                Some(postback_body(schemas)),
                (StatusCode::OK, Body::Json(component::<PostbackAnswer>(schemas))),
                &[400, 401, 403, 404, 409, 413, 414, 415, 422, 429, 500, 503],
            ),
            Endpoint::Postback => (
                "Record a conversion, or change the status of one",
                postback_parameters(),
                None,
                (StatusCode::OK, Body::Json(component::<PostbackAnswer>(schemas))),
                &[400, 401, 403, 404, 409, 414, 422, 429, 500, 503],
            ),
            Endpoint::Guarded(guarded) => match guarded {
                Guarded::Dashboard
                | Guarded::DashboardLink
                | Guarded::DashboardLinkTest
                | Guarded::DashboardPostbacks
                | Guarded::DashboardExplain
                | Guarded::DashboardExplained
                | Guarded::DashboardConversion
                | Guarded::DashboardChangeStatus
                | Guarded::Page(_) => return None,
                Guarded::Link => (
                    "Make a tracking link",
                    link_marks(),
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<LinkData>, LinkData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::LinkQrCode => (
                    "Show the QR code of a tracking link",
                    link_marks(),
                    None,
                    (StatusCode::OK, Body::Other("image/svg+xml")),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::TestLink => (
                    "Record a test click, as if a link had been followed, and tell each step",
                    vec![],
                    Some(json_or_form_body::<LinkTest>(schemas)),
                    (StatusCode::OK, Body::Json(envelope::<Answer<LinkTested>, LinkTested>(schemas))),
                    &[400, 401, 403, 413, 414, 415, 500],
                ),
                Guarded::Affiliate => (
                    "Show an affiliate",
                    vec![id_in_path("affiliate_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<AffiliateData>, AffiliateData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::AffiliateSummary => (
                    "Sum up what an affiliate has brought",
                    vec![id_in_path("affiliate_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<SummaryData>, SummaryData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::Report => (
                    "Report what was counted in a period, by day, hour, affiliate, campaign, event, source or sub id",
                    report_parameters(),
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<Answer<ReportData>, ReportData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::Clicks => (
                    "List clicks, newest first; for an affiliate his own",
                    list_filters(vec![], &[affiliate_filter()]),
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<ListAnswer<ClickListed>, ClickListed>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::Conversions => (
                    "List conversions, newest first; for an affiliate his own",
                    list_filters(vec![], &[affiliate_filter(), status_filter()]),
                    None,
                    (
                        StatusCode::OK,
                        Body::JsonOrCsv(envelope::<ListAnswer<ConversionListed>, ConversionListed>(schemas)),
                    ),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::AffiliateClicks => (
                    "List an affiliate's clicks, newest first",
                    list_filters(vec![id_in_path("affiliate_id")], &[]),
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<ListAnswer<ClickListed>, ClickListed>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::AffiliateConversions => (
                    "List an affiliate's conversions, newest first",
                    list_filters(vec![id_in_path("affiliate_id")], &[status_filter()]),
                    None,
                    (
                        StatusCode::OK,
                        Body::JsonOrCsv(envelope::<ListAnswer<ConversionListed>, ConversionListed>(schemas)),
                    ),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::Affiliates => (
                    "List the affiliates, newest first",
                    vec![limit(), cursor(), format()],
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<ListAnswer<AffiliateData>, AffiliateData>(schemas))),
                    &[400, 401, 403, 414, 422, 500, 503],
                ),
                Guarded::CreateAffiliate => (
                    "Create an affiliate",
                    vec![],
                    Some(json_body(component::<NewAffiliate>(schemas))),
                    (
                        StatusCode::CREATED,
                        Body::Json(envelope::<RecordedAnswer<AffiliateData>, AffiliateData>(schemas)),
                    ),
                    &[400, 401, 403, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::Campaign => (
                    "Show a campaign",
                    vec![id_in_path("campaign_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<CampaignData>, CampaignData>(schemas))),
                    &[400, 401, 404, 414, 422, 500, 503],
                ),
                Guarded::Campaigns => (
                    "List the campaigns, newest first",
                    vec![limit(), cursor(), format()],
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<ListAnswer<CampaignData>, CampaignData>(schemas))),
                    &[400, 401, 414, 422, 500, 503],
                ),
                Guarded::ChangeAffiliate => (
                    "Change an affiliate, pause him, or end his pause",
                    vec![id_in_path("affiliate_id")],
                    Some(json_body(component::<AffiliateChange>(schemas))),
                    (StatusCode::OK, Body::Json(envelope::<Answer<AffiliateData>, AffiliateData>(schemas))),
                    &[400, 401, 403, 404, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::IssuePass => (
                    "Make a pass with which an affiliate sees his figures",
                    vec![id_in_path("affiliate_id")],
                    Some(json_body(component::<NewPass>(schemas))),
                    (StatusCode::CREATED, Body::Json(envelope::<RecordedAnswer<PassData>, PassData>(schemas))),
                    &[400, 401, 403, 404, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::RevokePasses => (
                    "Make all passes of an affiliate void",
                    vec![id_in_path("affiliate_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<AffiliateData>, AffiliateData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::ChangeCampaign => (
                    "Change a campaign, pause it, or end its pause",
                    vec![id_in_path("campaign_id")],
                    Some(json_body(component::<CampaignChange>(schemas))),
                    (StatusCode::OK, Body::Json(envelope::<Answer<CampaignData>, CampaignData>(schemas))),
                    &[400, 401, 403, 404, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::IssueKey => (
                    "Make a postback key",
                    vec![id_in_path("campaign_id")],
                    Some(json_body(component::<NewKey>(schemas))),
                    (StatusCode::CREATED, Body::Json(envelope::<RecordedAnswer<KeyData>, KeyData>(schemas))),
                    &[400, 401, 403, 404, 409, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::RevokeKey => (
                    "Take a postback key from a campaign, for good",
                    vec![id_in_path("campaign_id"), number_in_path("key_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<CampaignData>, CampaignData>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::Conversion => (
                    "Show a conversion, and how its status has changed",
                    vec![number_in_path("conversion_id")],
                    None,
                    (StatusCode::OK, Body::Json(envelope::<Answer<ConversionTracked>, ConversionTracked>(schemas))),
                    &[400, 401, 403, 404, 414, 422, 500, 503],
                ),
                Guarded::ChangeStatus => (
                    "Approve or reject a conversion",
                    vec![number_in_path("conversion_id")],
                    Some(json_body(component::<NewStatus>(schemas))),
                    (StatusCode::OK, Body::Json(component::<PostbackAnswer>(schemas))),
                    &[400, 401, 403, 404, 409, 413, 414, 415, 422, 500, 503],
                ),
                Guarded::ImportConversions => (
                    "Import a file of conversions, each line as a postback, and tell what has become of each",
                    vec![],
                    Some(import_body()),
                    (StatusCode::OK, Body::Other("text/csv")),
                    &[400, 401, 403, 413, 414, 415, 503],
                ),
                Guarded::Postbacks => (
                    "List the calls of the postback route and what became of them, newest first",
                    postback_filters(),
                    None,
                    (StatusCode::OK, Body::JsonOrCsv(envelope::<ListAnswer<PostbackListed>, PostbackListed>(schemas))),
                    &[400, 401, 403, 414, 422, 500, 503],
                ),
                Guarded::ExplainPostback => (
                    "Tell what would become of a postback, rule by rule, and write nothing",
                    vec![text(
                        EXPLAIN_SOURCE,
                        "The address that it would come from; that of this call if left out. It may stand in the body, too, \
                         unless that is signed.",
                        Required::False,
                    )],
                    Some(postback_body(schemas)),
                    (StatusCode::OK, Body::Json(envelope::<Answer<Explained>, Explained>(schemas))),
                    &[400, 401, 403, 500, 503],
                ),
                Guarded::EraseClicks => (
                    "Make the clicks with an id anonymous, for a person who asks for it",
                    vec![],
                    Some(json_body(component::<EraseClicks>(schemas))),
                    (StatusCode::OK, Body::Json(envelope::<Answer<Erased>, Erased>(schemas))),
                    &[400, 401, 403, 413, 414, 415, 500, 503],
                ),
                Guarded::CreateCampaign => (
                    "Create a campaign",
                    vec![],
                    Some(json_body(component::<NewCampaign>(schemas))),
                    (StatusCode::CREATED, Body::Json(envelope::<RecordedAnswer<CampaignData>, CampaignData>(schemas))),
                    &[400, 401, 403, 413, 414, 415, 422, 500, 503],
                ),
            },
            Endpoint::Health => (
                "Tell that the process is up",
                vec![],
                None,
                (StatusCode::OK, Body::Json(component::<Status>(schemas))),
                &[400, 414],
            ),
            Endpoint::Readiness => (
                "Tell whether the store can take calls",
                vec![],
                None,
                (StatusCode::OK, Body::Json(component::<Status>(schemas))),
                &[400, 414, 500, 503],
            ),
            Endpoint::OpenApi => (
                "This document",
                vec![],
                None,
                (StatusCode::OK, Body::Json(RefOr::T(ObjectBuilder::new().schema_type(Type::Object).into()))),
                &[400, 414],
            ),
            Endpoint::Session(_) | Endpoint::Asset => return None,
        };
    let (status, body_of_success) = success;
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.name))
        .summary(Some(summary))
        .parameters(Some(parameters))
        .request_body(body)
        .response(status.as_str(), response(status, body_of_success));
    // Whoever sends wrong tokens is kept waiting.
    let for_wrong_tokens = matches!(route.endpoint, Endpoint::Guarded(_)).then_some(429);
    for status in
        refusals.iter().copied().chain(for_wrong_tokens).filter_map(|status| StatusCode::from_u16(status).ok())
    {
        let refusal = match route.endpoint {
            Endpoint::Go => Body::Other("text/html"),
            _ => Body::Json(component::<ErrorAnswer>(schemas)),
        };
        operation = operation.response(status.as_str(), response(status, refusal));
    }
    let schemes: &[&str] = match route.endpoint {
        Endpoint::Guarded(_) => &["bearer", "basic", "session"],
        Endpoint::Postback => &["bearer"],
        _ => &[],
    };
    for scheme in schemes {
        operation = operation.security(SecurityRequirement::new(*scheme, Vec::<String>::new()));
    }
    // Only the campaigns that have a key demand one, and some hosts guard by a session of their own.
    if !schemes.is_empty() {
        operation = operation.security(SecurityRequirement::default());
    }
    Some(operation.build())
}

/// Takes note of a type and of all that it is made of, and refers to it.
fn component<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    T::schemas(schemas);
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// An answer and the data in it, which the derived schema of a generic type refers to, but does not list.
fn envelope<A: ToSchema, D: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RefOr<Schema> {
    component::<D>(schemas);
    // The name of a generic type is the same whatever is in it.
    let name = format!("{}_{}", A::name(), D::name());
    schemas.push((name.clone(), <A as PartialSchema>::schema()));
    RefOr::Ref(Ref::from_schema_name(name))
}

/// What stands in an answer.
#[allow(clippy::large_enum_variant, reason = "there are a few dozen, while the document is made")]
enum Body {
    Json(RefOr<Schema>),
    /// As it is asked for.
    JsonOrCsv(RefOr<Schema>),
    /// Text of this media type.
    Other(&'static str),
    Empty,
}

fn response(status: StatusCode, body: Body) -> Response {
    let response = ResponseBuilder::new().description(status.canonical_reason().unwrap_or_default());
    let content = |schema| ContentBuilder::new().schema(Some(schema)).build();
    let response = match body {
        Body::Json(schema) => response.content("application/json", content(schema)),
        Body::JsonOrCsv(schema) => {
            response.content("application/json", content(schema)).content("text/csv", content(any_text()))
        }
        Body::Other(media_type) => response.content(media_type, content(any_text())),
        Body::Empty => response,
    };
    let header = |kind, description: &str| {
        HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(description)).build()
    };
    match status {
        StatusCode::CREATED => response.header("Location", header(Type::String, "Where the record is.")),
        StatusCode::FOUND => {
            response.header("Location", header(Type::String, "The destination, with its macros filled in."))
        }
        StatusCode::UNAUTHORIZED => response.header("WWW-Authenticate", header(Type::String, "What to send.")),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            response.header("Retry-After", header(Type::Integer, "Seconds to wait."))
        }
        _ => response,
    }
    .build()
}

fn any_text() -> RefOr<Schema> {
    RefOr::T(ObjectBuilder::new().schema_type(Type::String).into())
}

fn json_body(schema: RefOr<Schema>) -> RequestBody {
    RequestBodyBuilder::new()
        .content("application/json", ContentBuilder::new().schema(Some(schema)).build())
        .required(Some(Required::True))
        .build()
}

/// A form is read as a query is: what is not listed is ignored.
fn json_or_form_body<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RequestBody {
    let mut form = T::schema();
    if let RefOr::T(Schema::Object(object)) = &mut form {
        object.additional_properties = None;
    }
    either_body(component::<T>(schemas), form)
}

fn either_body(json: RefOr<Schema>, form: RefOr<Schema>) -> RequestBody {
    let content = |schema| ContentBuilder::new().schema(Some(schema)).build();
    RequestBodyBuilder::new()
        .content("application/json", content(json))
        .content("application/x-www-form-urlencoded", content(form))
        .required(Some(Required::True))
        .build()
}

/// What a postback is asked for, as parameters of a query.
fn postback_parameters() -> Vec<Parameter> {
    let parameter = |parameter: &Described| {
        let required = if parameter.name == "click_id" { Required::True } else { Required::False };
        query(parameter.name, parameter.description, required, described(parameter))
    };
    PARAMETERS.iter().map(parameter).collect()
}

/// The same as fields of JSON, or of a form.
fn postback_body(schemas: &mut Vec<(String, RefOr<Schema>)>) -> RequestBody {
    let mut fields = |name: &str, description: &str, optional: &[Type]| {
        let mut fields = ObjectBuilder::new().description(Some(description)).required("click_id");
        for parameter in &PARAMETERS {
            let types = if parameter.name == "click_id" { &[Type::String] } else { optional };
            let types = SchemaType::from_iter(types.iter().cloned());
            let field = described(parameter).schema_type(types).description(Some(parameter.description));
            fields = fields.property(parameter.name, field);
        }
        schemas.push((name.to_owned(), fields.build().into()));
        RefOr::Ref(Ref::from_schema_name(name))
    };
    let json = fields(
        "PostbackObject",
        "Null is as if a field was left out. Numbers are read exactly, as they are written. No field has an object or a list.",
        &[Type::String, Type::Number, Type::Boolean, Type::Null],
    );
    let form = fields("PostbackForm", "The parameters of a query, as a form.", &[Type::String]);
    let mut body = either_body(json, form);
    let example: serde_json::Map<String, Value> = PARAMETERS
        .iter()
        .filter_map(|parameter| Some((parameter.name.to_owned(), parameter.example?.into())))
        .collect();
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content {
            content.example = Some(example.clone().into());
        }
    }
    body
}

/// A table of postbacks.
fn import_body() -> RequestBody {
    let description = format!("The first line names the columns, which are among {}.", IMPORTED.join(", "));
    let example = "click_id,affiliate_id,amount,currency,transaction_id\nabc123,1,99.95,USD,order-1001\n";
    RequestBodyBuilder::new()
        .description(Some(description))
        .content("text/csv", ContentBuilder::new().schema(Some(any_text())).example(Some(example.into())).build())
        .required(Some(Required::True))
        .build()
}

fn described(parameter: &Described) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).examples(parameter.example)
}

/// What the postback log can be asked for.
fn postback_filters() -> Vec<Parameter> {
    let codes = OutcomeKind::ALL.iter().map(|kind| kind.code());
    let outcome = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(codes));
    let problems = ObjectBuilder::new().schema_type(Type::Boolean).default(Some(false.into()));
    let time = || {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
    };
    vec![
        query("outcome", "Those with this outcome.", Required::False, outcome),
        query("problems", "Whether only those that were not taken.", Required::False, problems),
        id_in_query("affiliate_id", "Those of this affiliate.", Required::False),
        id_in_query("campaign_id", "Those of this campaign.", Required::False),
        text("click_id", "Those that named this click.", Required::False),
        query("from", "Those that were received then or later.", Required::False, time()),
        query("to", "Those that were received before.", Required::False, time()),
        limit(),
        cursor(),
        format(),
    ]
}

/// What a list of clicks or conversions can be asked for, besides its path and what it alone has.
fn list_filters(mut parameters: Vec<Parameter>, own: &[Parameter]) -> Vec<Parameter> {
    parameters.extend_from_slice(own);
    parameters.push(id_in_query("campaign_id", "Those of this campaign.", Required::False));
    parameters.extend(period("Those of this period; of all time if neither it nor `from` is there.", None));
    parameters.extend([limit(), cursor(), format()]);
    parameters
}

fn affiliate_filter() -> Parameter {
    id_in_query("affiliate_id", "Those of this affiliate.", Required::False)
}

fn status_filter() -> Parameter {
    let names = ConversionStatus::ALL.map(ConversionStatus::as_str);
    query("status", "Those that have this status now.", Required::False, one_of(names))
}

fn report_parameters() -> Vec<Parameter> {
    let groupings = Grouping::ALL.map(Grouping::as_str);
    let orders = SortBy::ALL.iter().flat_map(|by| ["", "-"].map(|sign| format!("{sign}{}", by.as_str())));
    let offset = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).default(Some(0.into()));
    let csv = "`csv` for the whole report as a table, to which neither `limit` nor `offset` goes.";
    let mut parameters = period("The days that it is about.", Some(DEFAULT_PERIOD));
    parameters.extend([
        query(
            "group_by",
            "What each row is about.",
            Required::False,
            one_of(groupings).default(Some(Grouping::Day.as_str().into())),
        ),
        affiliate_filter(),
        id_in_query("campaign_id", "Those of this campaign.", Required::False),
        query(
            "sort",
            "By what rows are sorted, with a `-` in front for the most first. If left out, days and hours are in their order, and \
             anything else by its conversions, the most first.",
            Required::False,
            one_of(orders),
        ),
        text(
            "currency",
            "By whose sums rows are sorted; if left out, the first of those that there are, by their codes.",
            Required::False,
        ),
        limit(),
        query("offset", "How many rows to leave out before them.", Required::False, offset),
        format_of(csv),
    ]);
    parameters
}

/// The ways in which a period is asked for.
fn period(description: &str, default: Option<Preset>) -> Vec<Parameter> {
    let date =
        || ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
    let named = one_of(Preset::ALL.map(Preset::as_str)).default(default.map(|preset| preset.as_str().into()));
    vec![
        query("period", description, Required::False, named),
        query("from", "The first day, in the place of a period by its name.", Required::False, date()),
        query("to", "The last day, with `from`; the present one if left out.", Required::False, date()),
        text(
            "time_zone",
            "The IANA time zone whose days are meant, such as `Europe/Berlin`; if left out, that of the service.",
            Required::False,
        ),
    ]
}

fn one_of<T: Into<Value>>(values: impl IntoIterator<Item = T>) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values))
}

/// The parameters of a tracking link that is followed. `minted` says when a click id is made.
fn link_parameters(minted: &str) -> Vec<Parameter> {
    let mut parameters = link_marks();
    let click_id = text("click_id", &format!("1 to 100 visible ASCII characters{minted}"), Required::False);
    parameters.insert(2, click_id);
    parameters
}

/// The parameters of a tracking link that is handed out.
fn link_marks() -> Vec<Parameter> {
    let mut parameters = vec![
        id_in_query("affiliate_id", "Who sends the visitor.", Required::True),
        id_in_query("campaign_id", "What he is sent to.", Required::True),
    ];
    for name in SubIds::NAMES {
        parameters.push(text(name, "A mark of the affiliate's own: 1 to 255 characters.", Required::False));
    }
    parameters.push(text("source", "Where the affiliate found the visitor: 1 to 255 characters.", Required::False));
    parameters
}

fn id_in_path(name: &str) -> Parameter {
    in_path(name, id())
}

/// For numbers that may be greater than the ids of affiliates and campaigns.
fn number_in_path(name: &str) -> Parameter {
    in_path(name, ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)))
}

fn in_path(name: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .example(if name == "campaign_id" { Some(11.into()) } else { example(name) })
        .schema(Some(schema))
        .build()
}

fn id_in_query(name: &str, description: &str, required: Required) -> Parameter {
    query(name, description, required, id())
}

fn text(name: &str, description: &str, required: Required) -> Parameter {
    query(name, description, required, ObjectBuilder::new().schema_type(Type::String))
}

fn limit() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(tracking_core::Limit::MAX as i64))
        .default(Some(tracking_core::Limit::default().as_usize().into()));
    query("limit", "How many records at the most.", Required::False, schema)
}

fn cursor() -> Parameter {
    text("cursor", "The `next_cursor` of the page before; the newest records if left out.", Required::False)
}

fn format() -> Parameter {
    format_of("`csv` for the whole list as a table, to which neither `limit` nor `cursor` goes.")
}

fn format_of(description: &str) -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(Format::NAMES))
        .default(Some(Format::NAMES[0].into()));
    query("format", description, Required::False, schema)
}

fn id() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(i32::MAX))
}

fn query(name: &str, description: &str, required: Required, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .required(required)
        .schema(Some(schema))
        .example(example(name))
        .build()
}

/// The same as in the wire types: a sale of the sample affiliate.
fn example(name: &str) -> Option<Value> {
    Some(match name {
        "affiliate_id" => 1.into(),
        "campaign_id" => 10.into(),
        "click_id" => "abc123".into(),
        "sub1" => "ad-7".into(),
        "source" => "newsletter".into(),
        "amount" => "100".into(),
        "currency" => "USD".into(),
        "transaction_id" => "order-1001".into(),
        _ => return None,
    })
}

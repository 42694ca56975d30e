//! The API, described to machines: OpenAPI 3.1.
//!
//! Made from the handlers and the forms themselves, so that a route and its description are one
//! thing. `proto/management/v1/openapi.json` is what it looks like, for those who generate clients,
//! and for whoever reviews a change. Keeps the invariant that every operation may end in a
//! [`Problem`], and says so.

use axum::Json;
use axum::extract::State;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, ContactBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref,
    ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Management;
use super::problem::Problem;

const TOKEN: &str = "operator_token";

/// All routes, and the document of them.
pub(super) fn complete(routes: OpenApiRouter<Management>) -> (axum::Router<Management>, OpenApi) {
    let described = OpenApiRouter::with_openapi(frame())
        .merge(routes)
        .routes(routes!(show));
    let (router, mut document) = described.split_for_parts();
    let components = document.components.get_or_insert_with(Components::new);
    components
        .schemas
        .insert(Problem::name().into_owned(), Problem::schema());
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            may_fail(operation);
        }
    }
    (router, document)
}

fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Meridian management API")
        .version("1")
        .description(Some(
            "What operators ask of a process of a Meridian region. Resources and members of objects \
             are added; what is there keeps its meaning. Clients pass over members that they do not \
             know.",
        ))
        .contact(Some(ContactBuilder::new().name(Some("Meridian")).build()))
        .build();
    let mut components = Components::new();
    let mut token = Http::new(HttpAuthScheme::Bearer);
    token.description = Some(
        "A line of the file `management.token_file`. The socket `admin.sock` takes none."
            .to_owned(),
    );
    components.add_security_scheme(TOKEN, SecurityScheme::Http(token));
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .security(Some([SecurityRequirement::new(TOKEN, [""; 0])]))
        .build()
}

/// What any request may be answered instead.
fn may_fail(operation: &mut Operation) {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(Problem::name())))
        .build();
    let problem = ResponseBuilder::new()
        .description("Why it was not done")
        .content("application/problem+json", content)
        .build();
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), problem.into());
}

/// This description
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "get_openapi", tag = "description",
    responses((status = 200, description = "The document, OpenAPI 3.1", body = serde_json::Value)))]
async fn show(State(management): State<Management>) -> Json<OpenApi> {
    Json((*management.document).clone())
}

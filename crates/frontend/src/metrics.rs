//! What a frontend counts of its requests.

use std::time::Duration;

use http::StatusCode;
use meridian_chassis::metrics::{Grid, Histogram, Metrics};
use meridian_event::Target;

use crate::route::Route;

/// Requests, by what they were for and how they were answered.
#[derive(Debug)]
pub(crate) struct RequestMetrics {
    requests: Grid,
    times: Grid<Histogram>,
}

const ROUTES: [&str; 15] = [
    "base",
    "catalog",
    "discovery",
    "manifest",
    "blob",
    "uploads",
    "upload",
    "tags",
    "referrers",
    "repository",
    "tag_attributes",
    "manifest_attributes",
    "manifests",
    "probe",
    "none",
];

/// What a path is counted as that is no endpoint.
pub(crate) const NO_ROUTE: usize = ROUTES.len() - 1;
pub(crate) const PROBE: usize = ROUTES.len() - 2;

/// The statuses that a frontend answers, and the rest.
const STATUSES: [(u16, &str); 27] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (206, "206"),
    (304, "304"),
    (307, "307"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (412, "412"),
    (413, "413"),
    (414, "414"),
    (415, "415"),
    (416, "416"),
    (421, "421"),
    (429, "429"),
    (431, "431"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (504, "504"),
    (507, "507"),
];

const STATUS_LABELS: [&str; STATUSES.len() + 1] = {
    let mut labels = ["other"; STATUSES.len() + 1];
    let mut place = 0;
    while place < STATUSES.len() {
        labels[place] = STATUSES[place].1;
        place += 1;
    }
    labels
};

const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

// === impl RequestMetrics ===

impl RequestMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let requests = Grid::new(["route", "status"], &ROUTES, &STATUS_LABELS);
        let help = "Requests that were answered.";
        metrics.register("frontend_http_requests", help, requests.family());
        let times = Grid::new(["route", "class"], &ROUTES, &CLASSES);
        let help = "How long requests waited for the head of their answer.";
        metrics.register(
            "frontend_http_request_duration_seconds",
            help,
            times.family(),
        );
        Self { requests, times }
    }

    pub(crate) fn answered(&self, route: usize, status: StatusCode, time: Duration) {
        let by_number = STATUSES.binary_search_by_key(&status.as_u16(), |(number, _)| *number);
        let place = by_number.unwrap_or(STATUSES.len());
        self.requests.at(route, place).inc();
        let class = usize::from(status.as_u16() / 100).clamp(2, 5) - 2;
        self.times.at(route, class).observe(time);
    }
}

/// What a route is counted as.
pub(crate) const fn place(route: &Route) -> usize {
    match route {
        Route::Base => 0,
        Route::Catalog | Route::AcrCatalog => 1,
        Route::Discovery(_) => 2,
        Route::Manifest(..) => 3,
        Route::Blob(..) => 4,
        Route::Uploads(_) => 5,
        Route::Upload(..) => 6,
        Route::Tags(_) | Route::AcrTags(_) => 7,
        Route::Referrers(..) => 8,
        Route::Attributes(_, Target::Repository) => 9,
        Route::Attributes(_, Target::Tag(_)) => 10,
        Route::Attributes(_, Target::Manifest(_)) => 11,
        Route::AcrManifests(_) => 12,
    }
}

/// Whether manifests or blobs are there, which some region answers.
pub(crate) const fn is_content(place: usize) -> bool {
    matches!(place, 3 | 4)
}

/// What a place is called.
pub(crate) const fn name(place: usize) -> &'static str {
    ROUTES[place]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_count_by_route_and_status_whatever_they_are() {
        let metrics = Metrics::default();
        let requests = RequestMetrics::new(&metrics);
        for (route, status) in [(3, 201), (3, 201), (NO_ROUTE, 404), (PROBE, 418), (0, 100)] {
            let status = StatusCode::from_u16(status).unwrap();
            requests.answered(route, status, Duration::from_millis(1));
        }
        let text = metrics.text();
        for line in [
            "meridian_frontend_http_requests_total{route=\"manifest\",status=\"201\"} 2",
            "meridian_frontend_http_requests_total{route=\"none\",status=\"404\"} 1",
            "meridian_frontend_http_requests_total{route=\"probe\",status=\"other\"} 1",
            "meridian_frontend_http_request_duration_seconds_count{route=\"manifest\",class=\"2xx\"} 2",
        ] {
            assert!(
                text.lines().any(|it| it == line),
                "`{line}` is not in:\n{text}"
            );
        }
    }

    #[test]
    fn statuses_are_in_order() {
        assert!(STATUSES.is_sorted());
    }
}

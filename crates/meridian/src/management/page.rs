//! Lists: how they are cut into pages, on every resource alike.
//!
//! `GET …?limit=<n>&after=<cursor>` answers `{"items": […], "next": "<cursor>"}`; without `next` that
//! was the last page. A cursor says behind what the next page begins, not how many came before, so
//! that nothing is seen twice or missed when things come and go; clients take it as it is.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::{Kind, Problem};

const USUAL: usize = 100;
const LARGEST: usize = 1000;

/// Which part of a list is asked for.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items at most, 1 to 1000; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before; the first page without it.
    after: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    /// Where the next page begins: `after` of the request for it. Absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

// === impl PageQuery ===

impl PageQuery {
    /// The page of a list that is in the order of `cursor`.
    pub(crate) fn of<T>(
        &self,
        all: impl IntoIterator<Item = T>,
        cursor: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=LARGEST).contains(&limit) {
            let detail = format!("limit={limit}: it is 1 to {LARGEST}");
            return Err(Problem::new(Kind::Malformed, detail));
        }
        let after = self.after.as_deref();
        let is_after = |item: &T| after.is_none_or(|after| *cursor(item) > *after);
        let mut rest = all.into_iter().filter(is_after);
        let items: Vec<T> = rest.by_ref().take(limit).collect();
        let more = rest.next().is_some();
        let next = items.last().filter(|_| more).map(&cursor);
        Ok(Page { items, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_on_one_page() {
        let all: Vec<String> = (0..10).map(|number| number.to_string()).collect();
        let mut query = PageQuery {
            limit: Some(3),
            after: None,
        };
        let mut seen = Vec::new();
        loop {
            let page = query.of(all.clone(), Clone::clone).unwrap();
            assert!(!page.items.is_empty() && page.items.len() <= 3);
            seen.extend(page.items);
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, all);
    }

    #[test]
    fn a_page_of_nothing_and_one_of_everything_are_refused() {
        for limit in [0, 1001] {
            let query = PageQuery {
                limit: Some(limit),
                after: None,
            };
            let refused = query.of(Vec::<String>::new(), Clone::clone).unwrap_err();
            assert_eq!(refused.status, 400);
        }
    }
}

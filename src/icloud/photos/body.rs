//! What calls to the photo service say, as JSON.

use serde::Serialize;

use crate::model::asset::Zone;

/// The name of an account's own library.
pub(super) const PRIMARY: &str = "PrimarySync";

/// A zone as the service wants it named.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ZoneId<'a> {
    zone_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    owner_record_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    zone_type: &'a str,
}

impl<'a> From<&'a Zone> for ZoneId<'a> {
    /// Shared zones are echoed whole: without its owner, a zone of somebody else is not found.
    fn from(zone: &'a Zone) -> Self {
        let whole = zone.name != PRIMARY;
        Self {
            zone_name: &zone.name,
            owner_record_name: if whole { &zone.owner } else { "" },
            zone_type: if whole { &zone.kind } else { "" },
        }
    }
}

/// The body of `records/query`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryBody<'a> {
    pub(super) query: Query<'a, Vec<Filter<'a>>>,
    #[serde(rename = "zoneID")]
    pub(super) zone_id: ZoneId<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) results_limit: Option<u32>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) desired_keys: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) continuation_marker: Option<&'a str>,
}

/// What is asked for, and which of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query<'a, F> {
    pub(super) record_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) filter_by: Option<F>,
}

/// One condition.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter<'a> {
    field_name: &'static str,
    field_value: FilterField<'a>,
    comparator: &'static str,
}

#[derive(Serialize)]
struct FilterField<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: FilterValue<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum FilterValue<'a> {
    Number(u64),
    Text(&'a str),
    List([&'a str; 1]),
}

impl<'a> Filter<'a> {
    /// A field that equals a number.
    pub(super) fn number(field_name: &'static str, value: u64) -> Self {
        let field_value = FilterField { kind: "INT64", value: FilterValue::Number(value) };
        Self { field_name, field_value, comparator: "EQUALS" }
    }

    /// A field that equals a text.
    pub(super) fn text(field_name: &'static str, value: &'a str) -> Self {
        let field_value = FilterField { kind: "STRING", value: FilterValue::Text(value) };
        Self { field_name, field_value, comparator: "EQUALS" }
    }

    /// A field that is one of a list, of one.
    pub(super) fn one_of(field_name: &'static str, value: &'a str) -> Self {
        let field_value = FilterField { kind: "STRING_LIST", value: FilterValue::List([value]) };
        Self { field_name, field_value, comparator: "IN" }
    }
}
